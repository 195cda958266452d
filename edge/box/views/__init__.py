"""What the box shows. Pure: a view is an entry with its data, drawing, lamps and status line.

A new view takes two places: a class in a module of this package, and the line in `edge.box.state`
that makes it. What shows a view knows nothing of it but what `View` promises.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, dataclass_transform

from edge.box.views.canvas import WIDTH, Canvas, icon
from edge.language import ENGLISH, N_, _, speaking

if TYPE_CHECKING:
    from PIL import Image

STEP = 0.125
"""Seconds for which a lamp is at least lit or dark."""
DARK = "."
MOST_MARKS = 3
"""More marks than these take turns."""
MARK_WIDTH = 11
MARKS = {
    "nothing-to-scan": N_("no clips"),
    "stick-unreadable": N_("stick not readable"),
    "stick-pulled": N_("stick pulled out"),
    "camera-missing": N_("camera missing"),
    "too-hot": N_("too hot"),
    "under-voltage": N_("under-voltage"),
    "disk-full": N_("storage problem"),
    "model-refused": N_("model refused"),
    "settings-wrong": N_("settings wrong"),
    "unknown-board": N_("board not known"),
    "inbox-full": N_("inbox full"),
    "simulated-camera": N_("simulated camera"),
    "simulated-panel": N_("simulated panel"),
}
"""The marks of a scene, in words."""


@dataclass(frozen=True)
class LampPattern:
    """What each lamp does step by step, over and over (`#` is lit), and the same in words.

    No two views have the same pattern, not even to someone who cannot tell the lamps apart by
    their colour. One lamp blinks while the box works; both while it cannot answer; they take turns
    while a stick must stay in; green stays on while red counts what is wrong with a stick; red
    alone counts what is wrong with the box: short flashes for its surroundings, long ones for it.
    """

    green: str
    red: str
    words: str

    def lit(self, seconds: float) -> tuple[bool, bool]:
        """Whether green and red are lit, `seconds` after the pattern began."""
        step = int(seconds / STEP)
        green, red = (lamp[step % len(lamp)] != DARK for lamp in (self.green, self.red))
        return green, red


SLOW, EVEN, FAST = "#" * 8 + DARK * 8, "####....", "##.."
WINK, SPARK = "#######.", "#" + DARK * 15


@dataclass_transform(frozen_default=True)
class View(ABC):
    """Something that the box shows. Each subclass becomes a frozen dataclass."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    @property
    @abstractmethod
    def lamps(self) -> LampPattern:
        """What the lamps do meanwhile."""

    @property
    @abstractmethod
    def status(self) -> str:
        """A line for `systemctl status`; it stays the same while the same thing goes on."""

    @abstractmethod
    def draw(self, canvas: Canvas, seconds: float) -> None:
        """Draw it as it is, `seconds` after it began."""

    @property
    def subject(self) -> tuple[object, ...]:
        """Equal for views that go on from each other, as when only a bar grows."""
        return (type(self), *(value for value in vars(self).values() if isinstance(value, str)))


class Brightness(StrEnum):
    """How bright the display is."""

    FULL = "full"
    DIM = "dim"
    OFF = "off"


@dataclass(frozen=True)
class Scene:
    """A view, and the small pictures in the upper right corner, by their names in `icons.txt`.

    The marks are troubles that last while something else is shown, and simulated parts, so that
    nobody takes them for real ones.
    """

    view: View
    marks: tuple[str, ...] = ()
    brightness: Brightness = Brightness.FULL
    language: str = ENGLISH
    """What it is drawn in."""

    @property
    def status(self) -> str:
        """The line for `systemctl status`, in the reader's language."""
        status = _(self.view.status)
        if not self.marks:
            return status
        return f"{status} ({', '.join(_(MARKS[mark]) for mark in self.marks)})"


def draw(scene: Scene, seconds: float) -> Image.Image:
    """The display's picture, mode "1", 128 x 64; `seconds` since the view began.

    How bright it is, is not drawn: that is up to the display.
    """
    return drawn(scene, seconds, Canvas()).image()


def drawn(scene: Scene, seconds: float, canvas: Canvas) -> Canvas:
    """The same on a canvas, which also knows its words."""
    marks = scene.marks
    canvas.header_width = WIDTH - MARK_WIDTH * min(len(marks), MOST_MARKS)
    with speaking(scene.language):
        scene.view.draw(canvas, seconds)
    groups = [marks[at : at + MOST_MARKS] for at in range(0, len(marks), MOST_MARKS)]
    shown = groups[int(seconds / 2) % len(groups)] if groups else ()
    for at, name in enumerate(shown):
        left = canvas.header_width + MARK_WIDTH * at
        canvas.fill(left, 0, MARK_WIDTH, MARK_WIDTH, lit=False)
        canvas.stamp(icon(name), left + 2, 1)
    return canvas
