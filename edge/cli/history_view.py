"""The history as text for people, and as objects and tables for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from edge.cli.output import Shortened, TextOutput, coloured, counts_text, grid, indented, show
from edge.history.export import csv_lines
from edge.history.reader import Entry, Filter, HistoryReader, Visit
from edge.history.report_page import display_names, worst_first
from edge.text import one_line, probability_text

LISTED = 8
"""Findings listed of a visit; with `--visit` all."""


def show_visit(console: Console, visit: Visit, history: HistoryReader, wanted: Filter) -> None:
    """Print a visit and its findings, the most suspicious first."""
    heading = grid("left", "left")
    name = Shortened(f"{visit.origin} {visit.name}".strip())
    heading.add_row(Text(f"visit {visit.id}", "bold"), Text(_local(visit.began)), name)
    show(console, heading)
    if visit.ending != "complete":
        show(console, indented(visit.ending or "not ended", "yellow"))
    show(console, indented(counts_text(history.counts(visit.id)) or "no clips", "dim"))
    for sentence in visit.skipped.sentences():
        show(console, indented(f"Not judged: {sentence}", "dim"))
    if visit.report:
        show(console, indented(f"Report: {one_line(visit.report)}", "dim"))
    entries = worst_first(list(history.find(_within(visit, wanted))))
    shown = entries if wanted.visit is not None else entries[:LISTED]
    names = display_names([entry.finding.path for entry in entries])
    table = grid("right", "left", "right")
    for entry in shown:
        finding = entry.finding
        probability = probability_text(finding.fake_probability)
        name = Shortened(names[finding.path])
        table.add_row(str(entry.id), coloured(finding.verdict), probability, name)
    show(console, *([indented(table)] if shown else []))
    if more := len(entries) - len(shown):
        show(console, indented(f"and {more} more: truelight history --visit {visit.id}", "dim"))
    show(console, "")


def show_entry(console: Console, entry: Entry, visit: Visit) -> None:
    """Print a finding as a scan does, then its visit and the hash of its file."""
    TextOutput(console).finding(entry.finding)
    source = one_line(f"{visit.origin} {visit.name}".strip())
    place = f"finding {entry.id} of visit {visit.id} ({source}), {_local(entry.judged)}"
    digest = f"SHA-256 {entry.finding.sha256 or 'not known'}"
    show(console, indented(place, "dim"), indented(digest, "dim"))


def _within(visit: Visit, wanted: Filter) -> Filter:
    return Filter(wanted.verdict, None, visit.id, wanted.since, wanted.until)


def visit_object(visit: Visit, history: HistoryReader, wanted: Filter) -> dict[str, Any]:
    """A visit and its findings in short, in the order of judging."""
    entries = sorted(history.find(_within(visit, wanted)), key=lambda entry: entry.id)
    return {
        **_visit_keys(visit),
        "counts": {verdict.value: count for verdict, count in history.counts(visit.id).items()},
        "findings": [
            {
                "id": entry.id,
                "judged": entry.judged.isoformat(),
                **entry.finding.model_dump(
                    mode="json", include={"path", "verdict", "fake_probability"}
                ),
            }
            for entry in entries
        ],
    }


def entry_object(entry: Entry, visit: Visit) -> dict[str, Any]:
    """A whole finding with its visit."""
    return {
        "id": entry.id,
        "judged": entry.judged.isoformat(),
        "visit": _visit_keys(visit),
        "finding": entry.finding.model_dump(mode="json"),
    }


def _visit_keys(visit: Visit) -> dict[str, Any]:
    times = {"began": visit.began.isoformat(), "ended": visit.ended and visit.ended.isoformat()}
    skipped = {"skipped": visit.skipped.model_dump(mode="json")}
    return vars(visit) | times | skipped


def print_csv(found: Iterable[tuple[Entry, Visit]]) -> None:
    """Print findings as CSV, in UTF-8."""
    for line in csv_lines(found):
        sys.stdout.buffer.write(line.encode())
    sys.stdout.buffer.flush()


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}"
