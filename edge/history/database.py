"""The history's file: opened for writing or for reading, brought up to date, put aside.

SQLite with a write-ahead log: readers in other programs never wait for the writer, and a program
that is killed leaves the file as it was after its last commit. `synchronous` is FULL, so a commit
is on the disk when it returns, also when the power goes a moment later; NORMAL would keep the file
whole too, but might lose the last findings that people have already seen.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from edge.errors import TruelightError

FILE = "history.sqlite"
_BESIDE = ("", "-wal", "-shm")
"""SQLite's files: the database, its log, and the index of the log."""

_PATIENCE = 10.0
"""Seconds to wait for another program that writes."""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE visits (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            origin TEXT NOT NULL,
            name TEXT NOT NULL,
            began TEXT NOT NULL,
            ended TEXT,
            ending TEXT NOT NULL DEFAULT '',
            report TEXT NOT NULL DEFAULT ''
        )""",
        """CREATE TABLE entries (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            visit INTEGER NOT NULL REFERENCES visits ON DELETE CASCADE,
            judged TEXT NOT NULL,
            verdict TEXT NOT NULL,
            finding TEXT NOT NULL
        )""",
        "CREATE INDEX entries_by_visit ON entries (visit)",
        "CREATE INDEX entries_by_time ON entries (judged)",
        """CREATE TABLE portraits (
            entry INTEGER NOT NULL REFERENCES entries ON DELETE CASCADE,
            face INTEGER NOT NULL,
            jpeg BLOB NOT NULL,
            PRIMARY KEY (entry, face)
        )""",
    ),
    ("ALTER TABLE portraits ADD COLUMN heat BLOB",),
)
"""What leads from each version of the tables to the next; an empty file is version 0."""


class HistoryError(TruelightError):
    """The history cannot be read or written."""


class NewerError(Exception):
    """The file was written by a later version of the program."""


def connect(file: Path) -> sqlite3.Connection:
    """Open the file for writing, made or brought up to date as needed. Autocommit; any thread.

    Raises:
        NewerError, sqlite3.Error, OSError: it cannot be used as it is.
    """
    # Faces lie in it: not for everyone's eyes. SQLite gives its other files the same mode.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o640))
    database = sqlite3.connect(
        file, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect before the first table
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA journal_size_limit = 4194304")
        upgrade(database, STEPS)
        _touch(database)
    except BaseException:
        database.close()
        raise
    return database


def connect_reading(file: Path) -> sqlite3.Connection:
    """Open an existing file for reading only, while another program may write it. Any thread.

    Raises:
        NewerError, sqlite3.Error: it cannot be used as it is.
    """
    database = _connect_reading(file, "mode=ro")
    try:
        _version(database)
    except sqlite3.OperationalError:
        # Nobody has it open, and this user may not lay the log's index beside it.
        if any(file.with_name(file.name + end).exists() for end in _BESIDE[1:]):
            raise
        database.close()
        database = _connect_reading(file, "immutable=1")
    if _version(database) > len(STEPS):
        database.close()
        raise NewerError
    return database


def _connect_reading(file: Path, how: str) -> sqlite3.Connection:
    place = f"{file.resolve().as_uri()}?{how}"
    return sqlite3.connect(
        place, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )


def upgrade(database: sqlite3.Connection, steps: Sequence[Sequence[str]]) -> None:
    """Bring the tables to the latest version; each step is taken whole or not at all.

    Raises:
        NewerError: they are of a version beyond that.
    """
    if _version(database) > len(steps):
        raise NewerError
    while (version := _version(database)) < len(steps):
        database.execute("BEGIN IMMEDIATE")
        try:
            # Another program may have been faster.
            if _version(database) == version:
                for statement in steps[version]:
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {version + 1}")
            database.execute("COMMIT")
        except BaseException:
            database.rollback()
            raise


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _touch(database: sqlite3.Connection) -> None:
    """Read a little of every table: damage shows here rather than in the midst of work."""
    for table in ("visits", "entries", "portraits"):
        database.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT 1").fetchall()


def sizes(database: sqlite3.Connection) -> tuple[int, int]:
    """Bytes of the file that hold something, and bytes that are free to be filled or given back."""
    pages, free, size = (
        int(database.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size, free * size


_DAMAGES = frozenset(
    (
        *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT),
        *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR_SHORT_READ),
    )
)
"""Of the last two: tables or pages that should be there are not."""


def is_damage(failure: Exception) -> bool:
    """Whether the file itself is to blame; after other failures it may be perfectly well."""
    code = getattr(failure, "sqlite_errorcode", 0)
    return code in _DAMAGES or code & 0xFF in _DAMAGES


def put_aside(file: Path, now: datetime) -> Path:
    """Rename the database with all that belongs to it; where it lies now."""
    stem = f"{file.stem}-damaged-{now:%Y%m%dT%H%M%SZ}"
    aside = file.with_name(f"{stem}{file.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = file.with_name(f"{stem}-{number}{file.suffix}")
    for end in reversed(_BESIDE):
        part = file.with_name(file.name + end)
        if part.exists():
            part.rename(aside.with_name(aside.name + end))
    return aside
