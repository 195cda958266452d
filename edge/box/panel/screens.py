"""Every view as a picture of 128 x 64 points. Pure: a scene and the time since it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image

from edge.box.panel import icons
from edge.box.panel.canvas import HEIGHT, WIDTH, Canvas, dithered, enlarged
from edge.box.panel.letters import ABOVE, glyph, plain, width
from edge.box.panel.text import page, shortened, wrapped
from edge.box.views import (
    Aim,
    Aiming,
    Halted,
    Judged,
    Kind,
    Reading,
    Ready,
    Recording,
    Scene,
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
from edge.text import clock, percent

LEAST_PITCH, PITCH = 9, 10
"""Rows from one line of text to the next."""
MOST_MARKS = 3
"""More marks than these take turns."""
MARK = 11
"""Columns of a mark."""
CAMERA = "Camera"
"""Where a clip comes from that has no other source."""

HINTS = {
    Aim.NOBODY: "No face yet",
    Aim.CLOSER: "Move closer",
    Aim.LIGHT: "More light",
    Aim.GOOD: "Hold still",
}
VERDICTS = {
    Verdict.REAL: ("REAL", 3),
    Verdict.FAKE: ("FAKE", 3),
    Verdict.UNSURE: ("UNSURE", 3),
    Verdict.NO_FACE: ("NO FACE", 3),
    Verdict.UNREADABLE: ("UNREADABLE", 2),
}
"""A verdict in words, and how many times as large as other text."""


def draw(scene: Scene, seconds: float) -> Image.Image:
    """The display's picture, mode "1", 128 x 64; `seconds` since the view began.

    How bright it is, is not drawn: that is up to the display.
    """
    return drawn(scene, seconds).image()


def drawn(scene: Scene, seconds: float) -> Canvas:
    """The same as a canvas, which also knows its words."""
    canvas = Canvas()
    marks = Marks(canvas, scene.marks, seconds)
    _SCREENS[type(scene.view)](canvas, scene.view, seconds, marks)
    return canvas


def subject(view: View) -> tuple[object, ...]:
    """Equal for views that go on from each other, as when only a bar grows."""
    return (type(view), *(value for value in vars(view).values() if isinstance(value, str)))


class Marks:
    """The small pictures of what lasts, in the upper right corner."""

    def __init__(self, canvas: Canvas, kinds: tuple[Kind, ...], seconds: float) -> None:
        groups = [kinds[at : at + MOST_MARKS] for at in range(0, len(kinds), MOST_MARKS)]
        shown = groups[int(seconds / 2) % len(groups)] if groups else ()
        self.left = WIDTH - MARK * min(len(kinds), MOST_MARKS)
        """The column where they begin: others stay before it."""
        self._canvas = canvas
        self._masks = [icons.icon(kind) for kind in shown]

    def put(self, y: int = 1) -> None:
        """Draw them."""
        for at, mask in enumerate(self._masks):
            left = self.left + MARK * at
            self._canvas.fill(left, y - 1, MARK, MARK, lit=False)
            self._canvas.stamp(mask, left + 2, y)


def _header(canvas: Canvas, marks: Marks, name: str, number: int = 1, of: int = 1) -> None:
    """Whose screen it is, and which of how many; the marks at its end."""
    marks.put()
    right = marks.left
    if of > 1:
        place = f"{number}/{of}"
        canvas.right(place, right - (right < WIDTH), 2)
        right -= width(place) + 4
    canvas.line(shortened(plain(name), max(0, right)), 0, 2)
    canvas.dots(12)


def _paragraph(
    canvas: Canvas, words: str, x: int, y: int, room: int, lines: int, seconds: float
) -> None:
    """Text in at most so many lines; what does not fit is shown in turn."""
    shown = page(wrapped(plain(words), room), lines, seconds)
    for at, line in enumerate(shown):
        canvas.line(line, x, y + at * PITCH)


def _starting(canvas: Canvas, _: Starting, seconds: float, marks: Marks) -> None:
    mark = icons.eye(seconds % 1 < 0.75)
    canvas.stamp(mark, (WIDTH - mark.shape[1]) // 2, 3)
    canvas.large_centred("Truelight", 21, 2)
    words = "The model is loading"
    left = (WIDTH - width(words) - 13) // 2
    canvas.spinner(left, 49, seconds)
    canvas.line(words, left + 13, 50)
    marks.put()


def _ready(canvas: Canvas, view: Ready, seconds: float, marks: Marks) -> None:
    mark = icons.eye(seconds % 4 < 3.75)
    canvas.stamp(mark, 0, 3)
    canvas.large_centred("Ready", 11, 3)
    other = "plug in a stick" if view.sticks else "drop in a file"
    lines = ["Press to film a face,", f"or {other}"] if view.camera else [other.capitalize()]
    for at, line in enumerate(lines):
        canvas.centred(line, 43 + PITCH * at)
    marks.put()


def _reading(canvas: Canvas, view: Reading, seconds: float, marks: Marks) -> None:
    _header(canvas, marks, view.name)
    canvas.spinner(0, 27, seconds)
    canvas.line("Looking for clips", 16, 28)
    canvas.line("Leave the stick in", 16, 42)


def _aiming(canvas: Canvas, view: Aiming, seconds: float, marks: Marks) -> None:
    if view.picture is None:
        _header(canvas, marks, CAMERA)
        canvas.spinner(0, 27, seconds)
        canvas.line("The camera opens", 16, 28)
        return
    high, wide = view.picture.pixels.shape
    shown = max(1, min(WIDTH, round(wide * HEIGHT / max(1, high))))
    canvas.stamp(dithered(view.picture.pixels, shown, HEIGHT), (WIDTH - shown) // 2, 0)
    if view.countdown is not None:
        canvas.fill(0, 0, 26, 34, lit=False)
        canvas.large(str(view.countdown), 5, 3, 4)
    hint = HINTS[view.aim]
    half = width(hint) // 2 + 4
    canvas.fill(WIDTH // 2 - half, HEIGHT - 12, 2 * half, 12, lit=False)
    canvas.centred(hint, HEIGHT - 9)
    marks.put()


def _recording(canvas: Canvas, view: Recording, seconds: float, marks: Marks) -> None:
    _header(canvas, marks, CAMERA)
    if seconds % 1 < 0.75:
        dot = ((4, 0, 5, 13), (2, 1, 9, 11), (1, 2, 11, 9), (0, 4, 13, 5))
        for x, y, wide, high in dot:
            canvas.fill(2 + x, 20 + y, wide, high)
    canvas.large("REC", 22, 20, 2)
    left = f"{max(0.0, view.seconds_left):.0f} s"
    canvas.large(left, WIDTH - 2 * width(left), 20, 2)
    canvas.bar(41, 12, view.fraction, seconds)


def _working(canvas: Canvas, view: Working, seconds: float, marks: Marks) -> None:
    _header(canvas, marks, view.source or CAMERA, view.number, view.of)
    canvas.line(shortened(plain(view.name), WIDTH) or "What was filmed", 0, 17)
    canvas.bar(28, 11, view.fraction, seconds)
    canvas.line(f"{min(max(view.fraction, 0.0), 1.0) * 100:.0f} %", 0, 43)
    if view.seconds_left is not None:
        canvas.right(f"{clock(max(0.0, view.seconds_left))} left", WIDTH, 43)
    if view.cancelling or view.camera_next:
        canvas.line("Stopping" if view.cancelling else "Then the camera", 0, 53)
    canvas.spinner(WIDTH - 10, 53, seconds)


def _writing(canvas: Canvas, view: Writing, seconds: float, marks: Marks) -> None:
    _header(canvas, marks, view.name)
    canvas.spinner(0, 27, seconds)
    canvas.line("Writing the report", 16, 28)
    canvas.line("Leave the stick in!", 16, 42)


def _judged(canvas: Canvas, view: Judged, seconds: float, marks: Marks) -> None:
    _header(canvas, marks, view.name or CAMERA, view.number, view.of)
    what = f"{view.reason} {view.note}".strip()
    word, times = VERDICTS[view.verdict]
    is_fake = view.verdict is Verdict.FAKE
    if is_fake:
        canvas.fill(0, 14, WIDTH, 27)
    canvas.large_centred(word, 14 + (27 - 7 * times) // 2, times, lit=not is_fake)
    if view.fake_probability is None:
        _paragraph(canvas, what, 0, 43, WIDTH, 2, seconds)
        return
    words = f"fake {percent(view.fake_probability)}"
    canvas.line(words, 0, 43)
    _gauge(canvas, width(words) + 6, 43, view.fake_probability)
    canvas.scrolling(plain(what), 0, 53, WIDTH, seconds)


def _gauge(canvas: Canvas, x: int, y: int, fraction: float) -> None:
    """Where a number stands between none and all."""
    wide = WIDTH - x
    canvas.fill(x, y + 3, wide, 1)
    for end in (x, x + wide - 1):
        canvas.fill(end, y + 1, 1, 5)
    canvas.fill(x + round((wide - 3) * fraction), y, 3, 7)


def _summary(canvas: Canvas, view: Summary, seconds: float, marks: Marks) -> None:
    _header(canvas, marks, view.name)
    counts: list[tuple[int, str, Verdict | None]] = [
        (view.real, "real", Verdict.REAL),
        (view.fake, "fake", Verdict.FAKE),
        (view.unsure, "unsure", Verdict.UNSURE),
        (view.no_face, "no face", Verdict.NO_FACE),
        (view.unreadable, "unreadable", Verdict.UNREADABLE),
        (view.skipped, "skipped", None),
    ]
    for at, (count, words, verdict) in enumerate(counts):
        if not count and verdict is None:
            continue
        x, y = (at % 2) * 69, 15 + (at // 2) * LEAST_PITCH
        canvas.right(_few(count), x + 15, y)
        canvas.line(words, x + 19, y)
        if count and verdict is view.worst:
            canvas.invert(x, y - 1, 19 + width(words) + 2, LEAST_PITCH)
    _paragraph(canvas, view.note, 0, 43, WIDTH, 2, seconds)


def _few(count: int) -> str:
    """A count in at most three characters."""
    return str(count) if count < 1000 else f"{count // 1000}k" if count < 100_000 else "lot"


def _stopped(canvas: Canvas, view: Stopped, seconds: float, marks: Marks) -> None:
    canvas.large("Stopped", 0, 2, 2)
    canvas.dots(21)
    _paragraph(canvas, view.note, 0, 27, WIDTH, 3, seconds)
    marks.put()


def _trouble(canvas: Canvas, view: Trouble, seconds: float, marks: Marks) -> None:
    canvas.stamp(enlarged(icons.icon(view.kind), 2), 0, 2)
    _paragraph(canvas, view.message, 24, 3, max(40, marks.left - 24), 2, seconds)
    canvas.dots(25)
    canvas.stamp(glyph("→"), 0, 30 - ABOVE)
    _paragraph(canvas, view.remedy, 10, 30, WIDTH - 10, 3, seconds)
    marks.put()


def _shutting_down(canvas: Canvas, _: ShuttingDown, seconds: float, marks: Marks) -> None:
    canvas.large_centred("Shutting down", 8, 2)
    canvas.spinner(12, 37, seconds)
    canvas.line("Leave the plug in!", 30, 38)
    marks.put()


def _halted(canvas: Canvas, _: Halted, seconds: float, marks: Marks) -> None:
    mark = icons.plug()
    canvas.stamp(mark, (WIDTH - mark.shape[1]) // 2, 8)
    canvas.centred("You may pull the plug", 45)
    marks.put()


_Screen = Callable[[Canvas, Any, float, Marks], None]
_SCREENS: dict[type, _Screen] = {
    Starting: _starting,
    Ready: _ready,
    Reading: _reading,
    Aiming: _aiming,
    Recording: _recording,
    Working: _working,
    Writing: _writing,
    Judged: _judged,
    Summary: _summary,
    Stopped: _stopped,
    Trouble: _trouble,
    ShuttingDown: _shutting_down,
    Halted: _halted,
}
