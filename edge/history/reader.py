"""What was found in the past, as it can be read: visits and their entries.

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
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import ValidationError

from edge.finding import Finding, Verdict
from edge.history.database import FILE, HistoryError, NewerError, connect_reading, is_damage

Origin = Literal["camera", "stick", "inbox", "scan"]

log = logging.getLogger("truelight")

_PAGE = 100
_VISIT = "visits.id, origin, name, began, ended, ending, report"
_ENTRY = "entries.id, visit, judged, finding"


@dataclass(frozen=True)
class Visit:
    """Clips that came together: a stick, a recording, what lay in the inbox."""

    id: int
    origin: str
    """`camera`, `stick`, `inbox` or `scan`."""
    name: str
    began: datetime
    """In UTC, as all times here."""
    ended: datetime | None
    ending: str
    """`complete`, `cancelled`, `pulled out`; empty while it is open, or if the power went."""
    report: str
    """Where the report was put, or why not."""


@dataclass(frozen=True)
class Entry:
    """A finding of a visit, with what its faces look like."""

    id: int
    visit: int
    judged: datetime
    finding: Finding
    portraits: Mapping[int, bytes] = field(default_factory=dict)
    """JPEG by the face's id; the most suspicious faces, if there were many."""
    heat: Mapping[int, bytes] = field(default_factory=dict)
    """JPEG by the face's id: where the network looked. Some or all faces may lack it."""


@dataclass(frozen=True)
class Filter:
    """Which entries or visits are wanted; None is all."""

    verdict: Verdict | None = None
    origin: str | None = None
    visit: int | None = None
    since: datetime | None = None
    """UTC."""
    until: datetime | None = None
    """UTC; what is later, or at this very moment, is left out."""


class Archive:
    """The history, to be read. A context manager; may be used from several threads."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. May be called again."""
        with self._lock:
            self._database.close()

    def visits(self, wanted: Filter | None = None) -> list[Visit]:
        """Visits, the newest first; a verdict wants those with at least one such finding."""
        wanted = wanted or Filter()
        clauses, values = _clauses(wanted, "began")
        if wanted.verdict is not None:
            clauses.append("EXISTS (SELECT 1 FROM entries WHERE visit = visits.id AND verdict = ?)")
            values.append(wanted.verdict.value)
        rows = self._ask(f"SELECT {_VISIT} FROM visits {_where(clauses)} ORDER BY id DESC", values)
        return [_visit(row) for row in rows]

    def visit(self, number: int) -> Visit | None:
        """A visit by its id."""
        rows = self._ask(f"SELECT {_VISIT} FROM visits WHERE id = ?", [number])
        return _visit(rows[0]) if rows else None

    def entries(self, visit: int) -> list[Entry]:
        """What was found in a visit, in the order in which it was judged."""
        rows = self._ask(f"SELECT {_ENTRY} FROM entries WHERE visit = ? ORDER BY id", [visit])
        return [entry for row in rows if (entry := self._entry(row))]

    def entry(self, number: int) -> Entry | None:
        """An entry by its id."""
        rows = self._ask(f"SELECT {_ENTRY} FROM entries WHERE id = ?", [number])
        return self._entry(rows[0]) if rows else None

    def find(self, wanted: Filter | None = None, *, portraits: bool = False) -> Iterator[Entry]:
        """Entries, the newest first, a few at a time; with their pictures if they are wanted."""
        wanted = wanted or Filter()
        clauses, values = _clauses(wanted, "judged")
        if wanted.verdict is not None:
            clauses.append("verdict = ?")
            values.append(wanted.verdict.value)
        query = (
            f"SELECT {_ENTRY} FROM entries JOIN visits ON visits.id = visit "
            f"{_where([*clauses, 'entries.id < ?'])} ORDER BY entries.id DESC LIMIT {_PAGE}"
        )
        below = 2**63 - 1
        while rows := self._ask(query, [*values, below]):
            for row in rows:
                if entry := self._entry(row, portraits=portraits):
                    yield entry
            below = rows[-1][0]

    def counts(self, visit: int) -> dict[Verdict, int]:
        """How many findings of each verdict a visit has; those that it has none of are left out."""
        query = "SELECT verdict, COUNT(*) FROM entries WHERE visit = ? GROUP BY verdict"
        found = dict(self._ask(query, [visit]))
        return {verdict: found[verdict.value] for verdict in Verdict if verdict.value in found}

    def _entry(self, row: tuple[Any, ...], *, portraits: bool = True) -> Entry | None:
        """An entry; None if what was kept makes no sense, which is logged."""
        number, visit, judged, text = row
        try:
            finding = Finding.model_validate_json(text)
        except ValidationError:
            log.warning("Entry %d of the history cannot be understood; it is left out.", number)
            return None
        kept: dict[int, bytes] = {}
        heat: dict[int, bytes] = {}
        if portraits:
            # Of all columns: a file that no writer has brought up to date yet has no heat.
            query = "SELECT * FROM portraits WHERE entry = ? ORDER BY face"
            for _, face, jpeg, *more in self._ask(query, [number]):
                kept[face] = jpeg
                if any(more):
                    heat[face] = more[0]
        return Entry(number, visit, datetime.fromisoformat(judged), finding, kept, heat)

    def _ask(self, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._database.execute(query, values).fetchall()
        except sqlite3.Error as failure:
            raise unreadable(failure) from failure


def open_archive(folder: Path) -> Archive | None:
    """The history in the store's folder, to be read; None if there is none yet.

    Raises:
        HistoryError: it cannot be read.
    """
    file = folder / FILE
    try:
        if not file.exists():
            return None
        if not os.access(file, os.R_OK):
            raise PermissionError
        return Archive(connect_reading(file))
    except NewerError:
        raise HistoryError(
            f"The history at {file} is of a later version of Truelight.", "Update this one."
        ) from None
    except PermissionError:
        raise HistoryError(
            f"The history in {folder} may not be read by this user.", "Use sudo."
        ) from None
    except (sqlite3.Error, OSError) as failure:
        raise unreadable(failure) from failure


def unreadable(failure: Exception) -> HistoryError:
    """What is said when reading fails."""
    if is_damage(failure):
        remedy = "The daemon puts it aside and begins a new one when it starts."
        return HistoryError("The history is damaged.", remedy)
    return HistoryError(f"The history cannot be read: {failure}.", "Check the disk.")


def moment(time: datetime) -> str:
    """A time as it is kept: the order of texts is that of times."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds")


def _visit(row: tuple[Any, ...]) -> Visit:
    number, origin, name, began, ended, ending, report = row
    return Visit(
        id=number,
        origin=origin,
        name=name,
        began=datetime.fromisoformat(began),
        ended=datetime.fromisoformat(ended) if ended else None,
        ending=ending,
        report=report,
    )


def _clauses(wanted: Filter, column: str) -> tuple[list[str], list[Any]]:
    """Conditions on origin and time, with their values."""
    clauses: list[str] = []
    values: list[Any] = []
    for clause, value in (
        ("origin = ?", wanted.origin),
        ("visits.id = ?", wanted.visit),
        (f"{column} >= ?", wanted.since and moment(wanted.since)),
        (f"{column} < ?", wanted.until and moment(wanted.until)),
    ):
        if value is not None:
            clauses.append(clause)
            values.append(value)
    return clauses, values


def _where(clauses: list[str]) -> str:
    return f"WHERE {' AND '.join(clauses)}" if clauses else ""
