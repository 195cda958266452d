"""Opens a clip in a decoder process, and checks everything that comes back.

The decoder process gets the clip's read-only descriptor, shared memory that it cannot resize, and
messages of ten integers. What comes from it is named `untrusted_*` until its range is checked. If
it crashes, hangs or sends invalid data, that costs this clip only: `ClipError`.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from edge.finding import Clip, Part
from edge.scan.frames import Frame
from edge.scan.media.clip_file import ClipFile
from edge.scan.media.decoders import Decoders, Limits, Opening
from edge.scan.media.protocol import (
    ClipError,
    Fault,
    Remark,
    Reply,
    Request,
)
from edge.scan.media.replies import (
    MOST_FRAMES,
    checked,
    failure_of,
    most_pixels,
    read_opened,
    read_part,
    seconds_of,
)
from edge.scan.media.sampling import Sampling

__all__ = ["ClipError", "Frame", "Limits", "OpenClip", "open_clip"]

_MEGAPIXEL = 1_000_000


class OpenClip:
    """A clip in its decoder process; a context manager, used by one thread.

    The process works while the program does other things. `clip` and `frames`
    wait for it and raise ClipError if the clip is unreadable.
    """

    def __init__(
        self,
        file: ClipFile,
        sampling: Sampling,
        limits: Limits,
        decoders: Decoders,
        waiting: Callable[[], None],
    ) -> None:
        self.frames_read = 0
        """Frames decoded so far."""
        self.damaged = False
        """Whether parts could not be read or decoded so far."""
        self.stopped = False
        """Whether the limit of work was reached before all wanted frames were handed out."""
        self.remarks: dict[Remark, int] = {}
        """What must be known of the current part, and was not looked at of the whole file."""
        self.part: Part | None = None
        """The current part of the file; None: the first, which players show."""
        self.seconds: dict[str, float] = {}
        """Seconds by the decoder's own clock: `open`, and at the end `decode`, of all parts."""
        self._sampling = sampling
        self._limits = limits
        self._waiting = waiting
        self._clip: Clip | None = None
        self._pixels: npt.NDArray[np.uint8] | None = None
        self._follows = False
        self._read_before = 0
        self._waited = 0.0
        self._alive_messages = 0
        self._began = time.monotonic()
        if file.size == 0:
            raise ClipError(Fault.EMPTY)
        self._decoders = decoders
        self._process = decoders.open(Opening(file, sampling, limits), waiting)

    @property
    def pid(self) -> int:
        """The decoder process's id."""
        return self._process.pid

    @property
    def clip(self) -> Clip:
        """What the container says, checked; sizes are those of the frames handed out."""
        if self._clip is None:
            self._clip = self._opened()
        return self._clip

    @property
    def expected_frames(self) -> int:
        """The largest number of frames that will be handed out, for showing progress."""
        return self._sampling.most_frames(self.clip.seconds)

    def open_next(self) -> bool:
        """Go on to the next part of the file, once all frames of the current one are handed out.

        False if there is none that can be read, or if the decoder process fails: what it was to
        look at then is in `remarks`. Raises ClipError if it sends invalid data.
        """
        if not self._follows:
            return False
        self._follows = False
        self._process.send(Request.NEXT)
        try:
            message = self._next_reply()
            if message[0] == Reply.DONE:
                self._done(message)
                return False
            kind, number = read_part(message)
            self._clip = self._opened()
            self.part = Part(kind=kind, number=number, clip=self._clip)
        except ClipError as failure:
            self._failed_later(failure)
            return False
        return True

    def frames(self) -> Iterator[Frame]:
        """The wanted frames of the current part in order of time.

        Raises ClipError if decoding fails: of another part than the first, only if the decoder
        process sends invalid data.
        """
        try:
            yield from self._frames()
        except ClipError as failure:
            if self.part is None:
                raise
            self._failed_later(failure)

    def _failed_later(self, failure: ClipError) -> None:
        """Another part than the first failed: `remarks` have counted it already."""
        if failure.fault is Fault.INVALID_DATA:
            raise failure
        self.stopped |= failure.fault is Fault.TOO_MUCH_WORK

    def _frames(self) -> Iterator[Frame]:
        clip = self.clip
        slots = self._fitting_slots(clip)
        pixels = self._slots(slots, clip)
        most, index, last = self.expected_frames, 0, (0, 0.0)
        by_window: Counter[int] = Counter()
        while (message := self._next_or_stop(index))[0] != Reply.DONE:
            slot, window, moment = self._frame(message, slots, last)
            by_window[window] += 1
            if index >= most or by_window[window] > self._sampling.window_frames:
                raise ClipError(Fault.INVALID_DATA)
            yield Frame(index, window, moment, pixels[slot])
            index, last = index + 1, (window, moment)
            self._process.send(Request.RELEASE, slot)
        self._done(message)
        if index == 0 and self.part is None:
            raise ClipError(Fault.NOTHING_DECODED)

    def close(self) -> None:
        """End the decoder process, and start a spare one if wanted. May be called again."""
        self._process.end()
        self._decoders.renew()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Messages: untrusted until checked

    def _fitting_slots(self, clip: Clip) -> int:
        """Frames that wait in shared memory."""
        return max(
            1, min(self._limits.slots, self._limits.shared // (clip.width * clip.height * 3))
        )

    def _slots(self, slots: int, clip: Clip) -> npt.NDArray[np.uint8]:
        """The shared memory as uint8 `[slots, height, width, 3]`."""
        if self._pixels is None:
            largest = most_pixels(self._limits.pixels) * 3
            self._pixels = self._process.share(max(self._limits.shared, largest))
        shape = slots, clip.height, clip.width, 3
        return self._pixels[: math.prod(shape)].reshape(shape)

    def _done(self, message: tuple[int, ...]) -> None:
        untrusted_read, untrusted_damaged, untrusted_decode, untrusted_stopped = message[1:5]
        self._progress(untrusted_read, untrusted_damaged)
        self.stopped |= bool(checked(untrusted_stopped, 0, 1))
        self._follows = bool(checked(message[5], 0, 1))
        self._spend("decode", untrusted_decode)

    def _opened(self) -> Clip:
        message = self._next_reply()
        clip = read_opened(message, self._limits.pixels)
        self._spend("open", message[8])
        # It decodes the first frames while this side gets ready for them.
        self._slots(slots := self._fitting_slots(clip), clip)
        self._process.send(Request.START, slots, self._limits.megapixels * _MEGAPIXEL)
        return clip

    def _spend(self, stage: str, untrusted_microseconds: int) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds_of(untrusted_microseconds)

    def _frame(
        self, message: tuple[int, ...], slots: int, last: tuple[int, float]
    ) -> tuple[int, int, float]:
        if message[0] != Reply.FRAME:
            raise ClipError(Fault.INVALID_DATA)
        untrusted_slot, untrusted_window, untrusted_time, untrusted_read, untrusted_damaged, *_ = (
            message[1:]
        )
        slot = checked(untrusted_slot, 0, slots - 1)
        window = checked(untrusted_window, last[0], max(last[0], self.expected_frames))
        moment = seconds_of(untrusted_time)
        if moment < last[1]:
            raise ClipError(Fault.INVALID_DATA)
        self._progress(untrusted_read, untrusted_damaged)
        return slot, window, moment

    def _progress(self, untrusted_read: int, untrusted_damaged: int) -> None:
        self.frames_read = checked(untrusted_read, self.frames_read, MOST_FRAMES)
        self.damaged = bool(checked(untrusted_damaged, int(self.damaged), 1))

    def _next_or_stop(self, handed_out: int) -> tuple[int, ...]:
        """The next reply; if the work exceeds a limit, what was handed out so far is all."""
        try:
            return self._next_reply()
        except ClipError as refusal:
            if refusal.fault is not Fault.TOO_MUCH_WORK or not handed_out:
                raise
            return (Reply.DONE, self.frames_read, int(self.damaged), 0, 1, 0)

    def _next_reply(self) -> tuple[int, ...]:
        """The next message that is not only ALIVE."""
        while True:
            began = time.monotonic()
            left = self._limits.patience - self._waited
            try:
                message = self._process.receive(began + min(self._limits.silence, left))
            except TimeoutError:
                waited_long = left <= self._limits.silence
                raise ClipError(Fault.TOO_MUCH_WORK if waited_long else Fault.HUNG) from None
            self._waited += time.monotonic() - began
            if message[0] == Reply.FAILED:
                raise failure_of(message)
            if message[0] == Reply.REMARKS:
                counts = zip(Remark, message[1:], strict=False)
                self.remarks = {
                    remark: checked(count, 0, MOST_FRAMES) for remark, count in counts if count
                }
                message = (Reply.ALIVE, self.frames_read)
            if message[0] != Reply.ALIVE:
                return message
            self._alive_messages += 1
            if self._alive_messages > 50 + 10 * (time.monotonic() - self._began):
                raise ClipError(Fault.INVALID_DATA)
            self._progress(message[1], int(self.damaged))
            self._waiting()


def open_clip(
    file: Path | ClipFile,
    sampling: Sampling,
    limits: Limits | None = None,
    *,
    decoders: Decoders | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> OpenClip:
    """Open this file in a decoder process, which `decoders` may have ready; a context manager.

    Raises ClipError if it may not be read. `waiting` is called now and then while it waits.
    """
    with contextlib.ExitStack() as stack:  # the decoder process has its own descriptor
        opened = stack.enter_context(ClipFile(file)) if isinstance(file, Path) else file
        return OpenClip(opened, sampling, limits or Limits(), decoders or Decoders(), waiting)
