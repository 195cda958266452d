"""The history's SQLite file: opening, migrations, damage.

With a write-ahead log, readers in other programs never wait for the writer, and a killed program
leaves the file as it was after its last commit. `synchronous` is FULL: a commit is on the disk when
it returns, even if the power fails a moment later. NORMAL could lose findings already shown.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from edge.errors import TruelightError

FILE = "history.sqlite"
_SUFFIXES = ("", "-wal", "-shm")
"""SQLite's files: the database, its log, and the index of the log."""

_PATIENCE = 10.0
"""Seconds to wait for another program that writes."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
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
    (
        "ALTER TABLE visits ADD COLUMN skipped TEXT NOT NULL DEFAULT ''",
        """CREATE TABLE attempts (
            clip TEXT PRIMARY KEY,
            version TEXT NOT NULL,
            crashes INTEGER NOT NULL DEFAULT 0,
            cuts INTEGER NOT NULL DEFAULT 0,
            boot TEXT,
            oom_kills INTEGER NOT NULL DEFAULT 0
        )""",
    ),
    ("ALTER TABLE attempts ADD COLUMN uptime REAL NOT NULL DEFAULT 0",),
)
"""The statements from each version of the tables to the next; an empty file is version 0."""


class HistoryError(TruelightError):
    """The history cannot be read or written."""


class NewerError(Exception):
    """The file was written by a later version of the program."""


def connect(file: Path) -> sqlite3.Connection:
    """Open the file for writing, created or migrated as needed. Autocommit; any thread.

    Raises NewerError, sqlite3.Error, OSError: it cannot be used as it is.
    """
    # It holds faces, so others may not read it. SQLite gives its other files the same mode.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o640))
    database = _open(str(file))
    try:
        for pragma in (
            "auto_vacuum = FULL",  # of a new file; gives deleted pages back to the disk
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",  # what someone deletes is gone
            "journal_size_limit = 4194304",
        ):
            database.execute(f"PRAGMA {pragma}")
        migrate(database, MIGRATIONS)
        for table in ("visits", "entries", "portraits"):  # find damage now rather than later
            database.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT 1").fetchall()
    except BaseException:
        database.close()
        raise
    return database


def connect_reading(file: Path) -> sqlite3.Connection | None:
    """Open an existing file for reading only, while another program may write it. Any thread.

    None if it has no tables yet: a writer is just creating it, or was killed doing so. Raises
    NewerError, sqlite3.Error: it cannot be used as it is.
    """
    address = file.resolve().as_uri()
    database = _open(f"{address}?mode=ro", uri=True)
    try:
        version = _version(database)
    except sqlite3.OperationalError:
        # No program has it open, and this user may not create the index of the log beside it.
        if any(file.with_name(file.name + suffix).exists() for suffix in _SUFFIXES[1:]):
            raise
        database.close()
        database = _open(f"{address}?immutable=1", uri=True)
        version = _version(database)
    if 0 < version <= len(MIGRATIONS):
        return database
    database.close()
    if version:
        raise NewerError
    return None


def _open(place: str, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(
        place, uri=uri, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )


def migrate(database: sqlite3.Connection, migrations: Sequence[Sequence[str]]) -> None:
    """Bring the tables to the latest version; each migration is done whole or not at all.

    Raises NewerError: their version is later than that.
    """
    if _version(database) > len(migrations):
        raise NewerError
    while (version := _version(database)) < len(migrations):
        with database:  # commits, or rolls back
            database.execute("BEGIN IMMEDIATE")
            if _version(database) == version:  # no other program was faster
                for statement in migrations[version]:
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {version + 1}")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


_DAMAGE = frozenset(
    (
        *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT),
        *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR_SHORT_READ),
    )
)
"""The last two: a table or a page is missing."""


def is_damage(failure: Exception) -> bool:
    """Whether the file itself is damaged; after other failures it may be intact."""
    code = getattr(failure, "sqlite_errorcode", 0)
    return code in _DAMAGE or code & 0xFF in _DAMAGE


def put_aside(file: Path, now: datetime) -> Path:
    """Rename the database with all its files; the new path."""
    stem = f"{file.stem}-damaged-{now:%Y%m%dT%H%M%SZ}"
    aside, number = file.with_name(f"{stem}{file.suffix}"), 1
    while aside.exists():
        number += 1
        aside = file.with_name(f"{stem}-{number}{file.suffix}")
    for suffix in reversed(_SUFFIXES):
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
