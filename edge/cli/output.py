"""What the terminal shows: findings and tables.

On a terminal there are colours; a pipe or a file gets the same words without control codes.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edge.finding import Clip, Face, Finding, Thresholds, Verdict, verdict_of
from edge.text import (
    both_opinions,
    clock,
    count,
    model_text,
    one_line,
    other_parts,
    part_text,
    probability_text,
    shortcomings,
    verdict_text,
)

BLOCKS = "▁▂▃▄▅▆▇█"
NOT_SCORED = "·"
SHORTEST_LINE, LONGEST_LINE = 4, 48
"""Columns of a face's score over time."""
_STEP = 0.15
"""A window's last crop stands for some time after it: at most this part of the window."""

UNBOUNDED = 10_000
"""Columns of a pipe or a file."""

COLOURS = {
    Verdict.REAL: "green",
    Verdict.FAKE: "red",
    Verdict.UNSURE: "yellow",
    Verdict.NO_FACE: "blue",
    Verdict.UNREADABLE: "magenta",
}

# ---- Building blocks


class _Console(Console):
    """Leaves a closed pipe to `edge.cli.main`, as what is printed without rich does."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def open_console() -> Console:
    """Stdout: a terminal with colours that wraps, or a pipe or file that does neither."""
    # A character that the terminal cannot show becomes a question mark, not an error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    plain = _Console(width=UNBOUNDED, color_system=None, highlight=False, emoji=False, markup=False)
    coloured = _Console(highlight=False, emoji=False, markup=False)
    return coloured if sys.stdout.isatty() else plain


def show(console: Console, *parts: RenderableType) -> None:
    """Print parts one below another, without the blanks with which rich fills its lines."""
    for part in parts:
        for segments in console.render_lines(part, pad=False):
            line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
            line.rstrip()
            console.print(line, soft_wrap=True)


def grid(*justify: Literal["left", "right"]) -> Table:
    """A table without lines. The columns named here never shrink; rows may add others that do."""
    table = Table.grid(padding=(0, 2))
    for side in justify:
        table.add_column(justify=side, no_wrap=True)
    return table


def indented(part: RenderableType, style: str = "") -> Padding:
    """A part two columns further right, wrapped there."""
    text = Text(part, style) if isinstance(part, str) else part
    return Padding(text, (0, 0, 0, 2), expand=False)


class Shortened:
    """One line that loses its middle where there is no room: both ends of a name matter.

    A note follows if there is room for all of it.
    """

    def __init__(self, text: str, style: str = "", note: str = "") -> None:
        self._text, self._style, self._note = one_line(text), style, f"  {note}" if note else ""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = cell_len(self._text)
        longest = width + cell_len(self._note)
        return Measurement(min(width, 12), longest).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        text, width = self._text, options.max_width
        note = self._note if cell_len(text + self._note) <= width else ""
        if cell_len(text) > width:
            head = set_cell_size(text, width // 2).rstrip()
            tail = set_cell_size(text[::-1], width - 1 - cell_len(head)).rstrip()[::-1]
            text = f"{head}…{tail}"
        yield Text.assemble((text, self._style), (note, "dim"), no_wrap=True, overflow="crop")


def coloured(verdict: Verdict) -> Text:
    """A verdict in words, in its colour."""
    return Text(verdict_text(verdict), f"bold {COLOURS[verdict]}")


def counts_text(counts: Mapping[Verdict, int]) -> str:
    """How many findings of each verdict: "1 REAL, 3 FAKE"."""
    return ", ".join(
        f"{counts[verdict]} {verdict_text(verdict)}" for verdict in Verdict if counts.get(verdict)
    )


# ---- Findings


class TextOutput:
    """A paragraph for each finding; at the end a table of them all if there are several."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._table = grid("left", "right")
        self._counts: Counter[Verdict] = Counter()

    def finding(self, finding: Finding) -> None:
        """Print the paragraph."""
        verdict, probability = finding.verdict, finding.fake_probability
        show(self._console, *_paragraph(finding), "")
        reason = finding.reasons[0].text if verdict is Verdict.UNREADABLE else ""
        name = Shortened(finding.path, note=reason)
        self._table.add_row(coloured(verdict), probability_text(probability), name)
        self._counts[verdict] += 1

    def end(self) -> None:
        """Print the table."""
        total = self._counts.total()
        if total > 1:
            show(self._console, self._table, f"{total} clips: {counts_text(self._counts)}")


