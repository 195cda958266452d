"""How findings look: words and a time-line for people, one object a line for programs.

On a terminal there are colours; into a pipe or a file go the same words without a control code.
"""

from __future__ import annotations

import io
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from rich.console import Console
from rich.text import Text

from edge.finding import Clip, Face, Finding, ReasonCode, Thresholds, Verdict, verdict_of
from edge.text import clock, one_line, percent, shortened

BLOCKS = "▁▂▃▄▅▆▇█"
NOT_LOOKED_AT = "·"
SHORTEST_LINE, LONGEST_LINE = 4, 48
"""Columns of a time-line, as the terminal has them."""
_STEP = 0.15
"""A window's last crop stands for some time after it too: this part of the window, generously."""

COLOURS = {
    Verdict.REAL: "green",
    Verdict.FAKE: "red",
    Verdict.UNSURE: "yellow",
    Verdict.NO_FACE: "blue",
    Verdict.UNREADABLE: "magenta",
}


SHORTCOMINGS = {
    ReasonCode.FACES_TOO_SMALL: "too small",
    ReasonCode.TOO_DARK: "too dark",
    ReasonCode.TOO_BLURRED: "too blurred",
    ReasonCode.SEEN_TOO_BRIEFLY: "seen too briefly",
}


class Show(Protocol):
    """Where findings go."""

    def finding(self, finding: Finding) -> None:
        """Show what was found, at once."""
        ...

    def end(self) -> None:
        """Nothing more comes: sum up."""
        ...


class JsonShow:
    """One line of JSON a finding, in UTF-8 whatever the terminal speaks, nothing held back."""

    def finding(self, finding: Finding) -> None:
        """Write the line."""
        sys.stdout.buffer.write(finding.model_dump_json().encode() + b"\n")
        sys.stdout.buffer.flush()

    def end(self) -> None:
        """Write nothing: whoever wants a sum can count lines."""


class PeopleShow:
    """Findings as paragraphs; a table of them all at the end if there are several."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[Row] = []

    def finding(self, finding: Finding) -> None:
        """Print the paragraph."""
        for line in paragraph(finding, self._console.width):
            self._console.print(line, soft_wrap=True)
        self._console.print()
        unread = finding.verdict is Verdict.UNREADABLE
        why = finding.reasons[0].text if unread else ""
        self._rows.append(Row(finding.verdict, finding.fake_probability, finding.path, why))

    def end(self) -> None:
        """Print the table."""
        if len(self._rows) > 1:
            for line in table(self._rows, self._console.width):
                self._console.print(line, soft_wrap=True)


class Row(NamedTuple):
    """A finding in the table."""

    verdict: Verdict
    probability: float | None
    path: str
    why: str


def paragraph(finding: Finding, width: int) -> Iterator[Text]:
    """What is said of one clip, in lines of at most `width` columns."""
    yield _headline(finding, width)
    for reason in finding.reasons:
        yield from _indented(reason.text, width)
    for face in finding.faces:
        yield _face(face, finding, width)
    if finding.clip:
        yield from _indented(_facts(finding, finding.clip), width, style="dim")


def _headline(finding: Finding, width: int) -> Text:
    """The verdict as a word on its colour, the probability, the name."""
    colour = COLOURS[finding.verdict]
    line = Text(f" {_word(finding.verdict)} ", style=f"bold reverse {colour}")
    line = Text.assemble(line, " ")
    if finding.fake_probability is not None:
        line.append(f"{percent(finding.fake_probability)} fake  ", style=colour)
    room = max(12, width - line.cell_len)
    return line.append(shortened(one_line(finding.path), room), style="bold")


def _face(face: Face, finding: Finding, width: int) -> Text:
    """One face: who, how fake, its scores along the clip, and why it does not count if so."""
    widest = max(len(_said(other.fake_probability)) for other in finding.faces)
    colour = _lean(face.fake_probability, finding.thresholds) if face.counted else "dim"
    line = Text.assemble(
        (f"  face {face.id}  ", "" if face.counted else "dim"),
        (_said(face.fake_probability).rjust(widest), colour),
        "  ",
    )
    why = ", ".join(SHORTCOMINGS[reason.code] for reason in face.reasons)
    why = why or _both(face, finding, width - line.cell_len - 2)
    room = width - line.cell_len - (len(why) + 2 if why else 0)
    if finding.clip and finding.clip.kind == "video" and face.windows:
        end = max(finding.clip.seconds, face.last_second)
        room -= len(f"{clock(0)}  {clock(end)}")
        if room >= SHORTEST_LINE:
            scores = timeline(face, finding.window_thresholds, end, min(LONGEST_LINE, room))
            line = Text.assemble(line, (f"{clock(0)} ", "dim"), scores, (f" {clock(end)}  ", "dim"))
    line.append(why, style="dim")
    line.rstrip()
    return line


def _both(face: Face, finding: Finding, room: int) -> str:
    """What each model said of one face of several; of a single one the reasons tell it."""
    asked = finding.second_opinion
    views = {view.id: view for view in asked.faces} if asked else {}
    if asked is None or face.id not in views or len(views) == 1:
        return ""
    view = views[face.id]
    first, second = percent(view.probability_before), percent(view.fake_probability)
    told = f"{finding.model.name} {first}, {asked.model.name} {second}"
    return told if len(told) <= room else ""


def timeline(face: Face, thresholds: Thresholds, end: float, columns: int) -> Text:
    """A face's windows from 0 to `end` seconds: the higher the block, the more it leans to FAKE."""
    line = Text()
    for column in range(columns):
        start, stop = (end * edge / columns for edge in (column, column + 1))
        scores = [
            window.fake_probability
            for window in face.windows
            if window.start < stop and window.end + _STEP * (window.end - window.start) >= start
        ]
        if scores:
            worst = max(scores)
            block = BLOCKS[min(int(worst * len(BLOCKS)), len(BLOCKS) - 1)]
            line.append(block, style=_lean(worst, thresholds) if face.counted else "dim")
        else:
            line.append(NOT_LOOKED_AT, style="dim")
    return line


