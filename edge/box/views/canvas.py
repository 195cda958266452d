"""What screens are drawn on: 126 x 62 points, so that a frame of one point always stays dark.

Text is set in a bitmap font through Pillow, each letter cut to its own width. Widths are in points.
Whatever is drawn beyond the canvas is cut off; nothing can fail for its place or size.
"""

from __future__ import annotations

import functools
import io
import itertools
import unicodedata
from collections.abc import Iterator
from importlib import resources

import numpy as np
import numpy.typing as npt
from anyascii import anyascii
from PIL import Image, ImageDraw, ImageFont

Mask = npt.NDArray[np.bool_]
"""Points that are lit, `[height, width]`."""

SIZE = (128, 64)
"""The display, in points."""
MARGIN = 1
"""Stays dark on every side, so that the picture can be moved against burn-in."""
WIDTH, HEIGHT = SIZE[0] - 2 * MARGIN, SIZE[1] - 2 * MARGIN

FONT = "6x9.pcf.gz"
CELL = (6, 9)
"""Columns and rows of a glyph: one row of accents, six of capitals, two below the base line."""
ABOVE, CAPITALS = 1, 6
BLANK, GAP = 3, 1
"""Width of a space, and columns between two letters."""
PITCH = 10
"""Rows from one line of text to the next."""
UNKNOWN, ELLIPSIS = "□", "…"
ABSENT = "\U0010ffff"
"""A character that no font has."""
REST = 2.0
"""Seconds for which a line stands still before it scrolls, and a page before it is turned."""
PACE = 24.0
"""Points a second that a line scrolls."""
BREAKS = "-_./"
"""A word too long for a line is broken after one of these, if it has one."""


# ---- Letters


def plain(text: str) -> str:
    """The text in characters that the font has; others are transliterated, or become a box."""
    return "".join(_drawable(character) for character in unicodedata.normalize("NFKC", text))


@functools.lru_cache(maxsize=4096)
def _drawable(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) in ("Cc", "Cf", "Mn", "Me"):
        return ""
    if _has_glyph(character):
        return character
    return anyascii(character) or UNKNOWN


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    file = io.BytesIO(resources.files(__package__).joinpath("fonts", FONT).read_bytes())
    return ImageFont.truetype(file, CELL[1], layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=1024)
def _cell(character: str) -> Mask:
    image = Image.new("1", CELL)
    ImageDraw.Draw(image).text((0, 0), character, font=_font(), fill=1)
    return np.asarray(image, np.bool_)


def _has_glyph(character: str) -> bool:
    # For what it lacks, the font draws one and the same sign.
    return not np.array_equal(_cell(character), _cell(ABSENT))


@functools.lru_cache(maxsize=1024)
def glyph(character: str) -> Mask:
    """The points of one character of `plain`: bool `[9, width]`."""
    cell = _cell(character)
    columns = np.flatnonzero(cell.any(axis=0))
    return cell[:, columns[0] : columns[-1] + 1] if columns.size else cell[:, :BLANK]


def width(text: str) -> int:
    """How many points wide the drawn text is."""
    return sum(glyph(character).shape[1] + GAP for character in text) - GAP if text else 0


def text_mask(text: str) -> Mask:
    """The points of a line of text, bool `[9, width(text)]`."""
    points = np.zeros((CELL[1], width(text)), np.bool_)
    left = 0
    for character in text:
        part = glyph(character)
        points[:, left : left + part.shape[1]] = part
        left += part.shape[1] + GAP
    return points


# ---- Making text fit


