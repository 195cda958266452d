"""A clip's packets, read with FFmpeg: the video stream, its times and length, and seeking.

Runs in the decoder process only. The file is read through a descriptor that is already open, FFmpeg
is told the demuxer instead of guessing, and may open nothing else: a clip cannot make it read
another file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

import av
import av.audio.stream
import av.error
import av.subtitles.stream  # PyAV imports these when it opens a file; the sandbox forbids that
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from edge.scan.media.clip_file import ClipFormat, DescriptorFile
from edge.scan.media.protocol import CODECS, ClipError, Fault

FrameT = TypeVar("FrameT")

ERRORS = (av.error.FFmpegError, ValueError, RuntimeError, OSError)
USUAL_RATE = 25.0

_BUFFER_BYTES = 65536
_MOST_SECONDS = 30 * 24 * 3600.0
_DECODERS = ",".join((*CODECS, "libdav1d", "libvpx", "libvpx-vp9", "flv"))
# A stamp this far from the one before is believed only if the following one bears it out.
_LEAP = 5.0
_LAPSE = 1.0
_TICK = 1e-6
# As a fraction of the period. Matroska rounds its times to milliseconds.
_OFF_RATE = 0.3
_MOST_REORDERED = 16


class Demuxer:
    """One clip's video stream, once `restart` has opened it."""

    def __init__(self, descriptor: int, form: ClipFormat, max_pixels: int) -> None:
        self.damaged = False
        """Whether packets could not be read."""
        self.origin: int | None = None
        """Time stamp of the clip's first frame, from which seconds count; set by the decoder."""
        self._descriptor = descriptor
        self._form = form
        self._max_pixels = max_pixels

    def restart(self) -> None:
        """Open the file at its start, with a fresh decoder. Raises ClipError."""
        self._container = self._opened()
        self.stream = _video_stream(self._container)
        context = self.stream.codec_context
        if context.width * context.height > self._max_pixels:
            raise ClipError(Fault.TOO_LARGE)

    @property
    def codec(self) -> int:
        """The codec's index in the protocol's table."""
        return _codec_number(self.stream)

    @property
    def aspect(self) -> Fraction | None:
        """Width of a stored pixel over its height; None if the clip does not say."""
        context: Any = self.stream.codec_context
        return self.stream.sample_aspect_ratio or context.sample_aspect_ratio

    @property
    def frame_rate(self) -> float:
        """Mean frames a second; 0 if the clip does not say."""
        return float(self.stream.average_rate or self.stream.guessed_rate or 0)

    @property
    def period(self) -> float | None:
        """Seconds between frames if all figures of the clip agree; None for a variable rate."""
        mean, base = self.stream.average_rate, self.stream.base_rate
        if not mean or not base or abs(mean - base) > base / 1000:
            return None
        return float(1 / mean)

    def packets(self) -> Iterator[av.Packet[VideoStream]]:
        """The stream's packets from the current position on, in decoding order."""
        yield from self._packets(self._container, self.stream)

    def seek(self, target: float) -> bool:
        """Move to the last key frame before `target` seconds; False if that fails."""
        try:
            self._container.seek(self._stamp(max(0.0, target)), stream=self.stream)
        except ERRORS:
            return False
        return True

    def indexed_key_frame(self, target: float) -> float | None:
        """The last key frame before `target` by the container's index; None without one."""
        index = self.stream.index_entries
        place = index.search_timestamp(self._stamp(target)) if len(index) else -1
        return self.seconds_of(index[place].timestamp) if place >= 0 else None

    def seconds_of(self, stamp: int) -> float:
        """A time stamp of the stream in seconds from the first frame."""
        base = self.stream.time_base or Fraction(1, av.time_base)
        return float((stamp - (self.origin or 0)) * base)

    def length(self, alive: Callable[[], None]) -> float:
        """Seconds from the first frame to the end; all packets are read if no header says it.

        `alive` is called for each packet.
        """
        claims = []
        if self.stream.duration is not None and self.stream.time_base is not None:
            claims.append(float(self.stream.duration * self.stream.time_base))
        if self._container.duration is not None:
            # Matroska says when the clip ends, the others how long it is.
            start = self.seconds_of(0) if self._form.demuxer == "matroska" else 0.0
            claims.append(self._container.duration / av.time_base + start)
        believed = [claim for claim in claims if 0.0 < claim < _MOST_SECONDS]
        return believed[0] if believed else min(_MOST_SECONDS, self._measured(alive))

    def _measured(self, alive: Callable[[], None]) -> float:
        container = self._opened()
        end, packets = 0.0, 0
        for packet in self._packets(container, _video_stream(container)):
            packets += 1
            alive()
            if packet.pts is not None:
                end = max(end, self.seconds_of(packet.pts + (packet.duration or 0)))
        return end or packets / (self.frame_rate or USUAL_RATE)

    def _packets(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[av.Packet[VideoStream]]:
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    return
                yield packet
        except ERRORS:
            self.damaged = True

    def _stamp(self, seconds: float) -> int:
        base = self.stream.time_base or Fraction(1, av.time_base)
        return int(seconds / base) + (self.origin or 0)

    def _opened(self) -> InputContainer:
        demuxer = self._form.demuxer
        try:
            return av.open(
                DescriptorFile(self._descriptor),
                mode="r",
                format=demuxer,
                options={
                    "codec_whitelist": _DECODERS,
                    "format_whitelist": av.format.ContainerFormat(demuxer, "r").name,
                    "protocol_whitelist": "none",
                    "max_pixels": str(self._max_pixels),
                },
                metadata_errors="replace",
                buffer_size=_BUFFER_BYTES,
                io_open=_deny,
            )
        except ERRORS as error:
            no_memory = isinstance(error, MemoryError)
            raise ClipError(Fault.MEMORY if no_memory else Fault.BROKEN) from None


def _deny(*_: object) -> NoReturn:
    raise PermissionError("a clip may not open other files")


def _video_stream(container: InputContainer) -> VideoStream:
    """The largest readable one; the cover picture of an audio file is none."""
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        raise ClipError(Fault.NO_PICTURE)
    readable = [stream for stream in streams if _codec_number(stream) >= 0]
    if not readable:
        raise ClipError(Fault.CODEC)
    return max(readable, key=lambda stream: stream.width * stream.height)


def _codec_number(stream: VideoStream) -> int:
    context: Any = stream.codec_context
    name = context.codec.canonical_name if context is not None else ""
    return CODECS.index(name) if name in CODECS else -1


# Times: pure --------------------------------------------------------------------------------------


def steady_times(
    stamped: Iterable[tuple[float | None, FrameT]],
    step: float,
    on_doubt: Callable[[bool], None],
) -> Iterator[tuple[float, FrameT]]:
    """Frames with ascending times in seconds, from frames with their stamps in seconds or None.

    A frame whose stamp leaps ahead or falls back is dropped if the next one does not bear it out.
    Where the recording's clock restarted, time goes on from where it was. `step` is the usual time
    between frames, for those without a stamp. `on_doubt` is called with False when a frame was
    dropped and with True when the clock restarted.
    """
    last: float | None = None
    shift = 0.0
    suspect: tuple[float, FrameT] | None = None
    for stamp, frame in stamped:
        usual = 0.0 if last is None else last + step
        time = usual if stamp is None else stamp + shift
        if suspect is not None and last is not None:
            if last <= suspect[0] <= time:
                last = suspect[0]
                yield suspect
            elif suspect[0] <= time < last:
                restart = usual - suspect[0]
                shift, time, last = shift + restart, time + restart, usual
                on_doubt(True)
                yield usual, suspect[1]
            else:
                on_doubt(False)
            suspect = None
        if last is not None and not last - _LAPSE <= time <= last + _LEAP:
            suspect = (time, frame)
            continue
        last = time if last is None else max(time, last + _TICK)
        yield last, frame
        del frame  # else it would stay in memory while the next one is decoded
    if suspect is not None and last is not None and suspect[0] > last:
        yield suspect


class SteadyRate:
    """Whether frames have a steady period, by the times of packets in decoding order.

    Containers claim a rate for clips that have none.
    """

    def __init__(self, period: float | None) -> None:
        self._period = period
        self._first: float | None = None
        self._latest = 0.0
        self._count = 0

    def holds(self, time: float) -> bool:
        """Add the next packet's time, seconds; False once a frame was off the rate or missing."""
        if self._period is None:
            return False
        if self._first is None:
            self._first = self._latest = time
        periods = (time - self._first) / self._period
        self._count += 1
        self._latest = max(self._latest, time)
        missing = (self._latest - self._first) / self._period - self._count
        if abs(periods - round(periods)) > _OFF_RATE or missing > _MOST_REORDERED:
            self._period = None
        return self._period is not None
