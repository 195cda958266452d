"""A clip's packets, read with FFmpeg: the video stream, its times and length, and seeking.

Runs in the decoder process only. The file is read through a descriptor that is already open; FFmpeg
gets the demuxer by name and may open nothing else, so a clip cannot make it read another file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any, NoReturn

import av
import av.audio.stream
import av.error
import av.subtitles.stream  # PyAV imports these when it opens a file; the sandbox forbids that
from av.container import InputContainer
from av.index import IndexEntries
from av.video.stream import VideoStream

from edge.scan.media import structure
from edge.scan.media.clip_file import DescriptorFile, too_large
from edge.scan.media.formats import ClipFormat
from edge.scan.media.protocol import CODECS, ClipError, Fault
from edge.scan.media.streams import codec_number, video_streams
from edge.scan.media.timestamps import Packet, PacketIndex

ERRORS = (av.error.FFmpegError, ValueError, RuntimeError, OSError)
USUAL_RATE = 25.0

_BUFFER_BYTES = 65536
_MOST_SECONDS = 30 * 24 * 3600.0
_LEAST_RATE, _MOST_RATE = 0.01, 300.0
_AGREEMENT = 0.5
_FAR_PACKETS = 250
_MARGIN = 4096
_BARE_STREAMS = frozenset(("h264", "hevc", "m4v", "mpegvideo", "mjpeg"))
_DECODERS = ",".join((*CODECS, "libdav1d", "libvpx", "libvpx-vp9", "flv"))


class Demuxer:
    """One clip's video stream, once `restart` has opened it.

    Its packets have numbers, in decoding order, and stamps that never restart.
    """

    def __init__(
        self, file: DescriptorFile, form: ClipFormat, max_pixels: int, track: int = 0
    ) -> None:
        """`track` chooses among the video streams that can be read; see `VideoStreams`."""
        self.damaged = False
        """Whether packets could not be read."""
        self.origin: int | None = None
        """Time stamp of the clip's first frame, from which seconds count; set by the decoder."""
        self.position = 0
        """Number of the next packet."""
        self.tracks: list[int] = []
        """The numbers of the video streams that can be read, the default one first."""
        self.unreadable_tracks = 0
        self.behind: DescriptorFile | None = None
        """Another video that lies behind the last packet."""
        self.index: PacketIndex | None = None
        self._file = file
        self._form = form
        self._max_pixels = max_pixels
        self._track = track
        self._can_seek = form.seekable
        self._seen: av.Packet[VideoStream] | None = None
        """Read already, to find out where a seek went."""

    def restart(self) -> None:
        """Open the file at its start, with a fresh decoder. Raises ClipError."""
        self._container = self._opened()
        self.stream = self._chosen(self._container)
        self.position, self._seen = 0, None
        context = self.stream.codec_context
        if context.width * context.height > self._max_pixels:
            raise too_large(context.width * context.height, self._max_pixels)

    @property
    def codec(self) -> int:
        """The codec's index in the protocol's table."""
        return codec_number(self.stream)

    @property
    def aspect(self) -> Fraction | None:
        """Width of a stored pixel over its height; None if the clip does not say."""
        context: Any = self.stream.codec_context
        return self.stream.sample_aspect_ratio or context.sample_aspect_ratio

    @property
    def frame_rate(self) -> float:
        """Mean frames a second, by the packets; else what the clip says, or 0."""
        index = self.index
        if index is not None and len(index) > 1 and index.seconds and not index.counted:
            return min(_MOST_RATE, len(index) / index.seconds)
        return self._stated_rate

    @property
    def period(self) -> float | None:
        """Seconds between frames if all figures of the clip agree; None for a variable rate."""
        if self.index is not None and self.index.counted:
            return 1 / self._stated_rate
        mean, base = self.stream.average_rate, self.stream.base_rate
        if not mean or not base or abs(mean - base) > base / 1000:
            return None
        return float(1 / mean)

    @property
    def _stated_rate(self) -> float:
        rates = [self.stream.average_rate, self.stream.guessed_rate]
        if self._form.demuxer in _BARE_STREAMS:
            rates.reverse()  # the demuxer's own rate is a constant
        believed = [float(rate) for rate in rates if rate and _LEAST_RATE <= rate <= _MOST_RATE]
        return believed[0] if believed else USUAL_RATE

    def make_index(self, alive: Callable[[], None]) -> PacketIndex:
        """Note all packets in a pass over the file; `alive` is called for each."""
        stream = self._chosen(container := self._opened())
        base = float(stream.time_base or Fraction(1, av.time_base))
        entries, noted = stream.index_entries, None
        if self._form.demuxer == "mov" and len(entries):
            film = structure.read_mov(self._file.part())
            self.damaged |= film.truncated
            noted = None if film.fragments else _noted_entries(entries)
        elif self._form.demuxer in {"matroska", "avi"}:
            self.damaged |= structure.is_cut_short(self._file.part())
        packets = noted if noted is not None else self._noted(container, stream, alive)
        self.index = PacketIndex(packets, base, self._stated_rate)
        # Some demuxers take the beginning of what lies behind for a packet.
        last = max(0, min(self.index.last_place, self._file.size) - _MARGIN)
        place = structure.video_behind(self._file, last)
        if place is not None:
            self.behind = self._file.part(place)
            self._file = self._file.part(0, place)
            self.damaged = False
            self.restart()
            return self.make_index(alive)
        self._can_seek &= not (self.index.restarts or self.index.counted)
        return self.index

    def packets(self) -> Iterator[av.Packet[VideoStream]]:
        """The stream's packets from the current position on, in decoding order."""
        index = self.index
        for packet in self._packets(self._container, self.stream):
            if index is not None and index.counted:
                packet.pts = None
                packet.dts = index.time(self.position) if self.position < len(index) else None
            elif index is not None and (shift := index.shift(self.position)):
                packet.pts = _shifted(packet.pts, shift)
                packet.dts = _shifted(packet.dts, shift)
            self.position += 1
            yield packet

    def go_to(self, number: int) -> bool:
        """Move forward to the packet of this number, a key frame; False if that fails.

        The file must then be opened at its start. Packets are read and thrown away; FFmpeg seeks
        only where that can be checked.
        """
        index = self.index
        if index is None or number < self.position:
            return False
        if number - self.position > _FAR_PACKETS and self._can_seek and index.places:
            self._can_seek = self._seek(index, number)
            if not self._can_seek:
                return False
        for _ in self._packets(self._container, self.stream, number - self.position):
            self.position += 1
        context: Any = self.stream.codec_context
        context.flush_buffers()
        return self.position == number

    def _seek(self, index: PacketIndex, number: int) -> bool:
        """Whether FFmpeg lands on a key frame that is known, at or before the packet."""
        try:
            self._container.seek(index.time(number), stream=self.stream)
            first = next(self._packets(self._container, self.stream), None)
        except ERRORS:
            return False
        if first is None or first.pos is None:
            return False
        landed = index.places.get(first.pos, -1)
        if not self.position <= landed <= number:
            return False
        self._seen, self.position = first, landed
        return True

    def seconds_of(self, stamp: int) -> float:
        """A time stamp of the stream in seconds from the first frame."""
        base = self.stream.time_base or Fraction(1, av.time_base)
        return float((stamp - (self.origin or 0)) * base)

    def length(self) -> float:
        """Seconds from the first frame to the end, by the packets.

        Where a header agrees with them, it is more precise: some tables tell when packets are
        decoded, not when frames are shown.
        """
        assert self.index is not None
        seconds = min(_MOST_SECONDS, self.index.seconds)
        if self.stream.duration is not None and self.stream.time_base is not None:
            claim = float(self.stream.duration * self.stream.time_base)
            if abs(claim - seconds) < _AGREEMENT:
                return claim
        return seconds

    def key_before(self, target: float) -> int:
        """Number of the last key frame at or before `target` seconds."""
        return self.index.key_before(self._stamp(target)) if self.index is not None else 0

    def seconds_at(self, number: int) -> float:
        """When a packet is decoded, seconds from the first frame."""
        return self.seconds_of(self.index.time(number)) if self.index is not None else 0.0

    def _chosen(self, container: InputContainer) -> VideoStream:
        streams = video_streams(container, self._form)
        self.tracks, self.unreadable_tracks = streams.numbers, streams.unreadable
        if self._track >= len(streams.readable):
            raise ClipError(Fault.NO_PICTURE)
        return streams.readable[self._track]

    def _noted(
        self, container: InputContainer, stream: VideoStream, alive: Callable[[], None]
    ) -> Iterator[Packet]:
        for packet in self._packets(container, stream):
            alive()
            place = packet.pos if packet.pos is not None else -1
            key, shown = packet.is_keyframe, not packet.is_discard
            yield Packet(packet.dts, packet.pts, packet.duration or 0, key, place, shown)

    def _packets(
        self, container: InputContainer, stream: VideoStream, most: int | None = None
    ) -> Iterator[av.Packet[VideoStream]]:
        """The next packets, at most `most`."""
        if most == 0:
            return
        try:
            if container is self._container and self._seen is not None:
                seen, self._seen = self._seen, None
                most = None if most is None else most - 1
                yield seen
            for packet in islice(container.demux(stream), most):
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
                self._file.part(),
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


def _shifted(stamp: int | None, shift: int) -> int | None:
    return None if stamp is None or abs(stamp + shift) >= 1 << 62 else stamp + shift


def _noted_entries(entries: IndexEntries) -> Iterator[Packet]:
    """Packets by the table of an MP4: when they are decoded, not when they are shown."""
    for entry in entries:
        shown = not entry.is_discard
        yield Packet(entry.timestamp, None, 0, entry.is_keyframe, entry.pos, shown)
