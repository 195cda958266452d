"""Which frames of a clip are looked at: windows spread over its length.

Pure: times in, choices out. The decoder and the parent both plan from here, so that neither has to
believe the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:  # the child imports this and does without numpy
    import numpy as np
    import numpy.typing as npt

FrameT = TypeVar("FrameT")


@dataclass(frozen=True)
class Frame:
    """One decoded picture. `pixels` is valid until the next frame is asked for."""

    index: int
    """Running number of the frames handed out, from 0."""
    window: int
    """The window it belongs to, from 0, ascending."""
    time: float
    """Seconds from the clip's first picture."""
    pixels: npt.NDArray[np.uint8]
    """uint8 `[height, width, 3]`, RGB, upright, square pixels, read-only."""


class Slot(NamedTuple):
    """One wanted frame: the window it belongs to and its time in seconds from the clip's start."""

    window: int
    time: float


class Choice(NamedTuple, Generic[FrameT]):
    """A frame that was chosen for a window; `time` is the frame's own, in seconds."""

    window: int
    time: float
    frame: FrameT


@dataclass(frozen=True)
class Sampling:
    """How a clip is looked at.

    `window_frames` frames at `window_rate` Hz make a window; at most `max_windows` of them are
    spread evenly over the clip. With `first`, the first that many consecutive frames are taken
    instead, whatever their rate, and every `window_frames` of them make a window.
    """

    window_frames: int
    window_rate: float
    max_windows: int
    first: int | None = None

    def __post_init__(self) -> None:
        counts = (self.window_frames, self.max_windows, 1 if self.first is None else self.first)
        if min(counts) < 1 or not 0.0 < self.window_rate <= 1000.0:
            raise ValueError("a sampling needs at least one frame, one window and a rate over 0")

    def slots(self, seconds: float) -> list[Slot]:
        """The wanted times of a clip of this length, ascending; at least one.

        Windows never overlap. A clip shorter than all windows together is covered from its start;
        its last window may then have fewer slots, but at least half of them.
        """
        span = self.window_frames / self.window_rate
        count = max(1, min(self.max_windows, int(seconds / span + 0.5)))
        spare = max(0.0, seconds - span)
        start = spare / 2 if count == 1 else 0.0
        step = max(span, spare / (count - 1)) if count > 1 else span
        planned = [
            Slot(window, start + window * step + position / self.window_rate)
            for window in range(count)
            for position in range(self.window_frames)
        ]
        return [slot for slot in planned if slot.time < seconds] or planned[:1]

    def most_frames(self, seconds: float) -> int:
        """No more frames than this are handed out for a clip of this length."""
        return self.first if self.first is not None else len(self.slots(seconds))


class Chooser(Generic[FrameT]):
    """Gives each slot the frame nearest to it, from frames offered in order of time.

    A frame is chosen at most once a window: where the clip has fewer frames than the window has
    slots, the window gets fewer. With `period`, the usual time between frames in seconds, a frame
    that is nearer than half of it is taken at once. Without `keeps`, no frame is kept back for a
    slot between it and the next, which matters for very large frames.
    """

    def __init__(
        self, slots: list[Slot], period: float | None = None, *, keeps: bool = True
    ) -> None:
        self._slots = slots
        self._reach = (period or 0.0) / 2
        self._keeps = keeps
        self._next = 0
        self._previous: tuple[float, FrameT] | None = None
        self._taken: tuple[int, float] | None = None

    @property
    def wanted(self) -> float | None:
        """The time of the next slot without a frame, seconds; None when all are served."""
        return self._slots[self._next].time if self._next < len(self._slots) else None

    def offer(self, time: float, frame: FrameT) -> list[Choice[FrameT]]:
        """Take the next decoded frame; give back what is decided by it, in order of time."""
        chosen: list[Choice[FrameT]] = []
        while (wanted := self.wanted) is not None and wanted <= time + self._reach:
            before = self._previous
            if before is not None and wanted - before[0] <= time - wanted:
                chosen += self._take(*before)
            else:
                chosen += self._take(time, frame)
        self._previous = (time, frame) if self._keeps or self._taken is None else None
        return chosen

    def finish(self, end: float) -> list[Choice[FrameT]]:
        """No more frames: the last one stands for the slots before `end`, in seconds.

        It stands for the first slot in any case, if nothing was chosen yet.
        """
        chosen: list[Choice[FrameT]] = []
        if self._previous is None:
            return chosen
        while (wanted := self.wanted) is not None:
            if wanted >= end and self._taken is not None:
                break
            chosen += self._take(*self._previous)
        return chosen

    def _take(self, time: float, frame: FrameT) -> list[Choice[FrameT]]:
        window = self._slots[self._next].window
        self._next += 1
        if self._taken == (window, time):
            return []
        self._taken = (window, time)
        return [Choice(window, time, frame)]
