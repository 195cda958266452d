"""Past findings, for writing, within bounds of size and age.

There is one writer, the daemon. An entry is on the disk when `add` returns. The oldest entries are
deleted when the history grows too large or they grow too old; a damaged file is renamed and a new
one begun.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from edge.finding import Finding
from edge.history.database import FILE, HistoryError, NewerError, connect, is_damage, put_aside
from edge.history.pictures import Picture, Portraits, rows
from edge.history.reader import Entry, Filter, HistoryReader, Visit, open_history, timestamp
from edge.skipped import Skipped

__all__ = ["Entry", "Filter", "History", "HistoryError", "HistoryReader", "Visit", "open_history"]

Answer = TypeVar("Answer")

MEGABYTE = 1_000_000

_DELETED_AT_ONCE = 8
"""Entries that are deleted together when the history is too large."""

_FIRST_TIME = "2026-01-01"

_DELETE_EMPTY_VISIT = (
    "DELETE FROM visits WHERE id = ? AND NOT EXISTS (SELECT 1 FROM entries WHERE visit = visits.id)"
)

log = logging.getLogger("truelight")


class History(HistoryReader):
    """The history, for writing. A context manager; several threads may use it."""

    def __init__(
        self,
        folder: Path,
        most_megabytes: int,
        most_days: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open the history in the store's folder, which is created if needed.

        Raises HistoryError: it cannot be written.
        """
        self._file = folder / FILE
        self._most_bytes = most_megabytes * MEGABYTE
        self._most_age = timedelta(days=most_days)
        self._clock = clock
        self._open: dict[int, tuple[str, str, str]] = {}
        self._latest = clock()
        """The latest time that is known, of the clock or an entry."""
        self._has_jumped = False
        self.remark = ""
        """If the history had to be renamed: a sentence that says so."""
        super().__init__(self._connect())
        latest = next(self.find(), None)
        self._latest = latest.judged if latest else self._latest
        self.write(self._prune)

    def close(self) -> None:
        """Close the file; open visits stay open. May be called again."""
        with self._lock:
            self._open.clear()
            super().close()

    def open_visit(self, origin: str, name: str) -> int:
        """Begin a visit from `camera`, `stick` or `inbox`; its id.

        Raises HistoryError: it cannot be written.
        """
        values = (origin, name, timestamp(self._clock()))
        query = "INSERT INTO visits (origin, name, began) VALUES (?, ?, ?)"
        visit = self.write(lambda database: _insert(database, query, values))
        self._open[visit] = values
        return visit

    def add(
        self,
        visit: int,
        finding: Finding,
        portraits: Portraits,
        heat: Portraits | None = None,
        first_frames: Picture | None = None,
    ) -> int:
        """Keep a finding, with portraits of its faces and their saliency maps; the entry's id.

        `first_frames` is one picture of them. When this returns, the entry survives a power cut. A
        map is kept where there is a portrait. Raises HistoryError: it cannot be written, as on a
        full disk. Older entries are kept.
        """
        pictures = list(rows(finding, portraits, heat or {}, first_frames))
        values = (visit, timestamp(self._clock()), finding.verdict, finding.model_dump_json())

        def insert(database: sqlite3.Connection) -> int:
            query = "INSERT INTO entries (visit, judged, verdict, finding) VALUES (?, ?, ?, ?)"
            entry = _insert(database, query, values)
            kept = [(entry, *picture) for picture in pictures]
            database.executemany("INSERT INTO portraits VALUES (?, ?, ?, ?)", kept)
            self._prune(database, keep=entry)
            return entry

        return self.write(insert)

    def delete(self, entry: int) -> bool:
        """Delete an entry, and its visit if it was the last; False if there is none."""

        def remove(database: sqlite3.Connection) -> bool:
            query = "DELETE FROM entries WHERE id = ? RETURNING visit"
            visits = database.execute(query, (entry,)).fetchall()
            closed = [row for row in visits if row[0] not in self._open]
            database.executemany(_DELETE_EMPTY_VISIT, closed)
            return bool(visits)

        return self.write(remove)

    def close_visit(
        self, visit: int, ending: str, report: str, skipped: Skipped | None = None
    ) -> None:
        """End a visit: `ending` is `complete`, `cancelled` or `pulled out`.

        Raises HistoryError: it cannot be written.
        """
        text = skipped.model_dump_json() if skipped and skipped.total else ""
        values = (timestamp(self._clock()), ending, report, text, visit)
        query = "UPDATE visits SET ended = ?, ending = ?, report = ?, skipped = ? WHERE id = ?"
        self.write(lambda database: database.execute(query, values))
        self._open.pop(visit, None)

    def move(self, entry: int, visit: int) -> None:
        """Make an entry of a visit that was interrupted one of the visit that goes on with it.

        Raises HistoryError: it cannot be written.
        """

        def move(database: sqlite3.Connection) -> None:
            query = "SELECT visit FROM entries WHERE id = ?"
            before = database.execute(query, [entry]).fetchone()
            database.execute("UPDATE entries SET visit = ? WHERE id = ?", (visit, entry))
            database.execute(_DELETE_EMPTY_VISIT, before)

        self.write(move)

    def write(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Do `work` whole or not at all; if the file is damaged, once more on a new one."""
        with self._lock:
            try:
                return self._transact(work)
            except sqlite3.IntegrityError as failure:
                raise HistoryError("There is no such visit in the history.") from failure
            except sqlite3.Error as failure:
                if not is_damage(failure):
                    raise _unwritable(failure) from failure
            self._database.close()
            self._put_aside("was damaged")
            self._database = self._connect()
            try:
                return self._transact(work)
            except sqlite3.Error as failure:
                raise _unwritable(failure) from failure

    def _transact(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._database:  # commits, or rolls back
            self._database.execute("BEGIN IMMEDIATE")
            return work(self._database)

    def _connect(self) -> sqlite3.Connection:
        """Open the file, or a new one in its place; open visits are in either."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                database = connect(self._file)
            except (NewerError, sqlite3.DatabaseError) as failure:
                newer = isinstance(failure, NewerError)
                if not newer and not is_damage(failure):
                    raise
                self._put_aside("is of a later version of Truelight" if newer else "was damaged")
                database = connect(self._file)
            rows = [(visit, *values) for visit, values in self._open.items()]
            query = "INSERT OR IGNORE INTO visits (id, origin, name, began) VALUES (?, ?, ?, ?)"
            database.executemany(query, rows)
        except (OSError, sqlite3.Error) as failure:
            raise _unwritable(failure) from failure
        return database

    def _is_age_known(self) -> bool:
        """Whether the clock may be right: after a jump forward everything would be too old."""
        before, self._latest = self._latest, self._clock()
        if self._latest - before >= self._most_age and not self._has_jumped:
            self._has_jumped = True
            text = "The clock went from %s to %s: nothing is deleted for its age until a restart."
            log.warning(text, f"{before:%Y-%m-%d}", f"{self._latest:%Y-%m-%d}")
        return not self._has_jumped

    def _put_aside(self, why: str) -> None:
        aside = put_aside(self._file, self._clock())
        self.remark = f"The history {why}. It is now {aside.name}; a new one was begun."
        log.warning(self.remark)

    def _prune(self, database: sqlite3.Connection, keep: int = 0) -> None:
        """Delete entries that are too old, and the oldest while there is too much.

        Never `keep`, and none of an open visit: its report is still to be made. If those alone are
        too much, the oldest portraits among them go.
        """
        open_visits = ", ".join(map(str, self._open)) or "0"
        free = f"visit NOT IN ({open_visits}) AND id <> ?"
        visits = self._delete_old(database, free, keep) if self._is_age_known() else []
        while _used_bytes(database) > self._most_bytes:
            query = (
                f"DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE {free} "
                "ORDER BY id LIMIT ?) RETURNING visit"
            )
            deleted = database.execute(query, (keep, _DELETED_AT_ONCE)).fetchall()
            if not deleted and not self._drop_portraits(database, keep):
                break
            visits += deleted
        closed = [row for row in visits if row[0] not in self._open]
        database.executemany(_DELETE_EMPTY_VISIT, closed)

    def _delete_old(self, database: sqlite3.Connection, free: str, keep: int) -> list[Any]:
        """Delete entries that are too old; the visits that may be empty now.

        A time before this program existed is no age: the clock was not set.
        """
        span = (_FIRST_TIME, timestamp(self._clock() - self._most_age))
        query = f"DELETE FROM entries WHERE judged BETWEEN ? AND ? AND {free} RETURNING visit"
        visits = database.execute(query, (*span, keep)).fetchall()
        query = "SELECT id FROM visits WHERE began BETWEEN ? AND ?"
        return visits + database.execute(query, span).fetchall()

    def _drop_portraits(self, database: sqlite3.Connection, keep: int) -> bool:
        """Delete the portraits of the oldest entry that has some, of a FAKE one last."""
        query = (
            "DELETE FROM portraits WHERE entry IN (SELECT id FROM entries WHERE id <> ? "
            "AND EXISTS (SELECT 1 FROM portraits WHERE entry = entries.id) "
            "ORDER BY verdict = 'FAKE', id LIMIT 1) RETURNING entry"
        )
        return bool(database.execute(query, (keep,)).fetchall())


def _used_bytes(database: sqlite3.Connection) -> int:
    """The size of what the file holds; pages that are free go when the transaction ends."""
    query = (
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    )
    return int(database.execute(query).fetchone()[0])


def _insert(database: sqlite3.Connection, query: str, values: tuple[object, ...]) -> int:
    """The id of the new row."""
    number = database.execute(query, values).lastrowid
    assert number is not None, "an INSERT has one"
    return number


def _unwritable(failure: Exception) -> HistoryError:
    code = getattr(failure, "sqlite_errorcode", 0) or 0
    if code & 0xFF == sqlite3.SQLITE_FULL:
        message = "The disk is full: cannot write the history."
        return HistoryError(message, "Free some space, or lower store.most_megabytes.")
    return HistoryError(f"Cannot write the history: {failure}.", "Check the disk.")
