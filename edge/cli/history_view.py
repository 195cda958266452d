"""How the history looks: lines for people, objects and tables for programs."""

from __future__ import annotations

import csv
import io
import sys
import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from rich.text import Text

from edge.cli.output import COLOURS
from edge.finding import Verdict
from edge.history.reader import Archive, Entry, Filter, Visit
from edge.history.report_page import names, worst_first
from edge.text import one_line, percent, shortened

LISTED = 8
"""Findings of a visit; with `--visit` all."""

COLUMNS = (
    *("id", "visit", "origin", "name", "judged", "path", "sha256", "verdict"),
    *("fake_probability", "faces", "clip_seconds", "model", "model_version", "reasons"),
)


def lines_of(visit: Visit, archive: Archive, wanted: Filter, width: int) -> Iterator[Text]:
    """A visit and its findings, the worst first, in lines of at most `width` columns."""
    head = Text.assemble((f"visit {visit.id}", "bold"), f"  {_local(visit.began)}  ")
    source = one_line(f"{visit.origin} {visit.name}".strip())
    yield head.append(shortened(source, max(8, width - head.cell_len)))
    if visit.ending != "complete":
        yield Text(f"  {visit.ending or 'not ended'}", style="yellow")
    counts = archive.counts(visit.id)
    told = ", ".join(f"{count} {_word(verdict)}" for verdict, count in counts.items())
    yield from _indented(told or "no clips", width)
    if visit.report:
        yield from _indented(f"Report: {one_line(visit.report)}", width)
    within = Filter(wanted.verdict, None, visit.id, wanted.since, wanted.until)
    entries = worst_first(list(archive.find(within)))
    shown = entries if wanted.visit is not None else entries[:LISTED]
    called = names([entry.finding.path for entry in entries])
    cells = [
        (str(entry.id), _word(entry.finding.verdict), _said(entry.finding.fake_probability))
        for entry in shown
    ]
    ids, words, numbers = (
        (max(map(len, column)) for column in zip(*cells, strict=True)) if cells else (0, 0, 0)
    )
    for entry, (number, word, said) in zip(shown, cells, strict=True):
        line = Text.assemble(
            f"  {number.rjust(ids)}  ",
            (word.ljust(words), f"bold {COLOURS[entry.finding.verdict]}"),
            f"  {said.rjust(numbers)}  ",
        )
        yield line.append(shortened(called[entry.finding.path], max(12, width - line.cell_len)))
    if len(shown) < len(entries):
        more = f"and {len(entries) - len(shown)} more: truelight history --visit {visit.id}"
        yield from _indented(more, width)
    yield Text()


def heading(entry: Entry, visit: Visit, width: int) -> Iterator[Text]:
    """Where a finding belongs, and its file's hash."""
    source = f"{visit.origin} {visit.name}".strip()
    yield from _indented(
        one_line(f"finding {entry.id} of visit {visit.id} ({source}), {_local(entry.judged)}"),
        width,
    )
    yield from _indented(f"SHA-256 {entry.finding.sha256 or 'not known'}", width)


def object_of(visit: Visit, archive: Archive, wanted: Filter) -> dict[str, Any]:
    """A visit and, in short, its findings in the order of judging, for programs."""
    within = Filter(wanted.verdict, None, visit.id, wanted.since, wanted.until)
    entries = sorted(archive.find(within), key=lambda entry: entry.id)
    return {
        **_visit_object(visit),
        "counts": {verdict.value: count for verdict, count in archive.counts(visit.id).items()},
        "findings": [
            {
                "id": entry.id,
                "judged": entry.judged.isoformat(),
                "path": entry.finding.path,
                "verdict": entry.finding.verdict.value,
                "fake_probability": entry.finding.fake_probability,
            }
            for entry in entries
        ],
    }


def entry_object(entry: Entry, visit: Visit) -> dict[str, Any]:
    """A finding, whole, for programs."""
    return {
        "id": entry.id,
        "judged": entry.judged.isoformat(),
        "visit": _visit_object(visit),
        "finding": entry.finding.model_dump(mode="json"),
    }


def _visit_object(visit: Visit) -> dict[str, Any]:
    return {
        "id": visit.id,
        "origin": visit.origin,
        "name": visit.name,
        "began": visit.began.isoformat(),
        "ended": visit.ended and visit.ended.isoformat(),
        "ending": visit.ending,
        "report": visit.report,
    }


def write_table(found: Iterable[tuple[Entry, Visit]]) -> None:
    """The findings as CSV, on stdout, in UTF-8."""
    stream = io.TextIOWrapper(sys.stdout.buffer, "utf-8", newline="", write_through=True)
    try:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for entry, visit in found:
            table.writerow([_cell(value) for value in _row(entry, visit)])
        stream.flush()
    finally:
        stream.detach()


def _row(entry: Entry, visit: Visit) -> tuple[object, ...]:
    finding = entry.finding
    return (
        *(entry.id, visit.id, visit.origin, visit.name, entry.judged.isoformat()),
        *(finding.path, finding.sha256, finding.verdict.value, finding.fake_probability),
        *(len(finding.faces), finding.clip and finding.clip.seconds),
        *(finding.model.name, finding.model.version),
        ";".join(reason.code for reason in finding.reasons),
    )


def _cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: names come from strangers."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def _said(probability: float | None) -> str:
    return "" if probability is None else percent(probability)


def _word(verdict: Verdict) -> str:
    return verdict.value.replace("_", " ")


def _indented(text: str, width: int) -> Iterator[Text]:
    for line in textwrap.wrap(text, max(20, width - 2)):
        yield Text(f"  {line}", style="dim")
