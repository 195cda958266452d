"""What screens are drawn on: 126 x 62 points, so that a frame of one point always stays dark.

Whatever is drawn beyond the canvas is cut off; nothing can fail for its place or size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from edge.box.panel import letters, text
from edge.box.panel.letters import ABOVE, Mask

SIZE = (128, 64)
"""The display, in points."""
MARGIN = 1
"""Stays dark on every side, so that the picture can be moved against burn-in."""
WIDTH, HEIGHT = SIZE[0] - 2 * MARGIN, SIZE[1] - 2 * MARGIN

BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
"""Order in which points of a 4 x 4 tile light up: steady from frame to frame, unlike diffusion."""


class Canvas:
    """Points that are lit or dark, `[HEIGHT, WIDTH]`; y grows downward."""

    def __init__(self) -> None:
        self.points: Mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        self.words: list[str] = []
        """What was written, in the order in which it was: for who cannot see points."""

    def image(self) -> Image.Image:
        """The whole display, mode "1", 128 x 64, with its dark frame."""
        return Image.fromarray(np.pad(self.points, MARGIN))

    def fill(self, x: int, y: int, wide: int, high: int, lit: bool = True) -> None:
        """Light a rectangle, or darken it."""
        self.points[max(0, y) : max(0, y + high), max(0, x) : max(0, x + wide)] = lit

    def stamp(self, mask: Mask, x: int, y: int, lit: bool = True) -> None:
        """Light (or darken) the points of a mask; its other points let through what is there."""
        top, left = max(0, -y), max(0, -x)
        part = mask[top : max(0, HEIGHT - y), left : max(0, WIDTH - x)]
        if part.size:
            here = self.points[y + top :, x + left :][: part.shape[0], : part.shape[1]]
            here[part] = lit

    def line(self, words: str, x: int, y: int, lit: bool = True) -> None:
        """A line of text whose capitals begin at row `y`; it takes 2 rows above, 2 below."""
        self.words.append(words)
        self.stamp(letters.mask(words), x, y - ABOVE, lit)

    def right(self, words: str, x: int, y: int) -> None:
        """A line of text that ends before column `x`."""
        self.line(words, x - letters.width(words), y)

    def centred(self, words: str, y: int) -> None:
        """A line of text in the middle."""
        self.line(words, (WIDTH - letters.width(words)) // 2, y)

    def scrolling(self, words: str, x: int, y: int, room: int, seconds: float) -> None:
        """A line of text in a space `room` wide: it moves through if it is longer."""
        self.words.append(words)
        drawn = letters.mask(words)
        start = text.scrolled(drawn.shape[1] - room, seconds)
        self.stamp(drawn[:, start : start + room], x, y - ABOVE)

    def large(self, words: str, x: int, y: int, times: int, lit: bool = True) -> None:
        """A line in letters that many times as large, their capitals beginning at row `y`."""
        self.words.append(words)
        self.stamp(large(words, times), x, y, lit)

    def large_centred(self, words: str, y: int, times: int, lit: bool = True) -> None:
        """The same, in the middle."""
        wide = letters.width(words) * times
        self.large(words, (WIDTH - wide) // 2, y, times, lit)

    def invert(self, x: int, y: int, wide: int, high: int) -> None:
        """Light what is dark within a rectangle, and the other way round."""
        self.points[max(0, y) : max(0, y + high), max(0, x) : max(0, x + wide)] ^= True

    def dots(self, y: int) -> None:
        """A dotted line across."""
        self.points[y, ::2] = True

    def bar(self, y: int, high: int, fraction: float, seconds: float) -> None:
        """Progress, 0 to 1. What is left to do is hatched, and the hatching walks: it lives."""
        inner = WIDTH - 4
        done = round(min(max(fraction, 0.0), 1.0) * inner)
        self.fill(0, 0 + y, WIDTH, high)
        self.fill(1, y + 1, WIDTH - 2, high - 2, lit=False)
        rows, columns = np.indices((high - 4, inner - done))
        hatched = (columns + done + rows - int(seconds * 8)) % 8 == 0
        self.stamp(hatched, 2 + done, y + 2)
        self.fill(2, y + 2, done, high - 4)

    def spinner(self, x: int, y: int, seconds: float) -> None:
        """Eight dots in a ring, 10 x 10; the gap between them goes round once a second."""
        ring = ((4, 0), (7, 1), (8, 4), (7, 7), (4, 8), (1, 7), (0, 4), (1, 1))
        for at, (across, down) in enumerate(ring):
            if (at - int(seconds * 8)) % 8 >= 3:
                self.fill(x + across, y + down, 2, 2)


def large(words: str, times: int) -> Mask:
    """Text without the rows of accents, 1 to 4 times as large."""
    return enlarged(letters.mask(words)[ABOVE:], times)


def enlarged(mask: Mask, times: int) -> Mask:
    """A mask 1, 2, 3 or 4 times as large, its slanting edges filled in between the steps."""
    if times == 4:
        return enlarged(enlarged(mask, 2), 2)
    big = mask.repeat(times, axis=0).repeat(times, axis=1)
    if times == 1:
        return big
    for _ in range(4):
        mask, big = np.rot90(mask), np.rot90(big)
        _round_corner(mask, big, times)
    return np.ascontiguousarray(big)


def _round_corner(mask: Mask, big: Mask, times: int) -> None:
    """Where two neighbours agree across a corner, the corner becomes theirs."""
    around = np.pad(mask, 1)
    up, down = around[:-2, 1:-1], around[2:, 1:-1]
    left, right = around[1:-1, :-2], around[1:-1, 2:]
    corner = (left == up) & (left != down) & (up != right)
    big[::times, ::times] = np.where(corner, up, mask)
    if times == 3:
        other = (right == up) & (right != down) & (up != left)
        beside = (corner & (mask != around[:-2, 2:])) | (other & (mask != around[:-2, :-2]))
        big[::3, 1::3] = np.where(beside, up, mask)


def dithered(luma: npt.NDArray[np.uint8], wide: int, high: int) -> Mask:
    """A grey picture `[h, w]` as points `[high, wide]`, its contrast stretched."""
    picture = Image.fromarray(luma).resize((wide, high), Image.Resampling.BOX)
    grey = np.asarray(picture.filter(ImageFilter.UnsharpMask(2, 150, 0)), np.float32)
    dark, bright = np.percentile(grey, (2, 98))
    grey = (grey - dark) / max(float(bright - dark), 32.0)
    tiles = np.tile(BAYER, (high // 4 + 1, wide // 4 + 1))[:high, :wide]
    lit: Mask = grey * 16 > tiles + 0.5
    return lit
