"""Past findings, for reading: visits and their entries.

Reading is safe while the daemon writes, in the same program and in others.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from edge.finding import Finding, Verdict
from edge.history.database import FILE, HistoryError, NewerError, connect_reading, is_damage
from edge.history.pictures import FIRST_FRAMES
from edge.skipped import NOTHING_SKIPPED, Skipped

log = logging.getLogger("truelight")

_PAGE = 100
_ENTRY = "entries.id, visit, judged, finding"


@dataclass(frozen=True)
class Visit:
    """Clips that came together: a stick, a recording, what lay in the inbox. Times are UTC."""

    id: int
    origin: str
    """`camera`, `stick` or `inbox`."""
    name: str
    began: datetime
    ended: datetime | None
    ending: str
    """`complete`, `cancelled`, `pulled out`; empty while it is open, or after a power cut."""
    report: str
    """Where the report was put, or why there is none."""
    skipped: Skipped = NOTHING_SKIPPED
    """Files that were found and not judged."""


@dataclass(frozen=True)
class Entry:
    """A finding of a visit, with pictures of its faces."""

    id: int
    visit: int
    judged: datetime
    finding: Finding
    portraits: Mapping[int, bytes] = field(default_factory=dict)
    """JPEG by the face's id; of a crowd the most suspicious faces."""
    heat: Mapping[int, bytes] = field(default_factory=dict)
    """The saliency map as JPEG by the face's id; some or all faces may have none."""
    first_frames: bytes = b""
    """The clip's first frames, small, as one JPEG; empty if there are none."""


@dataclass(frozen=True)
class Filter:
    """The entries or visits to read; None is all."""

    verdict: Verdict | None = None
    origin: str | None = None
    visit: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    text: str | None = None
    """Of entries: what their path contains, in any case."""
    before: int | None = None
    """Of entries: only those with a lower id."""