def _paragraph(finding: Finding) -> Iterator[RenderableType]:
    """The lines about one clip."""
    colour = COLOURS[finding.verdict]
    cells: list[RenderableType] = [
        Text(f" {verdict_text(finding.verdict)} ", f"bold reverse {colour}")
    ]
    if finding.fake_probability is not None:
        cells.append(Text(f"{probability_text(finding.fake_probability)} fake", colour))
    headline = grid("left")
    headline.add_row(*cells, Shortened(finding.path, "bold"))
    yield headline
    for reason in finding.reasons:
        yield indented(reason.text)
    faces = grid("left", "right")
    for face in finding.faces:
        faces.add_row(*_face_cells(face, finding, finding.clip_of(face)))
    if finding.faces:
        yield indented(faces)
    if finding.clip:
        yield indented(_facts(finding, finding.clip), "dim")


def _face_cells(face: Face, finding: Finding, clip: Clip | None) -> Iterator[RenderableType]:
    """A face's number, probability, score over time, and why it does not count if so."""
    style = "" if face.counted else "dim"
    colour = _colour(face.fake_probability, finding.thresholds) if face.counted else "dim"
    part = part_text(finding.part_of(face))
    yield Text(f"face {face.id}, {part}" if part else f"face {face.id}", style)
    yield Text(probability_text(face.fake_probability), colour)
    if clip and clip.kind == "video" and face.windows:
        end = max(clip.seconds, face.last_second)
        yield Text(clock(0), "dim", no_wrap=True)
        yield Timeline(face, finding.window_thresholds, end)
        yield Text(clock(end), "dim", no_wrap=True)
    second = finding.second_opinion
    # For a single face the reasons above hold the answers of both models.
    answers = both_opinions(face, finding) if second and len(second.faces) > 1 else ""
    if note := shortcomings(face) or answers:
        yield Text(note, "dim")


class Timeline:
    """A face's scores from 0 to `end` seconds: the higher the block, the more it looks fake."""

    def __init__(self, face: Face, thresholds: Thresholds, end: float) -> None:
        self._face, self._thresholds, self._end = face, thresholds, end

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(SHORTEST_LINE, LONGEST_LINE).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        line, columns = Text(), options.max_width
        for column in range(columns):
            start, stop = (self._end * edge / columns for edge in (column, column + 1))
            scores = [
                window.fake_probability
                for window in self._face.windows
                if window.start < stop and window.end + _STEP * (window.end - window.start) >= start
            ]
            if scores:
                block = BLOCKS[min(int(max(scores) * len(BLOCKS)), len(BLOCKS) - 1)]
                colour = _colour(max(scores), self._thresholds)
                line.append(block, colour if self._face.counted else "dim")
            else:
                line.append(NOT_SCORED, "dim")
        yield line


def _colour(probability: float | None, thresholds: Thresholds) -> str:
    return "" if probability is None else COLOURS[verdict_of(probability, thresholds)]


def _facts(finding: Finding, clip: Clip) -> str:
    """What the clip is, and what judging it cost."""
    facts = [f"{clip.codec} {clip.width} x {clip.height}"]
    if clip.kind == "video":
        facts.append(clock(clip.seconds))
    if finding.parts:
        facts.append(f"with {other_parts(finding)}")
    scored, took = count(finding.frames_scored, "frame"), f"in {finding.seconds['total']:.1f} s"
    facts += [f"{scored} scored", took, f"by {model_text(finding.model)}"]
    if second := finding.second_opinion:
        by = f"{model_text(second.model)} ({count(second.crops, 'crop')})"
        facts.append(f"{second.seconds:.1f} s of it by {by}")
    return ", ".join(facts)
