"""What the box shows while it judges clips, and what came out."""

from __future__ import annotations

from collections.abc import Mapping

from edge.box.views import DARK, EVEN, FAST, SLOW, SPARK, LampPattern, View
from edge.box.views.camera import CAMERA
from edge.box.views.canvas import CAPITALS, WIDTH, Canvas, largest, plain, shortened, width
from edge.finding import Verdict
from edge.language import N_, _, translated
from edge.text import clock, percent, verdict_text

COUNTS_PITCH = 9
"""Rows from one line of counts to the next."""

_LAMPS = {
    Verdict.REAL: LampPattern("#", DARK, "green on"),
    Verdict.FAKE: LampPattern(DARK, FAST, "red: on and off, twice a second"),
    Verdict.UNSURE: LampPattern("#", "#", "both on"),
    Verdict.NO_FACE: LampPattern(SLOW, SLOW, "both: one second on, one second off"),
    Verdict.UNREADABLE: LampPattern(FAST, FAST, "both: on and off, twice a second"),
}


_STATUS = {
    Verdict.REAL: N_("REAL: {clip}"),
    Verdict.FAKE: N_("FAKE: {clip}"),
    Verdict.UNSURE: N_("UNSURE: {clip}"),
    Verdict.NO_FACE: N_("NO_FACE: {clip}"),
    Verdict.UNREADABLE: N_("UNREADABLE: {clip}"),
}
_COUNTED = {
    Verdict.REAL: N_("real"),
    Verdict.FAKE: N_("fake"),
    Verdict.UNSURE: N_("unsure"),
    Verdict.NO_FACE: N_("no face"),
    Verdict.UNREADABLE: N_("unreadable"),
}
"""The verdicts as they stand behind a number, where there is little room."""


class StickListing(View):
    """A stick was plugged in and is searched for clips."""

    name: str
    lamps = LampPattern(EVEN, "....####", "green and red take turns, slowly")

    @property
    def status(self) -> str:
        return _("Searching {stick} for clips").format(stick=self.name)

    def draw(self, canvas: Canvas, seconds: float) -> None:
        canvas.header(self.name)
        canvas.spinner(0, 27, seconds)
        canvas.line(_("Looking for clips"), 16, 29)
        canvas.line(_("Leave the stick in!"), 16, 43)


class Judging(View):
    """Clip `number` of `of` is judged. `source` names the stick, or is empty for the camera.

    `so_far` is the probability of FAKE by the windows that were scored so far.
    """

    name: str
    number: int
    of: int
    fraction: float
    seconds_left: float | None
    source: str = ""
    camera_next: bool = False
    cancelling: bool = False
    so_far: float | None = None
    lamps = LampPattern(EVEN, DARK, "green: on and off, once a second")

    @property
    def status(self) -> str:
        text = _("Judging {number} of {of}: {clip}") if self.of > 1 else _("Judging {clip}")
        clip = self.name or _("a recording")
        return text.format(number=self.number, of=self.of, clip=clip)

    def draw(self, canvas: Canvas, seconds: float) -> None:
        canvas.header(self.source or _(CAMERA), self.number, self.of)
        canvas.line(shortened(plain(self.name), WIDTH) or _("The recording"), 0, 17)
        canvas.bar(28, 11, self.fraction, seconds)
        canvas.line(f"{min(max(self.fraction, 0.0), 1.0) * 100:.0f} %", 0, 43)
        if self.seconds_left is not None:
            left = _("{time} left").format(time=clock(max(0.0, self.seconds_left)))
            canvas.right(left, WIDTH, 43)
        if self.cancelling or self.camera_next:
            canvas.line(_("Stopping") if self.cancelling else _("Next: the camera"), 0, 53)
        elif self.so_far is not None:
            canvas.line(_("now fake {share}").format(share=percent(self.so_far)), 0, 53)
        canvas.spinner(WIDTH - 10, 52, seconds)