def shortened(text: str, room: int) -> str:
    """Text at most `room` wide: the middle gives way, both ends of a name matter more."""
    if width(text) <= room:
        return text
    room -= width(ELLIPSIS) + 2 * GAP
    head = fitting(text, room // 2)
    tail = fitting(text[::-1], room - width(head))[::-1]
    return f"{head.rstrip()}{ELLIPSIS}{tail.lstrip()}" if room > 0 else ""


def largest(text: str, most: int) -> int:
    """How many times a line of text can be enlarged, at most `most`; at least once."""
    return max(1, min(most, WIDTH // max(1, width(text))))


def fitting(text: str, room: int) -> str:
    """As much of the text's beginning as is at most `room` wide."""
    ends = itertools.accumulate(width(character) + GAP for character in text)
    return text[: sum(end - GAP <= room for end in ends)]


def wrapped(text: str, room: int) -> list[str]:
    """The text in lines of at most `room`, broken at spaces, within a word only if need be."""
    lines = [""]
    for word in text.split():
        for part in _parts(word, room):
            longer = f"{lines[-1]} {part}".lstrip()
            if width(longer) <= room:
                lines[-1] = longer
            else:
                lines.append(part)
    return [line for line in lines if line]


def _parts(word: str, room: int) -> Iterator[str]:
    """A word in pieces of at most `room`, each as long as can be."""
    while width(word) > room and (head := fitting(word, room)):
        at = max(head.rfind(mark) for mark in BREAKS) + 1
        part = head[:at] if at > len(head) // 2 else head
        yield part
        word = word[len(part) :]
    yield fitting(word, room)


def page(lines: list[str], most: int, seconds: float) -> list[str]:
    """The lines that are shown now: more than `most` take turns."""
    pages = [lines[at : at + most] for at in range(0, len(lines), most)]
    return pages[int(seconds / (REST + most)) % len(pages)] if pages else []


def scrolled(overhang: float, seconds: float) -> int:
    """How many points a line that is `overhang` too long has moved to the left by now.

    It rests, moves to its end, rests, and begins again.
    """
    if overhang <= 0:
        return 0
    moving = overhang / PACE
    now = seconds % (REST + moving + REST)
    return round(min(max(0.0, now - REST), moving) * PACE)


# ---- The canvas


class Canvas:
    """Points that are lit or dark, `[HEIGHT, WIDTH]`; y grows downward."""

    def __init__(self) -> None:
        self.points: Mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        self.words: list[str] = []
        """What was written, in order: for people who cannot see points."""
        self.header_width = WIDTH
        """Columns of the top rows that no mark of a trouble takes."""

    def image(self) -> Image.Image:
        """The whole display, mode "1", 128 x 64, with its dark frame."""
        return Image.fromarray(np.pad(self.points, MARGIN))

    def fill(self, x: int, y: int, wide: int, high: int, lit: bool = True) -> None:
        """Light a rectangle, or darken it."""
        self.points[max(0, y) : max(0, y + high), max(0, x) : max(0, x + wide)] = lit

    def invert(self, x: int, y: int, wide: int, high: int) -> None:
        """Light what is dark within a rectangle, and the other way round."""
        self.points[max(0, y) : max(0, y + high), max(0, x) : max(0, x + wide)] ^= True

    def stamp(self, mask: Mask, x: int, y: int, lit: bool = True) -> None:
        """Light (or darken) the points of a mask; its other points change nothing."""
        top, left = max(0, -y), max(0, -x)
        part = mask[top : max(0, HEIGHT - y), left : max(0, WIDTH - x)]
        if part.size:
            here = self.points[y + top :, x + left :][: part.shape[0], : part.shape[1]]
            here[part] = lit

    def stamp_centred(self, mask: Mask, y: int) -> None:
        """Light the points of a mask in the middle."""
        self.stamp(mask, (WIDTH - mask.shape[1]) // 2, y)

    def line(self, words: str, x: int, y: int, times: int = 1, lit: bool = True) -> None:
        """A line of text, enlarged if wanted, whose capitals begin at row `y`."""
        self.words.append(words)
        self.stamp(enlarged(text_mask(words), times), x, y - ABOVE * times, lit)

    def right(self, words: str, x: int, y: int, times: int = 1) -> None:
        """A line of text that ends before column `x`."""
        self.line(words, x - width(words) * times, y, times)

    def centred(self, words: str, y: int, times: int = 1, lit: bool = True) -> None:
        """A line of text in the middle."""
        self.line(words, (WIDTH - width(words) * times) // 2, y, times, lit)

    def scrolling(self, words: str, y: int, seconds: float) -> None:
        """A line of text over the whole width, which moves through if it is longer."""
        self.words.append(words)
        mask = text_mask(words)
        start = scrolled(mask.shape[1] - WIDTH, seconds)
        self.stamp(mask[:, start : start + WIDTH], 0, y - ABOVE)

    def paragraph(
        self, words: str, y: int, lines: int, seconds: float, x: int = 0, room: int = WIDTH
    ) -> None:
        """Text in at most `lines` lines; what does not fit is shown in turn."""
        for at, line in enumerate(page(wrapped(plain(words), room), lines, seconds)):
            self.line(line, x, y + at * PITCH)

    def header(self, name: str, number: int = 1, of: int = 1) -> None:
        """Whose screen it is, which of how many, and a dotted line below."""
        right = self.header_width
        if of > 1:
            place = f"{number}/{of}"
            self.right(place, right - (right < WIDTH), 2)
            right -= width(place) + 4
        self.line(shortened(plain(name), max(0, right)), 0, 2)
        self.dots(12)

    def dots(self, y: int) -> None:
        """A dotted line across."""
        self.points[y, ::2] = True

    def bar(self, y: int, high: int, fraction: float, seconds: float) -> None:
        """Progress, 0 to 1. The rest is hatched, and the hatching moves while the box works."""
        inner = WIDTH - 4
        done = round(min(max(fraction, 0.0), 1.0) * inner)
        self.fill(0, y, WIDTH, high)
        self.fill(1, y + 1, WIDTH - 2, high - 2, lit=False)
        rows, columns = np.indices((high - 4, inner - done))
        self.stamp((columns + done + rows - int(seconds * 8)) % 8 == 0, 2 + done, y + 2)
        self.fill(2, y + 2, done, high - 4)

    def spinner(self, x: int, y: int, seconds: float) -> None:
        """Eight dots in a ring, 10 x 10; the gap between them goes round once a second."""
        ring = ((4, 0), (7, 1), (8, 4), (7, 7), (4, 8), (1, 7), (0, 4), (1, 1))
        for at, (across, down) in enumerate(ring):
            if (at - int(seconds * 8)) % 8 >= 3:
                self.fill(x + across, y + down, 2, 2)


# ---- Pictures


@functools.cache
def icon(name: str) -> Mask:
    """A picture of `icons.txt`, by its name."""
    text = resources.files(__package__).joinpath("icons.txt").read_text(encoding="ascii")
    art = text.split(f"\n{name}\n")[1].split("\n\n")[0].split()
    return np.array([[point == "#" for point in row] for row in art], np.bool_)


def enlarged(mask: Mask, times: int) -> Mask:
    """A mask `times` as large, its slanting edges smoothed."""
    if times == 1:
        return mask
    high, wide = (times * (side + 2) for side in mask.shape)
    image = Image.fromarray(np.pad(mask, 1)).convert("L").resize((wide, high))  # bicubic
    return np.asarray(image, np.uint8)[times:-times, times:-times] > 127
