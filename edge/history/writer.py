"""What stays: every finding with its visit and its faces, within bounds, whatever happens.

There is one writer, the daemon. What `add` has returned for is on the disk. When the history grows
too large or entries too old, the oldest go; a damaged file is put aside and a new one begun.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edge.finding import Finding
from edge.history.database import (
    FILE,
    HistoryError,
    NewerError,
    connect,
    is_damage,
    put_aside,
    sizes,
)
from edge.history.reader import Archive, Entry, Filter, Visit, moment, open_archive

__all__ = ["Archive", "Entry", "Filter", "History", "HistoryError", "Visit", "open_archive"]

Answer = TypeVar("Answer")

Pictures = Mapping[int, npt.NDArray[np.uint8]]
"""By the face's id: uint8 `[s, s, 3]` RGB."""

MEGABYTE = 1_000_000

MOST_PORTRAITS = 16
"""Of a clip: a crowd would fill the card. The most suspicious faces are kept."""

_QUALITY = 82
"""Of the JPEGs: about 6 kB for a face of 160 px."""

_AT_A_TIME = 8
"""Entries that go at once when there are too many."""

_MOST_FREE = 4 * MEGABYTE
"""Bytes within the file that may lie idle."""

log = logging.getLogger("truelight")


def _now() -> datetime:
    return datetime.now(UTC)


