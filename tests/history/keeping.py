"""A history to keep findings in, with a clock that a test may set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge.history.writer import History
from edge.scan.scanner import ScanResult

Looks = dict[str, ScanResult]


class Clock:
    """Goes on by a second whenever it is asked."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def opened(
    folder: Path, megabytes: int = 500, days: int = 365, clock: Clock | None = None
) -> History:
    return History(folder, megabytes, days, clock or Clock())


def keep(history: History, visit: int, look: ScanResult) -> int:
    return history.add(visit, look.finding, look.portraits, look.heat, look.first_frames)
