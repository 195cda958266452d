"""Attempts to judge a clip that did not end, in the history's file: by clip, across boots."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass
from typing import Final

from edge.history.writer import History

MOST_CLIPS: Final = 1000
"""How many clips are remembered; the oldest are forgotten."""


@dataclass
class Attempt:
    """What is known against a clip."""

    crashes: int = 0
    """Attempts in which the program crashed."""
    ends: int = 0
    """Attempts in which the program or a machine that had been on for a while ended otherwise."""
    boot: str | None = None
    """Id of the machine's start in which an attempt runs; None if none does."""
    oom_kills: int = 0
    """Programs that the kernel had ended for want of memory when the attempt began."""
    uptime: float = 0.0
    """Seconds for which the machine had been on then."""


def read_attempts(history: History, version: str) -> dict[str, Attempt]:
    """The attempts with this version of the program; those with others are deleted.

    Raises HistoryError: they cannot be read or written.
    """

    def read(database: sqlite3.Connection) -> dict[str, Attempt]:
        database.execute("DELETE FROM attempts WHERE version <> ?", [version])
        query = "SELECT clip, crashes, cuts, boot, oom_kills, uptime FROM attempts"
        return {clip: Attempt(*values) for clip, *values in database.execute(query)}

    return history.write(read)


def write_attempt(history: History, version: str, clip: str, attempt: Attempt | None) -> None:
    """Keep what is known against a clip; None: nothing.

    Raises HistoryError: it cannot be written.
    """

    def write(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM attempts WHERE clip = ?", [clip])
        if attempt:
            values = (clip, version, *astuple(attempt))
            query = (
                "INSERT INTO attempts (clip, version, crashes, cuts, boot, oom_kills, uptime) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)"
            )
            database.execute(query, values)
            database.execute(
                "DELETE FROM attempts WHERE rowid NOT IN "
                "(SELECT rowid FROM attempts ORDER BY rowid DESC LIMIT ?)",
                [MOST_CLIPS],
            )

    history.write(write)