class WritingReport(View):
    """The report goes onto the stick, which must stay where it is."""

    name: str
    lamps = LampPattern(FAST, "..##", "green and red take turns, quickly")

    @property
    def status(self) -> str:
        return _("Writing the report on {stick}").format(stick=self.name)

    def draw(self, canvas: Canvas, seconds: float) -> None:
        canvas.header(self.name)
        canvas.spinner(0, 27, seconds)
        canvas.line(_("Writing the report"), 16, 29)
        canvas.line(_("Leave the stick in!"), 16, 43)


class ClipVerdict(View):
    """One clip's verdict. `number` and `of` are its place where there are several.

    `note` says where the report is and if the stick may be removed.
    """

    verdict: Verdict
    fake_probability: float | None
    name: str
    reason: str
    number: int = 1
    of: int = 1
    source: str = ""
    note: str = ""

    @property
    def lamps(self) -> LampPattern:
        return _LAMPS[self.verdict]

    @property
    def status(self) -> str:
        return _(_STATUS[self.verdict]).format(clip=self.name or _("the recording"))

    def draw(self, canvas: Canvas, seconds: float) -> None:
        canvas.header(self.name or _(CAMERA), self.number, self.of)
        why = plain(f"{translated(self.reason)} {self.note}".strip())
        words = verdict_text(self.verdict)
        times = largest(words, 3)
        is_fake = self.verdict is Verdict.FAKE
        if is_fake:
            canvas.fill(0, 14, WIDTH, 27)
        canvas.centred(words, 14 + (27 - CAPITALS * times) // 2, times, lit=not is_fake)
        if self.fake_probability is None:
            canvas.paragraph(why, 43, 2, seconds)
            return
        words = _("fake {share}").format(share=percent(self.fake_probability))
        canvas.line(words, 0, 43)
        _gauge(canvas, width(words) + 6, 42, self.fake_probability)
        canvas.scrolling(why, 53, seconds)


def _gauge(canvas: Canvas, x: int, y: int, fraction: float) -> None:
    """Where a number stands between none and all."""
    wide = WIDTH - x
    canvas.fill(x, y + 3, wide, 1)
    for end in (x, x + wide - 1):
        canvas.fill(end, y + 1, 1, 5)
    canvas.fill(x + round((wide - 3) * fraction), y, 3, 7)


class BatchSummary(View):
    """How often each verdict was given. `note` says where the report is."""

    name: str
    counts: Mapping[Verdict, int]
    skipped: int
    note: str
    status = N_("All clips are judged")

    @property
    def worst(self) -> Verdict:
        """The verdict that matters most: what the lamps show."""
        order = (Verdict.FAKE, Verdict.UNSURE, Verdict.UNREADABLE, Verdict.REAL)
        return next((verdict for verdict in order if self.counts.get(verdict)), Verdict.NO_FACE)

    @property
    def lamps(self) -> LampPattern:
        return _LAMPS[self.worst]

    def draw(self, canvas: Canvas, seconds: float) -> None:
        canvas.header(self.name)
        lines = [(_(_COUNTED[verdict]), self.counts.get(verdict, 0)) for verdict in Verdict]
        lines += [(_("skipped"), self.skipped)] if self.skipped else []
        for at, (words, count) in enumerate(lines):
            x, y = (at % 2) * 69, 16 + (at // 2) * COUNTS_PITCH
            canvas.right(_short_count(count), x + 17, y)
            canvas.line(words, x + 20, y)
            if count and words == _(_COUNTED[self.worst]):
                canvas.invert(x, y - 1, 20 + width(words) + 2, COUNTS_PITCH)
        canvas.paragraph(self.note, 44, 2, seconds)


def _short_count(count: int) -> str:
    """A count in at most three characters."""
    return str(count) if count < 1000 else f"{count // 1000}k" if count < 100_000 else "lot"


class Stopped(View):
    """The work was cancelled; `note` says what became of the results so far."""

    note: str
    lamps = LampPattern(SPARK, SPARK, "both: a short flash every two seconds")
    status = N_("Cancelled")

    def draw(self, canvas: Canvas, seconds: float) -> None:
        words = _("Stopped")
        canvas.line(words, 0, 3, times=largest(words, 2))
        canvas.dots(21)
        canvas.paragraph(self.note, 27, 3, seconds)