def table(rows: Sequence[Row], width: int) -> Iterator[Text]:
    """The findings side by side, a line each, and how many there are of each verdict."""
    words = max(len(_word(row.verdict)) for row in rows)
    numbers = max(len(_said(row.probability)) for row in rows)
    room = max(12, width - words - numbers - 4)
    for row in rows:
        name = shortened(one_line(row.path), room)
        line = Text.assemble(
            (_word(row.verdict).ljust(words), f"bold {COLOURS[row.verdict]}"),
            f"  {_said(row.probability).rjust(numbers)}  {name}",
        )
        if row.why and len(row.why) + 2 <= width - line.cell_len:
            line.append(f"  {row.why}", style="dim")
        yield line
    counts = Counter(row.verdict for row in rows)
    told = [f"{counts[verdict]} {_word(verdict)}" for verdict in Verdict if counts[verdict]]
    yield from map(Text, textwrap.wrap(f"{len(rows)} clips: {', '.join(told)}", width))


def _word(verdict: Verdict) -> str:
    return verdict.value.replace("_", " ")


def _said(probability: float | None) -> str:
    return "" if probability is None else percent(probability)


def _lean(probability: float | None, thresholds: Thresholds) -> str:
    """The colour of a probability."""
    if probability is None:
        return ""
    return COLOURS[verdict_of(probability, thresholds)]


def _facts(finding: Finding, clip: Clip) -> str:
    """What the clip is and what looking at it took."""
    facts = [f"{clip.codec} {clip.width} x {clip.height}"]
    if clip.kind == "video":
        facts.append(clock(clip.seconds))
    facts.append(f"{finding.frames_scored} frame{'s' * (finding.frames_scored != 1)} scored")
    facts.append(f"in {finding.seconds['total']:.1f} s")
    facts.append(f"by {finding.model.name}")
    if asked := finding.second_opinion:
        crops = f"{asked.crops} crop{'s' * (asked.crops != 1)}"
        facts.append(f"{asked.seconds:.1f} s of it by {asked.model.name} ({crops})")
    return ", ".join(facts)


def _indented(text: str, width: int, style: str = "") -> Iterator[Text]:
    for line in textwrap.wrap(text, max(20, width - 2)):
        yield Text(f"  {line}", style=style)


def open_show(as_json: bool) -> Show:
    """Findings for a program or for people, on stdout."""
    if as_json:
        return JsonShow()
    return PeopleShow(open_console())


UNBOUNDED = 10_000


def open_console() -> Console:
    """Stdout, with colours and an edge to wrap at if it is a terminal.

    A pipe or a file gets the same words without a control code, in lines as long as they are.
    """
    # What a terminal's character set lacks becomes a question mark, not an error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if sys.stdout.isatty():
        return Console(highlight=False, emoji=False, markup=False)
    return Console(
        file=sys.stdout,
        width=UNBOUNDED,
        color_system=None,
        highlight=False,
        emoji=False,
        markup=False,
    )