class History(Archive):
    """The history, to be written. A context manager; may be used from several threads."""

    def __init__(
        self,
        folder: Path,
        most_megabytes: int,
        most_days: int,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """Open the history in the store's folder, which is made if it is not there.

        Raises:
            HistoryError: it cannot be written.
        """
        self._file = folder / FILE
        self._most_bytes = most_megabytes * MEGABYTE
        self._most_age = timedelta(days=most_days)
        self._clock = clock
        self._open: dict[int, tuple[str, str, str]] = {}
        self.remark = ""
        """If the history had to be put aside: a sentence that says so."""
        super().__init__(self._connect(folder))
        self._write(self._prune)

    def close(self) -> None:
        """Let go of the file; visits that are open stay so. May be called again."""
        with self._lock:
            self._open.clear()
            super().close()

    def open_visit(self, origin: str, name: str) -> int:
        """Begin a visit from `camera`, `stick`, `inbox` or `scan`; returns its id.

        Raises:
            HistoryError: it cannot be written.
        """
        values = (origin, name, moment(self._clock()))
        query = "INSERT INTO visits (origin, name, began) VALUES (?, ?, ?)"

        def insert(database: sqlite3.Connection) -> int:
            return _new_id(database.execute(query, values))

        visit = self._write(insert)
        self._open[visit] = values
        return visit

    def add(
        self, visit: int, finding: Finding, portraits: Pictures, heat: Pictures | None = None
    ) -> int:
        """Keep a finding and pictures of its faces; returns the entry's id.

        A heat map is kept where there is a portrait.

        When this returns, the entry survives whatever happens to the power.

        Raises:
            HistoryError: it cannot be written, as when the disk is full. What was there stays.
        """
        heat = heat or {}
        pictures = [
            (face, _jpeg(portraits[face]), _jpeg(heat[face]) if face in heat else None)
            for face in _chosen(finding, portraits)
        ]
        values = (visit, moment(self._clock()), finding.verdict, finding.model_dump_json())

        def insert(database: sqlite3.Connection) -> int:
            query = "INSERT INTO entries (visit, judged, verdict, finding) VALUES (?, ?, ?, ?)"
            entry = _new_id(database.execute(query, values))
            rows = [(entry, *picture) for picture in pictures]
            database.executemany("INSERT INTO portraits VALUES (?, ?, ?, ?)", rows)
            self._prune(database, keep=entry)
            return entry

        return self._write(insert)

    def close_visit(self, visit: int, ending: str, report: str) -> None:
        """Say how a visit ended (`complete`, `cancelled`, `pulled out`) and where its report is.

        Raises:
            HistoryError: it cannot be written.
        """
        values = (moment(self._clock()), ending, report, visit)
        query = "UPDATE visits SET ended = ?, ending = ?, report = ? WHERE id = ?"
        self._write(lambda database: database.execute(query, values))
        self._open.pop(visit, None)

    # Writing --------------------------------------------------------------------------------------

    def _write(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Do `work` whole or not at all; on a damaged file do it again on a new one."""
        with self._lock:
            try:
                return self._transact(work)
            except sqlite3.IntegrityError as failure:
                raise HistoryError("There is no such visit in the history.") from failure
            except sqlite3.Error as failure:
                if not is_damage(failure):
                    raise _unwritable(failure) from failure
            self._database.close()
            self._aside("was damaged")
            self._database = self._connect(self._file.parent)
            try:
                return self._transact(work)
            except sqlite3.Error as failure:
                raise _unwritable(failure) from failure

    def _transact(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            answer = work(database)
            database.execute("COMMIT")
        except BaseException:
            database.rollback()
            raise
        # What was freed will be filled again; only much of it goes back to the disk.
        if sizes(database)[1] > _MOST_FREE:
            with contextlib.suppress(sqlite3.OperationalError):
                # As a script: of a single statement Python would make one step, which is one page.
                database.executescript("PRAGMA incremental_vacuum;")
        return answer

    def _connect(self, folder: Path) -> sqlite3.Connection:
        """Open the file, or a new one in its place; open visits are there in either."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                database = connect(self._file)
            except NewerError:
                self._aside("is of a later version of Truelight")
                database = connect(self._file)
            except sqlite3.DatabaseError as failure:
                if not is_damage(failure):
                    raise
                self._aside("was damaged")
                database = connect(self._file)
            rows = [(visit, *values) for visit, values in self._open.items()]
            query = "INSERT OR IGNORE INTO visits (id, origin, name, began) VALUES (?, ?, ?, ?)"
            database.executemany(query, rows)
        except (OSError, sqlite3.Error) as failure:
            raise _unwritable(failure) from failure
        return database

    def _aside(self, why: str) -> None:
        place = put_aside(self._file, self._clock())
        self.remark = f"The history {why}. It lies in {place.name} now; a new one was begun."
        log.warning(self.remark)

    # Limits ---------------------------------------------------------------------------------------

    def _prune(self, database: sqlite3.Connection, keep: int = 0) -> None:
        """Let go of what is too old, and of the oldest while there is too much; not of `keep`."""
        oldest = moment(self._clock() - self._most_age)
        query = "SELECT id FROM entries WHERE judged < ? AND id <> ? ORDER BY id"
        self._drop(database, [row[0] for row in database.execute(query, (oldest, keep))])
        query = "SELECT id, began FROM visits WHERE began < ?"
        self._drop_empty(database, [row[0] for row in database.execute(query, (oldest,))])
        while sizes(database)[0] > self._most_bytes:
            query = f"SELECT id FROM entries WHERE id <> ? ORDER BY id LIMIT {_AT_A_TIME}"
            going = [row[0] for row in database.execute(query, (keep,))]
            if not going:
                return
            self._drop(database, going)

    def _drop(self, database: sqlite3.Connection, entries: list[int]) -> None:
        """Delete entries, and visits that had no others."""
        for entry in entries:
            query = "DELETE FROM entries WHERE id = ? RETURNING visit"
            self._drop_empty(database, database.execute(query, (entry,)).fetchone())

    def _drop_empty(self, database: sqlite3.Connection, visits: list[int]) -> None:
        """Delete those of the visits that are over and hold nothing."""
        query = (
            "DELETE FROM visits WHERE id = ? AND "
            "NOT EXISTS (SELECT 1 FROM entries WHERE visit = visits.id)"
        )
        database.executemany(query, [(visit,) for visit in visits if visit not in self._open])


def _chosen(finding: Finding, portraits: Mapping[int, object]) -> Iterator[int]:
    """The faces whose portraits are kept, in the order of first sight."""
    faces = [face for face in finding.faces if face.id in portraits]
    faces.sort(key=lambda face: (not face.counted, -(face.fake_probability or 0.0)))
    return iter(sorted(face.id for face in faces[:MOST_PORTRAITS]))


def _jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    import cv2

    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert encoded, "any RGB picture can be a JPEG"
    return data.tobytes()


def _new_id(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None, "an INSERT has one"
    return cursor.lastrowid


def _unwritable(failure: Exception) -> HistoryError:
    code = getattr(failure, "sqlite_errorcode", 0) or 0
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return HistoryError(
            "The disk is full: the history cannot be written.",
            "Make room, or lower store.most_megabytes.",
        )
    return HistoryError(f"The history cannot be written: {failure}.", "Check the disk.")
