"""Which frames of a clip are judged: windows spread over its length.

Pure: times in, choices out. The program and the decoder process both plan from here, so that
neither has to trust the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from edge.scan.media.clip_file import DescriptorFile
    from edge.scan.media.formats import ClipFormat
    from edge.scan.media.protocol import ClipKind, PartKind, Remark

FrameT = TypeVar("FrameT")


class PlannedFrame(NamedTuple):
    """One wanted frame: its window, and its time in seconds from the clip's start."""

    window: int
    time: float


class ChosenFrame(NamedTuple, Generic[FrameT]):
    """A frame that was chosen for a window; `time` is the frame's own, in seconds."""

    window: int
    time: float
    frame: FrameT


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are wanted.

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

    def plan(self, seconds: float) -> list[PlannedFrame]:
        """The wanted times of a clip of this length, ascending; at least one.

        Windows never overlap. A clip shorter than all windows together is covered from its start;
        its last window may then have fewer frames, but at least half of them.
        """
        span = self.window_frames / self.window_rate
        count = max(1, min(self.max_windows, int(seconds / span + 0.5)))
        spare = max(0.0, seconds - span)
        start = spare / 2 if count == 1 else 0.0
        step = max(span, spare / (count - 1)) if count > 1 else span
        planned = [
            PlannedFrame(window, start + window * step + position / self.window_rate)
            for window in range(count)
            for position in range(self.window_frames)
        ]
        within = [each for each in planned if each.time < seconds] or planned[:1]
        if len(within) == 1 and self.window_frames > 1 and seconds > 1e-3:
            # A clip of two frames is no single picture.
            within.append(PlannedFrame(0, seconds / 2))
        return within

    def most_frames(self, seconds: float) -> int:
        """The largest number of frames handed out for a clip of this length."""
        return self.first if self.first is not None else len(self.plan(seconds))


class FrameChooser(Generic[FrameT]):
    """Gives each planned frame the one nearest to it, from frames offered in order of time.

    A frame is chosen at most once a window: where the clip has fewer frames than a window wants,
    the window gets fewer. With `period`, the usual time between frames in seconds, a frame that is
    nearer than half of it is taken at once. Without `keeps`, no frame is kept in memory once one
    was chosen, which matters for very large frames.
    """

    def __init__(
        self, planned: list[PlannedFrame], period: float | None = None, *, keeps: bool = True
    ) -> None:
        self._planned = planned
        self._reach = (period or 0.0) / 2
        self._keeps = keeps
        self._next = 0
        self._previous: tuple[float, FrameT] | None = None
        self._taken: tuple[int, float] | None = None

    @property
    def wanted(self) -> float | None:
        """The time of the next planned frame, seconds; None when all are chosen."""
        return self._planned[self._next].time if self._next < len(self._planned) else None

    def offer(self, time: float, frame: FrameT) -> list[ChosenFrame[FrameT]]:
        """Take the next decoded frame; return what is decided by it, in order of time."""
        chosen: list[ChosenFrame[FrameT]] = []
        while (wanted := self.wanted) is not None and wanted <= time + self._reach:
            before = self._previous
            if before is not None and wanted - before[0] <= time - wanted:
                chosen += self._take(*before)
            else:
                chosen += self._take(time, frame)
        self._previous = (time, frame) if self._keeps or self._taken is None else None
        return chosen

    def finish(self, end: float) -> list[ChosenFrame[FrameT]]:
        """After the last frame, which stands for what is planned before `end`, in seconds.

        It is chosen in any case if nothing was chosen yet.
        """
        chosen: list[ChosenFrame[FrameT]] = []
        if self._previous is None:
            return chosen
        while (wanted := self.wanted) is not None:
            if wanted >= end and self._taken is not None:
                break
            chosen += self._take(*self._previous)
        return chosen

    def _take(self, time: float, frame: FrameT) -> list[ChosenFrame[FrameT]]:
        window = self._planned[self._next].window
        self._next += 1
        if self._taken == (window, time):
            return []
        self._taken = (window, time)
        return [ChosenFrame(window, time, frame)]


def is_between(times: Sequence[float] | None, after: float, until: float) -> bool:
    """Whether one of these times, ascending, lies between two others; yes where none are known."""
    if times is None:
        return True
    place = bisect_right(times, after)
    return place < len(times) and times[place] < until


class Part(NamedTuple):
    """A part of a file that can be opened."""

    kind: PartKind
    number: int
    """For people: its place among its kind, from 1, counting the first part where it is one."""
    position: int = 0
    """Of the track or picture, as its reader counts; 0 for the one that is shown first."""
    file: DescriptorFile | None = None
    """None: the same as of the part that names it."""
    form: ClipFormat | None = None
    """None: what its content says."""


class ClipReader(ABC, Generic[FrameT]):
    """An opened clip in the decoder process: its facts, and its frames in order of time."""

    kind: ClipKind
    codec: int
    """The codec's index in the protocol's table."""
    width: int
    """Of the frames handed out, as is `height`."""
    height: int
    frame_rate = 0.0
    seconds = 0.0
    """The clip's length; 0 for a still picture."""
    period: float | None = None
    """Seconds between frames; None where the rate varies."""
    frame_pixels = 0
    """Of a decoded frame, before it is scaled."""
    large = False
    """Whether frames are so large that none may be kept in memory beside the current one."""
    frames_read = 0
    """Frames decoded so far."""
    damaged = False
    """Whether anything could not be read or decoded so far."""

    def __init__(self, form: ClipFormat) -> None:
        self.form = form
        self.remarks: dict[Remark, int] = {}
        """What must be known of the clip beside its frames; known once all frames are read."""
        self.others: list[Part] = []
        """What else the file holds, likewise."""

    @abstractmethod
    def frames(self) -> Iterator[tuple[float, FrameT]]:
        """Frames with their seconds, from the current position on."""

    @abstractmethod
    def paint(self, frame: FrameT, target: memoryview) -> None:
        """Write a frame as RGB bytes `[height, width, 3]`."""

    @abstractmethod
    def shown_until(self) -> float:
        """Until when the last frame that was read is shown, seconds, as far as is known."""

    def jump(self, target: float) -> bool:
        """Go on shortly before `target` seconds if that saves work; whether the position moved."""
        return False

    def decode_only(self, times: Sequence[float]) -> None:
        """Frames far from these times (ascending, seconds) need not be decoded."""

    def choose(self, sampling: Sampling) -> Iterator[ChosenFrame[FrameT]]:
        """The wanted frames; each is valid until the next one is asked for."""
        if sampling.first is None:
            yield from self._choose_spread(sampling.plan(self.seconds))
            return
        for index, (time, frame) in enumerate(self.frames()):
            yield ChosenFrame(index // sampling.window_frames, time, frame)
            if index + 1 >= sampling.first:
                return

    def _choose_spread(self, planned: list[PlannedFrame]) -> Iterator[ChosenFrame[FrameT]]:
        keeps = self.period is None or not self.large
        chooser: FrameChooser[FrameT] = FrameChooser(planned, self.period, keeps=keeps)
        self.decode_only([each.time for each in planned])
        frames = self.frames()
        while (wanted := chooser.wanted) is not None:
            if self.jump(wanted):
                frames = self.frames()
            arrived = next(frames, None)
            if arrived is None:
                break
            yield from chooser.offer(*arrived)
            del arrived  # else it would stay in memory while the next one is decoded
        yield from chooser.finish(self.shown_until())
