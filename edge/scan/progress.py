"""The progress of a scan, reported to a listener."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from edge.text import clock, percent

Stage = Literal["opening", "looking", "judging"]

CROP_IN_FRAMES: Final = 3
"""A crop that the second model scores takes about as long as so many frames of the scan: 1.7 on
a quiet PC, 3 to 7 on a busy one."""


@dataclass(frozen=True)
class Progress:
    """The progress on one clip.

    `done` and `expected` count frames and, for the second opinion, crops, each `CROP_IN_FRAMES`.
    `seconds_left` is an estimate; `fake_probability` is the highest of a face by the windows scored
    so far. Both are None while there is none.
    """

    stage: Stage
    done: int = 0
    expected: int = 0
    seconds_left: float | None = None
    fake_probability: float | None = None

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1."""
        return min(1.0, self.done / self.expected) if self.expected else 0.0

    @property
    def numbers(self) -> str:
        """In words, as far as known: "50 % · 0:03 left · fake 41 % so far"."""
        if not self.expected:
            return ""
        parts = [f"{int(self.fraction * 100)} %"]
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

    def report(self, stage: Stage, frames: int = 0, crops: int = 0) -> None:
        """The scan is in `stage`: so many frames were scanned, and crops scored again."""
        self._report(stage, frames + CROP_IN_FRAMES * crops)

    def _report(self, stage: Stage, done: int) -> None:
        self._last = stage, done
        if self._listener:
            left = self._left(done)
            self._listener(Progress(stage, done, self._expected, left, self.fake_probability))

    def repeat(self, stage: Stage | None = None) -> None:
        """Report the same again: a sign of life, or of another stage."""
        last, done = self._last
        self._report(stage or last, done)

    def expect(self, frames: int, crops: int) -> None:
        """So many frames are expected, and crops for the second opinion, if it is asked.

        The first time, the clock starts.
        """
        self._start = self._start if self._expected else time.monotonic()
        self._expected = frames + CROP_IN_FRAMES * crops

    def complete(self) -> None:
        """What was expected and is not done was not needed."""
        self._expected = self._last[1]
        self.repeat()

    def _left(self, done: int) -> float | None:
        if not done:
            return None
        return (time.monotonic() - self._start) / done * max(0, self._expected - done)
