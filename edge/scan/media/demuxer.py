"""A clip's packets, read with FFmpeg: the video stream, its times and length, and seeking.

Runs in the decoder process only, on an open descriptor. FFmpeg gets the demuxer by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from time import monotonic
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from edge.scan.media import structure
from edge.scan.media.clip_file import DescriptorFile, too_large
from edge.scan.media.cut_short import CUT_SHORT
from edge.scan.media.formats import ClipFormat
from edge.scan.media.protocol import ClipError, Fault
from edge.scan.media.streams import (
    ERRORS,
    MOST_RATE,
    further_video,
    noted_entries,
    open_container,
    stated_period,
    stated_rate,
    video_streams,
)
from edge.scan.media.timestamps import Packet, PacketIndex, shifted

INDEX_SECONDS = 30.0  # for the pass over the packets, by the clock: slow sticks, network shares
_MOST_SECONDS = 30 * 24 * 3600.0
_AGREEMENT = 0.5
_FAR_PACKETS = 250
_MARGIN = 4096
# Bytes that a seek may read; some containers are searched from front to back.
_SEEK_BYTES = 1 << 26
_LONGEST_GROUP = 10.0


class Demuxer:
    """One clip's video stream, once `restart` has opened it.

    Its packets have numbers, in decoding order, and stamps that never restart.
    """

    def __init__(
        self, file: DescriptorFile, form: ClipFormat, max_pixels: int, track: int = 0
    ) -> None:
        """`track` chooses among the video streams that can be read; see `VideoStreams`."""
        self.damaged = False  # whether packets could not be read
        self.origin: int | None = None
        """Time stamp of the clip's first frame, from which seconds count; set by the decoder."""
        self.position = 0  # number of the next packet
        self.place = 0  # of the stream among all video streams of the file
        self.tracks: list[int] = []  # numbers of what can be read, the default one first
        self.unreadable_tracks = 0
        self.behind: DescriptorFile | None = None  # a video behind the last packet
        self.index: PacketIndex | None = None
        self._file, self._form = file, form
        self._max_pixels, self._track = max_pixels, track
        self._can_seek = form.seekable
        # Read already, to find out where a seek went.
        self._seen: av.Packet[VideoStream] | None = None
        self._has_grown = False  # whether further streams began within the file

    def restart(self) -> None:
        """Open the file at its start, with a fresh decoder. Raises ClipError."""
        self._container = self._opened()
        self.stream = self._chosen(self._container)
        self.position, self._seen = 0, None
        pixels = self.stream.codec_context.width * self.stream.codec_context.height
        if pixels > self._max_pixels:
            raise too_large(pixels, self._max_pixels)

    @property
    def frame_rate(self) -> float:
        """Mean frames a second, by the packets; else what the clip says, or 0."""
        index = self.index
        if index is not None and len(index) > 1 and index.seconds and not index.counted:
            return min(MOST_RATE, len(index) / index.seconds)
        return self._stated_rate

    @property
    def period(self) -> float | None:
        """Seconds between frames if all figures of the clip agree; None for a variable rate."""
        if self.index is not None and self.index.counted:
            return 1 / self._stated_rate
        return stated_period(self.stream)

    @property
    def _stated_rate(self) -> float:
        return stated_rate(self.stream, self._form)

    def make_index(self, alive: Callable[[], None]) -> PacketIndex:
        """Note all packets in a pass over the file; `alive` is called for each."""
        stream = self._chosen(container := self._opened())
        base = float(stream.time_base or Fraction(1, av.time_base))
        entries, noted = stream.index_entries, None
        if self._form.demuxer == "mov" and len(entries):
            film = structure.read_mov(self._file.part())
            self.damaged |= film.truncated
            noted = None if film.fragments else noted_entries(entries)
        elif self._form.demuxer in CUT_SHORT:
            self.damaged |= CUT_SHORT[self._form.demuxer](self._file.part())
        packets = noted if noted is not None else self._noted(container, stream, alive)
        until = monotonic() + INDEX_SECONDS
        self.index = PacketIndex(packets, base, self._stated_rate, lambda: monotonic() < until)
        # Some demuxers take the beginning of what lies behind for a packet.
        last = max(0, min(self.index.last_place, self._file.size) - _MARGIN)
        place = structure.video_behind(self._file, last)
        if place is not None:
            self.behind = self._file.part(place)
            self._file = self._file.part(0, place)
            self.damaged = False
            self.restart()
            return self.make_index(alive)
        if self._has_grown:
            last = self.index.last_place
            self.behind = further_video(self._file, self._form, self._max_pixels, last)
        self._can_seek &= not (self.index.restarts or self.index.counted)
        return self.index

    def behind_restart(self) -> DescriptorFile | None:
        """The transport stream that begins where the clock was reset; None if unknown."""
        place = self.index.restart_place if self.index is not None else -1
        known = self._form.demuxer == "mpegts" and place >= 0
        return self._file.part(structure.program_table(self._file, place)) if known else None

    def packets(self) -> Iterator[av.Packet[VideoStream]]:
        """The stream's packets from the current position on, in decoding order."""
        index = self.index
        for packet in self._packets(self._container, self.stream):
            if index is not None and index.counted:
                packet.pts = None
                packet.dts = index.time(self.position)
            elif index is not None and (shift := index.shift(self.position)):
                packet.pts = shifted(packet.pts, shift)
                packet.dts = shifted(packet.dts, shift)
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

    def is_indexed(self, target: float) -> bool:
        """Whether the packets at `target` seconds are known."""
        return self.index is None or self.index.complete or target < self.index.seconds

    def go_beyond(self, target: float, alive: Callable[[], None]) -> None:
        """Move forward to a key frame about `target` seconds, behind all that is indexed.

        FFmpeg seeks where that can be checked; else packets are read and thrown away, and `alive`
        is called for each.
        """
        index = self.index
        assert index is not None
        if self._can_seek and not self._seek_beyond(index, target):
            self._can_seek = False
            self.restart()
        start = target - min(index.longest_group, _LONGEST_GROUP)
        for packet in () if self._can_seek else self._packets(self._container, self.stream):
            alive()
            stamp = packet.dts if packet.dts is not None else packet.pts
            stamp = index.time(self.position) if index.counted else stamp
            if packet.is_keyframe and stamp is not None and self.seconds_of(stamp) >= start:
                self._seen = packet
                break
            self.position += 1
        context: Any = self.stream.codec_context
        context.flush_buffers()

    def _seek_beyond(self, index: PacketIndex, target: float) -> bool:
        """Whether FFmpeg lands on a key frame behind the index, at or before `target` seconds."""
        self._source.allowance = _SEEK_BYTES
        try:
            self._container.seek(self._stamp(target), stream=self.stream)
            first = next(self._packets(self._container, self.stream), None)
        except ERRORS:
            return False
        finally:
            self._source.allowance = None
        stamp = None if first is None else first.dts if first.dts is not None else first.pts
        if first is None or first.pos is None or stamp is None or not first.is_keyframe:
            return False
        if first.pos <= index.last_place or not index.seconds <= self.seconds_of(stamp) <= target:
            return False
        self._seen, self.position = first, max(self.position, len(index))
        return True

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

        A header that agrees with them is more precise: some tables give the times of decoding.
        """
        assert self.index is not None
        seconds = min(_MOST_SECONDS, self.index.seconds)
        if not self.index.complete:
            # What is not indexed is taken to be as long, byte for byte, as what is.
            indexed = self.index.last_place
            share = self._file.size / indexed if indexed > _MARGIN else 1.0
            return min(_MOST_SECONDS, seconds * max(1.0, share))
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
        chosen = streams.readable[self._track]
        self.place = list(container.streams.video).index(chosen)
        return chosen

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
            # An empty one shows the frame before once more, or is the end.
            filled = (packet for packet in container.demux(stream) if packet.size)
            yield from islice(filled, most)
        except IndexError:
            self._has_grown = True  # PyAV, at the end: it knows the streams of the beginning
        except ERRORS:
            self.damaged = True

    def _stamp(self, seconds: float) -> int:
        base = self.stream.time_base or Fraction(1, av.time_base)
        return int(seconds / base) + (self.origin or 0)

    def _opened(self) -> InputContainer:
        self._source = self._file.part()
        return open_container(self._source, self._form, self._max_pixels)
