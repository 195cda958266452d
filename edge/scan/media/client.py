"""Opens a clip in a decoder process, and checks everything that comes back.

The decoder process gets the clip's read-only descriptor, shared memory that it cannot resize, and
a connection for integer messages of a fixed size. What comes from it is named `untrusted_*` until
its range is checked. If it crashes, hangs or sends invalid data, that costs this clip only:
`ClipError`.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from edge.finding import Clip
from edge.scan.frames import Frame
from edge.scan.media.clip_file import ClipFile, PixelLimits
from edge.scan.media.decoders import Decoders
from edge.scan.media.protocol import (
    CODECS,
    CONTAINERS,
    MICROSECONDS,
    OTHER_CODECS,
    ClipError,
    ClipKind,
    Fault,
    Remark,
    Reply,
    Request,
)
from edge.scan.media.sampling import Sampling
from edge.scan.media.unsupported import UNSUPPORTED

__all__ = ["ClipError", "Frame", "Limits", "OpenClip", "open_clip"]

_MOST_SECONDS = 30 * 24 * 3600
_MOST_FRAMES = 10**9
_MEGAPIXEL = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What one clip may cost, whatever it claims. Times in seconds, sizes in pixels or bytes."""

    silence: float = 30.0  # without any message from the decoder process
    patience: float = 120.0  # waiting for it in all
    cpu: int = 60  # its processor time
    megapixels: int = 12_000  # decoded in all: this bounds the work alike on every machine
    pixels: PixelLimits = field(default_factory=PixelLimits)
    memory: int = 1536 * 1024**2  # address space; what is really used is far less
    slots: int = 3  # frames that wait in shared memory; fewer where they are large:
    shared: int = 52_000_000
    grace: float = 1.0  # from one step of ending the process to the next


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
        """What must be known of the clip beside its frames, once all are handed out."""
        self.seconds: dict[str, float] = {}
        """Seconds by the decoder's own clock: `open`, and at the end `decode`."""
        self._sampling = sampling
        self._limits = limits
        self._waiting = waiting
        self._clip: Clip | None = None
        self._waited = 0.0
        self._alive_messages = 0
        self._began = time.monotonic()
        if file.size == 0:
            raise ClipError(Fault.EMPTY)
        self._decoders = decoders
        self._process = decoders.take(waiting)
        self._process.grace = limits.grace
        self._process.send(
            *(Request.OPEN, sampling.window_frames, round(sampling.window_rate * MICROSECONDS)),
            *(sampling.max_windows, sampling.first or 0),
            *(*limits.pixels, limits.cpu, limits.memory),
            clip=file.descriptor,
        )

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

    def frames(self) -> Iterator[Frame]:
        """The wanted frames in order of time. Raises ClipError if decoding fails."""
        clip = self.clip
        fitting = self._limits.shared // (clip.width * clip.height * 3)
        slots = max(1, min(self._limits.slots, fitting))
        pixels = self._process.share(slots, clip.height, clip.width)
        self._process.send(Request.START, slots, self._limits.megapixels * _MEGAPIXEL)
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
        untrusted_read, untrusted_damaged, untrusted_decode, untrusted_stopped, *_ = message[1:]
        self._progress(untrusted_read, untrusted_damaged)
        self.stopped = bool(_checked(untrusted_stopped, 0, 1))
        self.seconds["decode"] = _seconds(untrusted_decode)
        if index == 0:
            raise ClipError(Fault.NOTHING_DECODED)

    def close(self) -> None:
        """End the decoder process, and have one ready for the next clip. May be called again."""
        self._process.end()
        self._decoders.renew()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Messages: untrusted until checked

    def _opened(self) -> Clip:
        message = self._next_reply()
        if message[0] != Reply.OPENED:
            raise ClipError(Fault.INVALID_DATA)
        untrusted_kind, untrusted_container, untrusted_codec = message[1:4]
        untrusted_width, untrusted_height = message[4:6]
        untrusted_duration, untrusted_rate, untrusted_open = message[6:9]
        kind = ClipKind(_checked(untrusted_kind, 0, len(ClipKind) - 1))
        width = _checked(untrusted_width, 1, self._limits.pixels.handed_out)
        height = _checked(untrusted_height, 1, self._limits.pixels.handed_out // width + width)
        _checked(width * height, 1, self._limits.pixels.handed_out + width + height)
        self.seconds["open"] = _seconds(untrusted_open)
        return Clip(
            kind="image" if kind is ClipKind.IMAGE else "video",
            container=CONTAINERS[_checked(untrusted_container, 0, len(CONTAINERS) - 1)],
            codec=CODECS[_checked(untrusted_codec, 0, len(CODECS) - 1)],
            width=width,
            height=height,
            seconds=_seconds(untrusted_duration),
            frame_rate=_checked(untrusted_rate, 0, 10**9) / 1000,
        )

    def _frame(
        self, message: tuple[int, ...], slots: int, last: tuple[int, float]
    ) -> tuple[int, int, float]:
        if message[0] != Reply.FRAME:
            raise ClipError(Fault.INVALID_DATA)
        untrusted_slot, untrusted_window, untrusted_time, untrusted_read, untrusted_damaged, *_ = (
            message[1:]
        )
        slot = _checked(untrusted_slot, 0, slots - 1)
        window = _checked(untrusted_window, last[0], max(last[0], self.expected_frames))
        moment = _seconds(untrusted_time)
        if moment < last[1]:
            raise ClipError(Fault.INVALID_DATA)
        self._progress(untrusted_read, untrusted_damaged)
        return slot, window, moment

    def _progress(self, untrusted_read: int, untrusted_damaged: int) -> None:
        self.frames_read = _checked(untrusted_read, self.frames_read, _MOST_FRAMES)
        self.damaged = bool(_checked(untrusted_damaged, int(self.damaged), 1))

    def _next_or_stop(self, handed_out: int) -> tuple[int, ...]:
        """The next reply; if the work exceeds a limit, what was handed out so far is all."""
        try:
            return self._next_reply()
        except ClipError as refusal:
            if refusal.fault is not Fault.TOO_MUCH_WORK or not handed_out:
                raise
            return (Reply.DONE, self.frames_read, int(self.damaged), 0, 1)

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
                fault = Fault(_checked(message[1], min(Fault), max(Fault)))
                tables = {Fault.UNSUPPORTED: len(UNSUPPORTED) - 1, Fault.CODEC: len(OTHER_CODECS)}
                most = tables.get(fault, _MOST_FRAMES)
                raise ClipError(fault, *(_checked(number, 0, most) for number in message[2:4]))
            if message[0] == Reply.REMARKS:
                counts = zip(Remark, message[1:], strict=False)
                self.remarks = {
                    remark: _checked(count, 0, _MOST_FRAMES) for remark, count in counts if count
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
    """Open this file in a decoder process, without waiting for its answer; a context manager.

    Raises ClipError here if the file does not exist or may not be read; `OpenClip.clip` and
    `OpenClip.frames` raise it for all that only the decoder process finds out. `decoders` may have
    a process ready. `waiting` is called now and then while the program waits.
    """
    with contextlib.ExitStack() as stack:  # the decoder process has its own descriptor
        opened = stack.enter_context(ClipFile(file)) if isinstance(file, Path) else file
        return OpenClip(opened, sampling, limits or Limits(), decoders or Decoders(), waiting)


def _checked(untrusted: int, low: int, high: int) -> int:
    if not low <= untrusted <= high:
        raise ClipError(Fault.INVALID_DATA)
    return untrusted


def _seconds(untrusted_microseconds: int) -> float:
    return _checked(untrusted_microseconds, 0, _MOST_SECONDS * MICROSECONDS) / MICROSECONDS
