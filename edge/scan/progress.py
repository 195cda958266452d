"""How far a scan is, as it is told to whoever shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["opening", "looking", "judging"]


@dataclass(frozen=True)
class Progress:
    """Where one clip stands; `seconds_left` is an estimate, None while nothing is known yet."""

    stage: Stage
    frames_done: int = 0
    frames_expected: int = 0
    seconds_left: float | None = None


ProgressListener = Callable[[Progress], None]
"""Whoever is told; it may raise `Cancelled`."""


class Cancelled(Exception):  # noqa: N818 (nothing went wrong)
    """Raised by a listener to end the scan at once: there will be no finding."""


class ProgressReporter:
    """Tells a listener of a scan's progress and reckons how long the rest will take."""

    def __init__(self, listener: ProgressListener | None) -> None:
        self._listener = listener
        self._expected = 0
        self._start = 0.0
        self._last: tuple[Stage, int] = ("opening", 0)

    def tell(self, stage: Stage, done: int = 0) -> None:
        """Say that `stage` goes on and that `done` frames have been looked at."""
        self._last = stage, done
        if self._listener:
            self._listener(Progress(stage, done, self._expected, self._left(done)))

    def again(self) -> None:
        """Say the same once more: work goes on, though nothing new came of it yet."""
        self.tell(*self._last)

    def expect(self, frames: int) -> None:
        """Start the clock: so many frames will come."""
        self._expected = frames
        self._start = time.monotonic()

    def _left(self, done: int) -> float | None:
        if not done:
            return None
        return (time.monotonic() - self._start) / done * max(0, self._expected - done)
