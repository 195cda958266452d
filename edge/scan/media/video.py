"""A clip's file opened with FFmpeg: decoded frames with their times, and jumps along the clip.

Runs in the child only. The file is read through a descriptor that is already open, FFmpeg is told
the demuxer instead of guessing, and whatever it wants to open besides is refused: a clip cannot
make it read another file.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from edge.scan.media.protocol import CODECS, Fault, Kind, RefusedError
from edge.scan.media.sniff import Form
from edge.scan.media.timestamps import Beat, steady

_BUFFER_BYTES = 65536
_THREADS = 2
LARGE_PIXELS = 4096 * 2304
_MOST_SECONDS = 30 * 24 * 3600.0
_DECODERS = ",".join((*CODECS, "libdav1d", "libvpx", "libvpx-vp9", "flv", "libwebp"))
# Without an index a jump is a guess: worth it over a long stretch, and aimed before the target.
_BLIND_STRETCH = 12.0
_BLIND_LEADS = (4.0, 20.0)
_INDEXED_STRETCH = 0.5
_LONGEST_SHOWN = 60.0
# A clip that ends this much before it claims to has lost its end.
_MISSING_END = 1.0

ERRORS = (av.error.FFmpegError, ValueError, RuntimeError, OSError)


class Bounds(NamedTuple):
    """Sizes the child keeps to by itself, in pixels; the parent checks what comes out anyway."""

    frame_pixels: int
    video_pixels: int
    picture_pixels: int

    def most_pixels(self, form: Form) -> int:
        """The most that is decoded of this kind of clip.

        Pictures without loss take three times the memory a pixel, and more.
        """
        if form.kind is Kind.VIDEO:
            return self.video_pixels
        return self.picture_pixels // (1 if form.container in ("jpg", "webp") else 3)


class DescriptorFile:
    """A read-only file over a descriptor; it keeps its own place, so that two can share one."""

    name = "clip"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._place = 0

    def read(self, count: int) -> bytes:
        """Up to `count` bytes from where it stands."""
        data = os.pread(self._descriptor, count, self._place)
        self._place += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as files do."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        """Where it stands, bytes."""
        return self._place


class Footage(Iterator[tuple[float, av.VideoFrame]]):
    """The pictures of one clip in order of time: (seconds from the first picture, frame).

    `alive` is called with the number of decoded frames while work goes on. Raises RefusedError when
    the clip cannot be opened or not one picture can be decoded.
    """

    def __init__(
        self, descriptor: int, form: Form, bounds: Bounds, alive: Callable[[int], None]
    ) -> None:
        self.form = form
        self._descriptor = descriptor
        self._bounds = bounds
        self._alive = alive
        self.frames_read = 0
        self.damaged = False
        self.seconds = 0.0
        self._last_end = 0.0
        self._wanted: Sequence[float] | None = None
        self._origin: int | None = None
        self._floor = -1.0
        self._can_jump = self.form.seekable
        self._aimed_at = -1.0
        self.period: float | None = None
        """Seconds between frames; None where the frame rate varies."""
        self._open()
        self.period = _steady_period(self._stream)
        self._pending: tuple[float, av.VideoFrame] | None = next(self._source, None)
        if self._pending is None:
            raise RefusedError(Fault.NOTHING_DECODED)
        self.seconds = self._length()

    def __next__(self) -> tuple[float, av.VideoFrame]:
        arrived, self._pending = self._pending, None
        while arrived is None or arrived[0] <= self._floor:
            arrived = next(self._source, None)
            if arrived is None:
                self.damaged |= self.end + _MISSING_END < self.seconds
                raise StopIteration
        self._floor = arrived[0]
        return arrived

    @property
    def ahead(self) -> av.VideoFrame:
        """The first picture, before it is handed out. Not kept: it can be very large."""
        if self._pending is None:
            raise RefusedError(Fault.NOTHING_DECODED)
        return self._pending[1]

    @property
    def end(self) -> float:
        """Until when the last picture that was read is shown, seconds, as far as is known."""
        return self._floor + min(max(self._last_end - self._floor, 0.0), _LONGEST_SHOWN)

    @property
    def kind(self) -> Kind:
        """A moving format that holds one frame is a picture all the same."""
        single = not self.form.seekable and self._stream.frames == 1
        return Kind.IMAGE if single else self.form.kind

    @property
    def codec(self) -> int:
        """The codec's place in the border's table."""
        return _codec_number(self._stream)

    @property
    def aspect(self) -> Fraction | None:
        """Width of a stored pixel over its height; None if the clip does not say."""
        context: Any = self._stream.codec_context
        return self._stream.sample_aspect_ratio or context.sample_aspect_ratio

    @property
    def frame_rate(self) -> float:
        """Mean frames a second; 0 if the clip does not say."""
        return float(self._stream.average_rate or self._stream.guessed_rate or 0)

    def hurry(self, wanted: Sequence[float]) -> None:
        """Only pictures at these times (ascending, seconds) matter: others need not be decoded.

        Those that no other picture is built from are then left out, where the frame rate is steady
        and the times are thus known beforehand. The neighbours of a wanted one are always decoded.
        """
        self._wanted = wanted

    def jump(self, target: float) -> bool:
        """Go on at the last key picture before `target` seconds, if that saves work.

        Says whether it did. Whatever was handed out before is not handed out again. A jump that
        lands wrong is mended by decoding from the start.
        """
        leads = self._leads(target) if target != self._aimed_at else ()
        self._aimed_at = target
        for lead in leads:
            if self._seek(target - lead):
                landed = next(self._source, None)
                if landed is not None and landed[0] <= target + (self.period or 0.0) / 2:
                    self._can_jump = landed[0] > self._floor
                    self._pending = landed
                    return True
        if leads:
            self._can_jump = False
            self._open()
        return bool(leads)

    def _leads(self, target: float) -> tuple[float, ...]:
        stands = self._pending[0] if self._pending is not None else self._floor
        if not self._can_jump or target - stands < _INDEXED_STRETCH:
            return ()
        index = self._stream.index_entries
        place = index.search_timestamp(self._stamp(target)) if len(index) else -1
        if place >= 0 and self._seconds(index[place].timestamp) > stands + _INDEXED_STRETCH:
            return (0.0, *_BLIND_LEADS)
        return _BLIND_LEADS if target - stands > _BLIND_STRETCH else ()

    def _seek(self, target: float) -> bool:
        try:
            self._container.seek(self._stamp(max(0.0, target)), stream=self._stream)
        except ERRORS:
            return False
        self._source = self._decoded()
        return True

    # Opening ------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._container = self._opened()
        self._stream = _picture_stream(self._container)
        self._check_size()
        context: Any = self._stream.codec_context
        large = context.width * context.height > LARGE_PIXELS
        # Every frame thread holds frames of its own.
        context.thread_type = "SLICE" if large else "AUTO"
        context.thread_count = 1 if self.form.kind is Kind.IMAGE else _THREADS
        context.options = {"max_pixels": str(self._most_pixels)}
        self._source = self._decoded()

    def _opened(self) -> InputContainer:
        try:
            container = av.open(
                DescriptorFile(self._descriptor),
                mode="r",
                format=self.form.demuxer,
                options={
                    "codec_whitelist": _DECODERS,
                    "format_whitelist": av.format.ContainerFormat(self.form.demuxer, "r").name,
                    "protocol_whitelist": "none",
                    "max_pixels": str(self._most_pixels),
                },
                metadata_errors="replace",
                buffer_size=_BUFFER_BYTES,
                io_open=_deny,
            )
        except ERRORS as error:
            short = isinstance(error, MemoryError)
            raise RefusedError(Fault.MEMORY if short else Fault.BROKEN) from None
        return container

    @property
    def _most_pixels(self) -> int:
        return self._bounds.most_pixels(self.form)

    def _check_size(self) -> None:
        context = self._stream.codec_context
        if context.width * context.height > self._most_pixels:
            raise RefusedError(Fault.TOO_LARGE)

    def _length(self) -> float:
        """Seconds from the first picture to the end; packets are counted if nothing else tells."""
        if self.kind is Kind.IMAGE:
            return 0.0
        claims = []
        if self._stream.duration is not None and self._stream.time_base is not None:
            claims.append(float(self._stream.duration * self._stream.time_base))
        if self._container.duration is not None:
            # Matroska tells when the clip ends, the others how long it is.
            start = self._seconds(0) if self.form.demuxer == "matroska" else 0.0
            claims.append(self._container.duration / av.time_base + start)
        believed = [claim for claim in claims if 0.0 < claim < _MOST_SECONDS]
        return believed[0] if believed else min(_MOST_SECONDS, self._measured())

    def _measured(self) -> float:
        container = self._opened()
        stream = _picture_stream(container)
        end, packets = 0.0, 0
        try:
            for packet in container.demux(stream):
                packets += 1
                self._alive(self.frames_read)
                if packet.pts is not None:
                    end = max(end, self._seconds(packet.pts + (packet.duration or 0)))
        except ERRORS:
            self.damaged = True
        return end or packets / (self.frame_rate or 25.0)

    # Decoding -----------------------------------------------------------------------------------

    def _decoded(self) -> Iterator[tuple[float, av.VideoFrame]]:
        step = self.period or 1.0 / (self.frame_rate or 25.0)
        return steady(self._stamped(), step, self._doubt)

    def _doubt(self, clock_started_anew: bool) -> None:
        self.damaged |= not clock_started_anew
        if clock_started_anew:
            # Stamps no longer tell the time: decode every frame, one after the other.
            self._can_jump = False
            self.period = None

    def _stamped(self) -> Iterator[tuple[float | None, av.VideoFrame]]:
        packets = self._container.demux(self._stream)
        beat = Beat(self.period)
        ended = False
        while not ended:
            try:
                packet = next(packets, None)
            except ERRORS:
                self.damaged = True
                packet = None
            ended = packet is None or not packet.size
            if packet is not None and packet.pts is not None:
                self._last_end = self._seconds(packet.pts + (packet.duration or 0))
                if not beat.holds(self._seconds(packet.pts)):
                    self.period = None
            for frame in self._frames_of(None if ended else packet):
                self.frames_read += 1
                yield self._stamp_of(frame), frame
                del frame  # else it would stay in memory while the next one is decoded
            self._alive(self.frames_read)

    def _frames_of(self, packet: av.Packet[VideoStream] | None) -> list[av.VideoFrame]:
        context: Any = self._stream.codec_context
        try:
            if packet is not None:
                self.damaged |= packet.is_corrupt
                context.skip_frame = "DEFAULT" if self._matters(packet) else "NONREF"
            frames: list[av.VideoFrame] = context.decode(packet)
        except EOFError:
            return []
        except ERRORS:
            self.damaged = True
            return []
        self.damaged |= any(frame.is_corrupt for frame in frames)
        return frames

    def _matters(self, packet: av.Packet[VideoStream]) -> bool:
        if self._wanted is None or self.period is None or packet.pts is None:
            return True
        reach = 1.5 * self.period
        time = self._seconds(packet.pts)
        place = bisect_left(self._wanted, time - reach)
        return place < len(self._wanted) and self._wanted[place] <= time + reach

    # Times --------------------------------------------------------------------------------------

    def _stamp_of(self, frame: av.VideoFrame) -> float | None:
        stamp = frame.pts if frame.pts is not None else frame.dts
        if self._origin is None:
            self._origin = stamp or 0
        return None if stamp is None else self._seconds(stamp)

    def _seconds(self, stamp: int) -> float:
        base = self._stream.time_base or Fraction(1, av.time_base)
        return float((stamp - (self._origin or 0)) * base)

    def _stamp(self, seconds: float) -> int:
        base = self._stream.time_base or Fraction(1, av.time_base)
        return int(seconds / base) + (self._origin or 0)


def _deny(*_: object) -> NoReturn:
    raise PermissionError("a clip may not open other files")


def _picture_stream(container: InputContainer) -> VideoStream:
    """The largest moving picture; covers of sound files are none."""
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        raise RefusedError(Fault.NO_PICTURE)
    readable = [stream for stream in streams if _codec_number(stream) >= 0]
    if not readable:
        raise RefusedError(Fault.CODEC)
    chosen = max(readable, key=lambda stream: stream.width * stream.height)
    return chosen


def _codec_number(stream: VideoStream) -> int:
    context: Any = stream.codec_context
    name = context.codec.canonical_name if context is not None else ""
    return CODECS.index(name) if name in CODECS else -1


def _steady_period(stream: VideoStream) -> float | None:
    """Seconds between frames where all the clip's figures agree; None for a variable rate."""
    mean, base = stream.average_rate, stream.base_rate
    if not mean or not base or abs(mean - base) > base / 1000:
        return None
    return float(1 / mean)
