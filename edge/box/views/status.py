"""What the box shows of itself: it starts, is ready, needs help, shuts down."""

from __future__ import annotations

from enum import StrEnum

from edge.box.views import DARK, FAST, SLOW, SPARK, WINK, LampPattern, View
from edge.box.views.canvas import (
    ABOVE,
    PITCH,
    WIDTH,
    Canvas,
    enlarged,
    glyph,
    icon,
    largest,
    width,
)
from edge.errors import TruelightError
from edge.language import N_, _, translated


class Starting(View):
    """The model is being loaded."""

    lamps = LampPattern(SLOW, DARK, "green: one second on, one second off")
    status = N_("Starting")

    def draw(self, canvas: Canvas, seconds: float) -> None:
        _eye(canvas, seconds % 1 < 0.75, (WIDTH - 25) // 2)
        canvas.centred("Truelight", 22, times=2)
        words = _("Loading the model")
        left = (WIDTH - width(words) - 13) // 2
        canvas.spinner(left, 49, seconds)
        canvas.line(words, left + 13, 51)


class Ready(View):
    """Nothing runs: press the button, plug in a stick, drop in a file.

    A box without a camera has no `camera`; where root mounts no sticks there are no `sticks`.
    """

    camera: bool = True
    sticks: bool = True
    lamps = LampPattern(SPARK, DARK, "green: a short flash every two seconds")
    status = N_("Ready")

    def draw(self, canvas: Canvas, seconds: float) -> None:
        _eye(canvas, seconds % 4 < 3.75, 0)
        words = _("Ready")
        times = largest(words, 3)
        canvas.line(words, max(22, (WIDTH - width(words) * times) // 2), 14, times)
        if self.camera:
            other = _("or plug in a stick") if self.sticks else _("or drop in a file")
            lines = [_("Press to film a face,"), other]
        else:
            lines = [_("Plug in a stick") if self.sticks else _("Drop in a file")]
        for at, line in enumerate(lines):
            canvas.centred(line, 43 + PITCH * at)


class Pairing(View):
    """A device wants to use the page: its code, and the fingerprint of the page's certificate."""

    code: str
    fingerprint: str
    lamps = LampPattern(FAST + FAST + SLOW, DARK, "green: flickers, then one long flash")
    status = N_("Pairing a device")

    def draw(self, canvas: Canvas, seconds: float) -> None:
        canvas.header(_("To pair a device"))
        if not self.code:
            canvas.paragraph(_("The code is on the box's display."), 24, 3, seconds)
            return
        canvas.centred(self.code, 17, times=2)
        if self.fingerprint:
            words = _("Certificate {fingerprint}").format(fingerprint=self.fingerprint)
            canvas.paragraph(words, 39, 2, seconds)
        else:
            canvas.centred(_("Type this code there"), 43)


class ShuttingDown(View):
    """The box is about to switch itself off: the plug must stay in."""

    lamps = LampPattern(WINK, WINK, "both on, a short gap every second")
    status = N_("Shutting down")

    def draw(self, canvas: Canvas, seconds: float) -> None:
        words = _("Shutting down")
        canvas.centred(words, 8, times=largest(words, 2))
        canvas.spinner(12, 37, seconds)
        canvas.line(_("Leave the plug in!"), 30, 39)


class Halted(View):
    """Everything is written: the plug may be pulled."""

    lamps = LampPattern(DARK, DARK, "both dark")
    status = N_("Halted: you may pull the plug")

    def draw(self, canvas: Canvas, __: float) -> None:
        canvas.stamp_centred(icon("plug"), 8)
        canvas.centred(_("You may pull the plug"), 45)


class TroubleKind(StrEnum):
    """What can be wrong with the box or with what it was given; the name of its picture, too."""

    NOTHING_TO_SCAN = "nothing-to-scan"
    STICK_UNREADABLE = "stick-unreadable"
    STICK_PULLED = "stick-pulled"
    CAMERA_MISSING = "camera-missing"
    TOO_HOT = "too-hot"
    UNDER_VOLTAGE = "under-voltage"
    DISK_FULL = "disk-full"
    MODEL_REFUSED = "model-refused"
    SETTINGS_WRONG = "settings-wrong"
    UNKNOWN_BOARD = "unknown-board"
    INBOX_FULL = "inbox-full"


_WORDS = {
    False: (
        *("", "", N_("red: two short flashes"), N_("red: three short flashes")),
        *(N_("red: four short flashes"), N_("red: five short flashes")),
    ),
    True: (
        *("", "", N_("red: two long flashes"), N_("red: three long flashes")),
        *(N_("red: four long flashes"), N_("red: five long flashes")),
    ),
}


def _flashes(count: int, *, green: bool = False, is_long: bool = False) -> LampPattern:
    """`count` red flashes, then a pause that is long enough to count them."""
    red = ("######..." if is_long else "#...") * count + DARK * 12
    words = _WORDS[is_long][count]
    if green:
        words = N_("green on; {sentence}").format(sentence=words)
    return LampPattern("#" if green else DARK, red, words)


_LAMPS = {
    TroubleKind.NOTHING_TO_SCAN: _flashes(2, green=True),
    TroubleKind.STICK_UNREADABLE: _flashes(3, green=True),
    TroubleKind.STICK_PULLED: _flashes(4, green=True),
    TroubleKind.CAMERA_MISSING: _flashes(2),
    TroubleKind.TOO_HOT: _flashes(3),
    TroubleKind.UNDER_VOLTAGE: _flashes(4),
    TroubleKind.DISK_FULL: _flashes(5),
    TroubleKind.MODEL_REFUSED: _flashes(2, is_long=True),
    TroubleKind.SETTINGS_WRONG: _flashes(3, is_long=True),
    TroubleKind.UNKNOWN_BOARD: _flashes(4, is_long=True),
    TroubleKind.INBOX_FULL: _flashes(5, is_long=True),
}


class Trouble(View):
    """Something that a person can mend: what it is, in a sentence, and what to do, in another."""

    kind: TroubleKind
    message: str
    remedy: str

    @classmethod
    def of(cls, kind: TroubleKind, failure: TruelightError) -> Trouble:
        """A failure as a trouble of this kind."""
        return cls(kind, failure.message, failure.remedy)

    @property
    def lamps(self) -> LampPattern:
        return _LAMPS[self.kind]

    @property
    def status(self) -> str:
        return f"{translated(self.message).rstrip('.')}. {translated(self.remedy)}"

    def draw(self, canvas: Canvas, seconds: float) -> None:
        canvas.stamp(enlarged(icon(self.kind), 2), 0, 2)
        room = max(40, canvas.header_width - 24)
        canvas.paragraph(translated(self.message), 4, 2, seconds, x=24, room=room)
        canvas.dots(25)
        canvas.stamp(glyph("→"), 0, 31 - ABOVE)
        canvas.paragraph(translated(self.remedy), 31, 3, seconds, x=10, room=WIDTH - 10)


def _eye(canvas: Canvas, is_open: bool, x: int) -> None:
    """Truelight's mark, 13 x 25; it blinks."""
    canvas.stamp(icon("eye-open" if is_open else "eye-shut"), x, 3)
