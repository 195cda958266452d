"""A scene as lines of a terminal. Pure: its size comes in, lines with control codes come out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from edge.box.panel.canvas import Canvas
from edge.box.panel.lamps import lit, pattern
from edge.box.panel.letters import Mask
from edge.box.panel.screens import drawn
from edge.box.views import Brightness, Scene

KEYS = ("space: press", "h: hold 2 s", "s: hold 6 s (shut down)", "q: quit")
BRIGHT, FAINT, GREEN, RED, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[1;32m", "\x1b[1;31m", "\x1b[0m"
_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""What each point of a Braille character adds to its number, 4 rows of 2."""


def layout(scene: Scene, seconds: float, width: int, height: int, note: str = "") -> list[str]:
    """Display, lamps, keys and a `note` in at most `width` columns and `height` lines.

    The points are drawn as half blocks, as Braille where there is less room; where there is no
    room for that either, what the display says stands there in words.
    """
    canvas = drawn(scene, seconds)
    below = [*_lamps(scene, seconds, width), *_keys(width)]
    below += [FAINT + line for line in _wrapped(note, width)] if note else []
    room = height - len(below)
    points = np.asarray(canvas.image(), np.bool_)
    for rows in (_half_blocks(points), _braille(points)):
        if len(rows[0]) + 2 <= width and len(rows) + 2 <= room:
            above = _framed(rows, scene.brightness)
            break
    else:
        above = _words(canvas, scene.brightness, width)[: max(0, room)]
    return [*above, *below][: max(1, height)]


def _half_blocks(points: Mask) -> list[str]:
    """Two points a character, one above the other."""
    upper, lower = points[::2], points[1::2]
    return ["".join(" ▀▄█"[at] for at in row) for row in upper + 2 * lower]


def _braille(points: Mask) -> list[str]:
    """Eight points a character."""
    high, wide = points.shape
    tiles = points.reshape(high // 4, 4, wide // 2, 2).swapaxes(1, 2)
    numbers = (tiles * _BRAILLE).sum(axis=(2, 3))
    return ["".join(chr(0x2800 + int(number)) for number in row) for row in numbers]


def _framed(rows: Sequence[str], brightness: Brightness) -> list[str]:
    wide = len(rows[0])
    inside = [" " * wide] * len(rows) if brightness is Brightness.OFF else rows
    ink = FAINT if brightness is Brightness.DIM else BRIGHT
    return [
        f"{FAINT}╭{'─' * wide}╮{PLAIN}",
        *(f"{FAINT}│{PLAIN}{ink}{row}{PLAIN}{FAINT}│{PLAIN}" for row in inside),
        f"{FAINT}╰{'─' * wide}╯{PLAIN}",
    ]


def _words(canvas: Canvas, brightness: Brightness, width: int) -> list[str]:
    words = ["(the display sleeps)"] if brightness is Brightness.OFF else canvas.words
    return [line for text in words for line in _wrapped(text, width)]


def _lamps(scene: Scene, seconds: float, width: int) -> list[str]:
    """Both lamps as they are now, and what their pattern is in words."""
    what = pattern(scene.view)
    green, red = lit(what, seconds)
    lamps = " ".join(
        f"{colour}● {name.upper()}{PLAIN}" if is_lit else f"{FAINT}○ {name}{PLAIN}"
        for name, colour, is_lit in (("green", GREEN, green), ("red", RED, red))
    )
    return [lamps if width >= 13 else "", *(FAINT + line for line in _wrapped(what.words, width))]


def _keys(width: int) -> list[str]:
    whole = [key.replace(" ", "\N{NO-BREAK SPACE}") for key in KEYS]
    return [FAINT + line for line in _wrapped("  ".join(whole), width)]


def _wrapped(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(text, max(1, width)) or [""]
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
