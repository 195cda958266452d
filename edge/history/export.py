"""Findings as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from edge.history.reader import Entry, Visit

COLUMNS = (
    *("id", "visit", "origin", "name", "judged", "path", "sha256", "verdict"),
    *("fake_probability", "faces", "clip_seconds", "model", "model_version", "reasons"),
)


def csv_lines(found: Iterable[tuple[Entry, Visit]]) -> Iterator[str]:
    """CSV, its header first, a finding a line."""
    buffer = io.StringIO(newline="")
    table = csv.writer(buffer)
    for row in _rows(found):
        table.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _rows(found: Iterable[tuple[Entry, Visit]]) -> Iterator[Iterable[object]]:
    yield COLUMNS
    for entry, visit in found:
        yield [_cell(value) for value in _row(entry, visit)]


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
    """A cell that no spreadsheet reads as a formula: names come from strangers."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value
