"""The progress of a scan, reported to a listener."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edge.text import clock, percent

Stage = Literal["opening", "looking", "judging"]


@dataclass(frozen=True)
class Progress:
    """The progress on one clip.

    `seconds_left` is an estimate; `fake_probability` is the highest of a face by the windows scored
    so far. Both are None while there is none.
    """

    stage: Stage
    frames_done: int = 0
    frames_expected: int = 0
    seconds_left: float | None = None
    fake_probability: float | None = None

    @property
    def numbers(self) -> str:
        """In words, as far as known: "48/96 · 0:03 left · fake 41 % so far"."""
        if not self.frames_expected:
            return ""
        parts = [f"{self.frames_done}/{self.frames_expected}"]
        if self.seconds_left is not None:
            parts.append(f"{clock(self.seconds_left + 0.5)} left")
        if self.fake_probability is not None:
            parts.append(f"fake {percent(self.fake_probability)} so far")
        return " · ".join(parts)


ProgressListener = Callable[[Progress], None]
"""Called with the progress; it may raise `Cancelled`."""


class Cancelled(Exception):  # noqa: N818 (not an error)
    """Raised by a listener to end the scan at once, without a finding."""


class ProgressReporter:
    """Reports a scan's progress to a listener, with an estimate of the time left."""

    def __init__(self, listener: ProgressListener | None) -> None:
        self._listener = listener
        self._expected = 0
        self._start = 0.0
        self._last: tuple[Stage, int] = ("opening", 0)
        self.fake_probability: float | None = None
        """The highest of a face so far; reported from the next time on."""

    def report(self, stage: Stage, done: int = 0) -> None:
        """The scan is in `stage` and `done` frames were scanned."""
        self._last = stage, done
        if self._listener:
            left = self._left(done)
            self._listener(Progress(stage, done, self._expected, left, self.fake_probability))

    def repeat(self) -> None:
        """Report the same again: a sign of life."""
        self.report(*self._last)

    def expect(self, frames: int) -> None:
        """`frames` is the expected number of frames; the first time, the clock starts."""
        self._start = self._start if self._expected else time.monotonic()
        self._expected = frames

    def _left(self, done: int) -> float | None:
        if not done:
            return None
        return (time.monotonic() - self._start) / done * max(0, self._expected - done)
