"""Text as points: any text is made drawable, any drawable character has a glyph."""

from __future__ import annotations

import functools
import itertools
import unicodedata

import numpy as np
import numpy.typing as npt

from edge.box.panel.glyphs import ACCENTS, FEET, SHEET, SPELLED

Mask = npt.NDArray[np.bool_]
"""Points that are lit, `[height, width]`."""

ABOVE = 2
"""Rows over the capitals, for accents."""
CAPITALS = 7
HEIGHT = ABOVE + CAPITALS + 2
"""Rows of every glyph: accents, capitals, what hangs below the base line."""
BLANK = 3
"""Width of a space."""
GAP = 1
UNKNOWN = "□"
_NAMED = ("HANGUL SYLLABLE ", "HIRAGANA LETTER ", "KATAKANA LETTER ")


def plain(text: str) -> str:
    """The text in characters that can be drawn, one glyph each.

    Latin letters keep their accents. Cyrillic, Greek, Hangul and kana are spelled in Latin
    letters, so that names can still be told apart; what is left becomes a hollow box.
    """
    composed = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text))
    return "".join(_drawable(character) for character in composed)


@functools.lru_cache(maxsize=4096)
def _drawable(character: str) -> str:
    if character == " " or character in _sheet() or _composed(character) is not None:
        return character
    if (spelled := _spelled(character)) is not None:
        return spelled
    base, *marks = list(unicodedata.normalize("NFD", character))
    if marks:
        return _drawable(base)
    if character.isspace():
        return " "
    is_silent = unicodedata.category(character) in ("Cc", "Cf", "Mn", "Me")
    return "" if is_silent else UNKNOWN


def _spelled(character: str) -> str | None:
    """A letter of another script in Latin letters, if that is known."""
    if character in SPELLED:
        return SPELLED[character]
    if (small := character.lower()) in SPELLED:
        return SPELLED[small].capitalize()
    name = unicodedata.name(character, "")
    return name.split()[-1].lower() if name.startswith(_NAMED) else None


@functools.lru_cache(maxsize=1024)
def glyph(character: str) -> Mask:
    """The points of one character of `plain`: bool `[HEIGHT, width]`."""
    if character == " ":
        return np.zeros((HEIGHT, BLANK), np.bool_)
    sheet = _sheet()
    if character in sheet:
        return sheet[character]
    composed = _composed(character)
    return sheet[UNKNOWN] if composed is None else composed


def width(text: str) -> int:
    """How many points wide the drawn text is."""
    return sum(glyph(character).shape[1] + GAP for character in text) - GAP if text else 0


def mask(text: str) -> Mask:
    """The points of a line of text, bool `[HEIGHT, width(text)]`."""
    points = np.zeros((HEIGHT, width(text)), np.bool_)
    left = 0
    for character in text:
        part = glyph(character)
        points[:, left : left + part.shape[1]] = part
        left += part.shape[1] + GAP
    return points


@functools.cache
def _sheet() -> dict[str, Mask]:
    glyphs: dict[str, Mask] = {}
    for band in SHEET.strip("\n").split("\n\n"):
        names, *rows = band.split("\n")
        starts = [at for at, character in enumerate(names) if character != " "]
        for start, end in itertools.pairwise([*starts, len(rows[0]) + 1]):
            art = [row[start : end - 1].strip() for row in rows]
            glyphs[names[start]] = np.pad(_points(art), ((ABOVE, 0), (0, 0)))
    return glyphs


def _points(art: list[str] | tuple[str, ...]) -> Mask:
    return np.array([[point == "#" for point in row] for row in art], np.bool_)


def _composed(character: str) -> Mask | None:
    """A letter with its marks put on; None if the sheet lacks one of them."""
    base, *marks = list(unicodedata.normalize("NFD", character))
    if any(mark in ACCENTS for mark in marks):  # Those of i and j take the place of the dot.
        base = {"i": "\u0131", "j": "\u0237"}.get(base, base)
    sheet = _sheet()
    if not marks or base not in sheet or not all(mark in ACCENTS or mark in FEET for mark in marks):
        return None
    points = sheet[base].copy()
    for mark in marks:
        points = _marked(points, mark)
    return points


def _marked(letter: Mask, mark: str) -> Mask:
    art = _points(ACCENTS.get(mark) or FEET[mark])
    height, wide = art.shape
    if (missing := wide - letter.shape[1]) > 0:
        letter = np.pad(letter, ((0, 0), (missing // 2, missing - missing // 2)))
    left = (letter.shape[1] - wide + 1) // 2
    # A mark stands on the row above what is drawn, lower-case letters leave one row free.
    top = int(np.flatnonzero(letter.any(axis=1))[0])
    row = max(0, top - height - (top > ABOVE)) if mark in ACCENTS else HEIGHT - 2
    letter = letter.copy()
    letter[row : row + height, left : left + wide] |= art
    return letter