class HistoryReader:
    """The history, for reading. A context manager; several threads may use it."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. May be called again."""
        with self._lock:
            self._database.close()

    def visits(self, wanted: Filter | None = None) -> list[Visit]:
        """Visits, the newest first; with a verdict, those with at least one such finding."""
        wanted = wanted or Filter()
        where, values = _where(wanted, "began")
        if wanted.verdict is not None:
            where += " AND EXISTS (SELECT 1 FROM entries WHERE visit = visits.id AND verdict = ?)"
            values.append(wanted.verdict.value)
        # All columns: a file that no writer has migrated yet has no skipped files.
        rows = self._query(f"SELECT * FROM visits {where} ORDER BY id DESC", values)
        return [_visit(*row) for row in rows]

    def visit(self, number: int) -> Visit | None:
        """A visit by its id."""
        found = self.visits(Filter(visit=number))
        return found[0] if found else None

    def visit_with_report(self, report: str) -> Visit | None:
        """The visit whose report was put there; of several the newest."""
        rows = self._query("SELECT * FROM visits WHERE report = ? ORDER BY id DESC", [report])
        return _visit(*rows[0]) if rows else None

    def total(self) -> int:
        """How many entries there are."""
        return int(self._query("SELECT COUNT(*) FROM entries", [])[0][0])

    def entries(self, visit: int, *, portraits: bool = True) -> list[Entry]:
        """The entries of a visit, in the order of judging; with their pictures if wanted."""
        rows = self._query(f"SELECT {_ENTRY} FROM entries WHERE visit = ? ORDER BY id", [visit])
        return [entry for row in rows if (entry := self._entry(*row, portraits=portraits))]

    def entries_by_path(self, visit: int) -> dict[str, list[int]]:
        """The ids of the entries of a visit, the latest first, by the path of their finding."""
        query = "SELECT json_extract(finding, '$.path'), id FROM entries WHERE visit = ?"
        found: dict[str, list[int]] = {}
        for path, number in self._query(f"{query} ORDER BY id DESC", [visit]):
            found.setdefault(str(path), []).append(number)
        return found

    def entry(self, number: int) -> Entry | None:
        """An entry by its id."""
        rows = self._query(f"SELECT {_ENTRY} FROM entries WHERE id = ?", [number])
        return self._entry(*rows[0]) if rows else None

    def find(self, wanted: Filter | None = None, *, portraits: bool = False) -> Iterator[Entry]:
        """Entries, the newest first, a page at a time; with their pictures if wanted."""
        wanted = wanted or Filter()
        where, values = _where(wanted, "judged")
        if wanted.verdict is not None:
            where += " AND verdict = ?"
            values.append(wanted.verdict.value)
        if wanted.text is not None:
            where += " AND instr(lower(json_extract(finding, '$.path')), lower(?))"
            values.append(wanted.text)
        query = (
            f"SELECT {_ENTRY} FROM entries JOIN visits ON visits.id = visit "
            f"{where} AND entries.id < ? ORDER BY entries.id DESC LIMIT {_PAGE}"
        )
        below = 2**63 - 1 if wanted.before is None else wanted.before
        while rows := self._query(query, [*values, below]):
            for row in rows:
                if entry := self._entry(*row, portraits=portraits):
                    yield entry
            below = rows[-1][0]

    def counts(self, visit: int) -> dict[Verdict, int]:
        """How many findings of each verdict a visit has; without those that it has none of."""
        query = "SELECT verdict, COUNT(*) FROM entries WHERE visit = ? GROUP BY verdict"
        found = dict(self._query(query, [visit]))
        return {verdict: found[verdict.value] for verdict in Verdict if verdict.value in found}

    def _entry(
        self, number: int, visit: int, judged: str, text: str, *, portraits: bool = True
    ) -> Entry | None:
        """An entry; None if its finding is invalid, which is logged."""
        try:
            finding = Finding.model_validate_json(text)
        except ValidationError:
            log.warning("Skipped entry %d of the history: its finding is invalid.", number)
            return None
        jpegs: dict[int, bytes] = {}
        heat: dict[int, bytes] = {}
        if portraits:
            # All columns: a file that no writer has migrated yet has no heat.
            query = "SELECT * FROM portraits WHERE entry = ? ORDER BY face"
            for _, face, jpeg, *more in self._query(query, [number]):
                jpegs[face] = jpeg
                if any(more):
                    heat[face] = more[0]
        when, first = datetime.fromisoformat(judged), jpegs.pop(FIRST_FRAMES, b"")
        return Entry(number, visit, when, finding, jpegs, heat, first)

    def _query(self, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._database.execute(query, values).fetchall()
        except sqlite3.Error as failure:
            raise _unreadable(failure) from failure


def open_history(folder: Path) -> HistoryReader | None:
    """The history in the store's folder, for reading; None if there is none yet.

    Raises HistoryError: it cannot be read.
    """
    file = folder / FILE
    try:
        if not file.exists():
            return None
        if not os.access(file, os.R_OK):
            raise PermissionError
        database = connect_reading(file)
        return HistoryReader(database) if database else None
    except NewerError:
        message = f"{file} was written by a later version of Truelight."
        raise HistoryError(message, "Update this one.") from None
    except PermissionError:
        message = f"This user may not read the history in {folder}."
        raise HistoryError(message, "Use sudo.") from None
    except (sqlite3.Error, OSError) as failure:
        raise _unreadable(failure) from failure


def _unreadable(failure: Exception) -> HistoryError:
    if is_damage(failure):
        remedy = "The daemon renames it and begins a new one when it starts."
        return HistoryError("The history is damaged.", remedy)
    return HistoryError(f"Cannot read the history: {failure}.", "Check the disk.")


def timestamp(time: datetime) -> str:
    """A time as the file holds it: text that sorts by time."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds")


def _visit(number: int, origin: str, name: str, began: str, ended: str | None, *more: str) -> Visit:
    end = datetime.fromisoformat(ended) if ended else None
    ending, report, *text = more
    skipped = NOTHING_SKIPPED
    if any(text):
        try:
            skipped = Skipped.model_validate_json(text[0])
        except ValidationError:
            log.warning("The list of skipped files of visit %d is invalid.", number)
    return Visit(number, origin, name, datetime.fromisoformat(began), end, ending, report, skipped)


def _where(wanted: Filter, column: str) -> tuple[str, list[Any]]:
    """A WHERE clause on origin, visit and time, with its values."""
    conditions = {
        "origin = ?": wanted.origin,
        "visits.id = ?": wanted.visit,
        f"{column} >= ?": wanted.since and timestamp(wanted.since),
        f"{column} < ?": wanted.until and timestamp(wanted.until),
    }
    chosen = {clause: value for clause, value in conditions.items() if value is not None}
    return f"WHERE {' AND '.join(['TRUE', *chosen])}", list(chosen.values())
