"""What the two lamps do. Pure: a view has a pattern, a pattern is lit or dark at a moment.

No two patterns are alike, not even to someone who cannot tell the lamps apart by their colour.
A family each: one lamp blinks while the box works, both while it cannot say, they take turns while
a stick must stay in, green stays on while red counts what is wrong with a stick, and red alone
counts what is wrong with the box: short flashes for what surrounds it, long ones for the box.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.box.views import (
    Aiming,
    Halted,
    Judged,
    Kind,
    Reading,
    Ready,
    Recording,
    ShuttingDown,
    Starting,
    Stopped,
    Summary,
    Trouble,
    View,
    Working,
    Writing,
)
from edge.finding import Verdict

STEP = 0.125
"""Seconds for which a lamp is at least lit or dark."""
DARK = "."


@dataclass(frozen=True)
class Pattern:
    """What each lamp does step by step, over and over (`#` is lit), and the same in words."""

    green: str
    red: str
    words: str


def _flashes(count: int, step: str) -> str:
    """So many flashes, then a pause that is long enough to count them."""
    return step * count + DARK * 12


_SLOW, _EVEN, _FAST = "#" * 8 + DARK * 8, "####....", "##.."
_WINK, _SPARK = "#######.", "#" + DARK * 15

_VIEWS = {
    Starting: Pattern(_SLOW, DARK, "green: one second on, one second off"),
    Ready: Pattern(_SPARK, DARK, "green: a short flash every two seconds"),
    Working: Pattern(_EVEN, DARK, "green: on and off, once a second"),
    Aiming: Pattern("#", "#" + DARK * 7, "green on; red: a short flash every second"),
    Recording: Pattern(DARK, _WINK, "red on, a short gap every second"),
    Reading: Pattern(_EVEN, "....####", "green and red take turns, slowly"),
    Writing: Pattern(_FAST, "..##", "green and red take turns, quickly"),
    Stopped: Pattern(_SPARK, _SPARK, "both: a short flash every two seconds"),
    ShuttingDown: Pattern(_WINK, _WINK, "both on, a short gap every second"),
    Halted: Pattern(DARK, DARK, "both dark"),
}

_VERDICTS = {
    Verdict.REAL: Pattern("#", DARK, "green on"),
    Verdict.FAKE: Pattern(DARK, _FAST, "red: on and off, twice a second"),
    Verdict.UNSURE: Pattern("#", "#", "both on"),
    Verdict.NO_FACE: Pattern(_SLOW, _SLOW, "both: one second on, one second off"),
    Verdict.UNREADABLE: Pattern(_FAST, _FAST, "both: on and off, twice a second"),
}

_SHORT, _LONG = "#...", "######..."

_TROUBLES = {
    Kind.NOTHING_TO_SCAN: Pattern("#", _flashes(2, _SHORT), "green on; red: two short flashes"),
    Kind.STICK_UNREADABLE: Pattern("#", _flashes(3, _SHORT), "green on; red: three short flashes"),
    Kind.STICK_PULLED: Pattern("#", _flashes(4, _SHORT), "green on; red: four short flashes"),
    Kind.CAMERA_MISSING: Pattern(DARK, _flashes(2, _SHORT), "red: two short flashes"),
    Kind.TOO_HOT: Pattern(DARK, _flashes(3, _SHORT), "red: three short flashes"),
    Kind.UNDER_VOLTAGE: Pattern(DARK, _flashes(4, _SHORT), "red: four short flashes"),
    Kind.DISK_FULL: Pattern(DARK, _flashes(5, _SHORT), "red: five short flashes"),
    Kind.MODEL_REFUSED: Pattern(DARK, _flashes(2, _LONG), "red: two long flashes"),
    Kind.SETTINGS_WRONG: Pattern(DARK, _flashes(3, _LONG), "red: three long flashes"),
    Kind.UNKNOWN_BOARD: Pattern(DARK, _flashes(4, _LONG), "red: four long flashes"),
}


def pattern(view: View) -> Pattern:
    """What the lamps do while this is shown. A summary's is that of its worst verdict."""
    match view:
        case Judged():
            return _VERDICTS[view.verdict]
        case Summary():
            return _VERDICTS[view.worst]
        case Trouble():
            return _TROUBLES[view.kind]
        case _:
            return _VIEWS[type(view)]


def lit(pattern: Pattern, seconds: float) -> tuple[bool, bool]:
    """Whether green and red are lit, so many seconds after the pattern began."""
    step = int(seconds / STEP)
    green, red = (lamp[step % len(lamp)] != DARK for lamp in (pattern.green, pattern.red))
    return green, red
