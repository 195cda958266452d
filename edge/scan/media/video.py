"""A video's decoded frames, with times that can be relied on, and jumps along the clip.

Runs in the decoder process only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from math import inf
from typing import Any

import av
from av.codec.context import Flags
from av.video.stream import VideoStream

from edge.scan.media.clip_file import DescriptorFile, PixelLimits
from edge.scan.media.convert import DecodedFrame, FrameConverter, has_interlaced_size, looks_combed
from edge.scan.media.cropping import margins
from edge.scan.media.demuxer import Demuxer
from edge.scan.media.filters import cropped
from edge.scan.media.formats import ClipFormat, still_form
from edge.scan.media.protocol import ClipError, ClipKind, Fault, PartKind, Remark
from edge.scan.media.sampling import ClipReader, Part, is_between
from edge.scan.media.streams import ERRORS, USUAL_RATE, PixelAspect, codec_number
from edge.scan.media.timestamps import SteadyRate, steady_times

_THREADS = 2
_LARGE_PIXELS = 4096 * 2304
# Packets that a jump must leave out to be worth an empty decoder.
_LEAST_JUMP = 12
_LONGEST_SHOWN = 60.0
# Seconds that a jump behind the index must be away from the one before.
_LEAST_JUMP_BEYOND = 10.0
_EARLIER = 1.0
_TICK = 1e-3
# A clip whose frames end this many seconds before its packets has lost its end.
_MISSING_END = 1.0
_PICTURES = frozenset(("gif", "apng", "avif", "heic"))


class VideoReader(ClipReader[DecodedFrame]):
    """One video; interlaced frames come with their neighbours in time.

    `alive` is called with the number of decoded frames while work goes on. With `size`, frames are
    handed out with that width and height, whatever their own is. Raises ClipError when
    the clip cannot be opened or no frame can be decoded.
    """

    def __init__(
        self,
        file: DescriptorFile,
        form: ClipFormat,
        limits: PixelLimits,
        alive: Callable[[int], None],
        size: tuple[int, int] | None = None,
        track: int = 0,
    ) -> None:
        super().__init__(form)
        self._alive = alive
        self._last_end = 0.0
        self._times: Sequence[float] | None = None
        self._latest = -1.0
        self._can_jump = True
        self._jumped_to = -1
        self._jumped_beyond = 0.0
        self._damaged_at_end = False
        self._demuxer = Demuxer(file, form, limits.of(form), track)
        self._restart()
        self._cropped = cropped(margins(file, self._demuxer.place))
        index = self._demuxer.make_index(lambda: alive(self.frames_read))
        self.period = self._demuxer.period
        self._pending = next(self._decoded, None)
        if self._pending is None:
            raise ClipError(Fault.NOTHING_DECODED)
        first = self._pending[1]
        self.frame_pixels = first.width * first.height
        self.large = self.frame_pixels > _LARGE_PIXELS
        stream = self._demuxer.stream
        self.codec, self.frame_rate = codec_number(stream), self._demuxer.frame_rate
        single = form.container in _PICTURES and len(index) == 1
        self.kind = ClipKind.IMAGE if single else form.kind
        self.damaged |= self._demuxer.damaged
        if not single:
            self.seconds = self._demuxer.length()
        self._remark(index.complete, index.counted)
        if not track:
            self._name_others()
        self._aspect = PixelAspect()
        self._converter = FrameConverter(first, self._aspect.of(stream), limits.handed_out, size)
        self.width, self.height = self._converter.width, self._converter.height

    def frames(self) -> Iterator[tuple[float, DecodedFrame]]:
        """See `ClipReader`. Whether a frame is interlaced is its own matter."""
        before: av.VideoFrame | None = None
        last, current = -inf, self._next()
        while current is not None:
            time, frame = current
            # Without a steady rate only the next frame's time tells whether this one is wanted.
            looked = self.period is None and has_interlaced_size(frame)
            following = self._next() if looked else None
            until = following[0] if following is not None else inf
            is_wanted = is_between(self._times, last, until) if looked else self._is_wanted(time)
            if frame.interlaced_frame or (is_wanted and looks_combed(frame)):
                following, looked = following if looked else self._next(), True
                # At an end of the clip the one neighbour stands for both.
                after = following[1] if following is not None else before or frame
                yield time, DecodedFrame(frame, before or after, after)
                before = frame
            else:
                before = None if self.large else frame
                yield time, DecodedFrame(frame)
            last = time
            # Else it would stay in memory while the next one is decoded.
            del current, frame
            current = following if looked else self._next()

    def _finish(self) -> None:
        """All frames are read: what is damaged, and what could not be decoded as one clip."""
        index = self._demuxer.index
        if index is not None and index.last_restart is not None:
            restart = self._demuxer.seconds_of(index.last_restart)
            if self._latest <= restart + _TICK:
                # Not one frame since the last reset of the clock: another codec.
                behind = self._demuxer.behind_restart()
                if behind is None:
                    self.remarks[Remark.OTHER_PARTS] = 1
                else:
                    self.others.append(Part(PartKind.JOINED, 2, file=behind))
                return
        known = self._demuxer.is_indexed(self.seconds)  # else it is an estimate
        self.damaged |= known and self.shown_until() + _MISSING_END < self.seconds
        self.damaged |= self._damaged_at_end

    def _remark(self, complete: bool, counted: bool) -> None:
        """Note what must be known of the clip."""
        if not complete:
            indexed = self._demuxer.index.seconds if self._demuxer.index else 0.0
            self.remarks[Remark.UNINDEXED] = max(1, int(indexed))
        if counted and self.kind is ClipKind.VIDEO:
            self.remarks[Remark.COUNTED_TIMES] = int(self._demuxer.frame_rate * 1000)

    def _name_others(self) -> None:
        """Note what else the file holds."""
        demuxer = self._demuxer
        self.remarks[Remark.OTHER_TRACKS] = demuxer.unreadable_tracks
        self.others += [
            Part(PartKind.TRACK, number, index)
            for index, number in enumerate(demuxer.tracks)
            if index
        ]
        if self.form.container in {"avif", "heic"} and self.kind is ClipKind.VIDEO:
            self.others.append(Part(PartKind.PICTURE, 1, form=still_form(self.form.container)))
        if demuxer.behind is not None:
            self.others.append(Part(PartKind.JOINED, 2, file=demuxer.behind))

    def paint(self, frame: DecodedFrame, target: memoryview) -> None:
        """See `ClipReader`."""
        self._converter.aspect = self._aspect.of(self._demuxer.stream)
        self._converter.paint(frame, target)

    def shown_until(self) -> float:
        """See `ClipReader`."""
        return self._latest + min(max(self._last_end - self._latest, 0.0), _LONGEST_SHOWN)

    def decode_only(self, times: Sequence[float]) -> None:
        """Leave out frames that no other is built from, except the wanted ones' neighbours.

        That needs a steady frame rate: else times are known only after decoding.
        """
        self._times = times

    def jump(self, target: float) -> bool:
        """Go on at the last key frame before `target` seconds if that saves work.

        Returns whether the position moved. A frame that was handed out is not handed out again. A
        jump that lands behind the target is mended by one to an earlier key frame.
        """
        demuxer = self._demuxer
        if not demuxer.is_indexed(target):
            return self._can_jump and self._jump_beyond(target)
        key = demuxer.key_before(target)
        if not self._can_jump or key in {0, self._jumped_to}:
            return False
        if key - demuxer.position < _LEAST_JUMP:
            return False
        self._jumped_to = key
        for number in (key, demuxer.key_before(demuxer.seconds_at(key) - _EARLIER)):
            if not demuxer.go_to(number):
                self._restart()
                if not demuxer.go_to(number):
                    continue
            self._decoded = self._steady()
            landed = next(self._decoded, None)
            if landed is not None and landed[0] <= target + (self.period or 0.0) / 2:
                self._pending = landed
                return True
        self._can_jump = False
        self._restart()
        return True

    def _jump_beyond(self, target: float) -> bool:
        if target < max(self._jumped_beyond, self._latest) + _LEAST_JUMP_BEYOND:
            return False
        self._jumped_beyond = target
        self._demuxer.go_beyond(target, lambda: self._alive(self.frames_read))
        self._decoded, self._pending = self._steady(), None
        return True

    def _restart(self) -> None:
        self._demuxer.restart()
        context: Any = self._demuxer.stream.codec_context
        # Every frame thread holds frames of its own.
        large = context.width * context.height > _LARGE_PIXELS
        context.thread_type = "SLICE" if large else "AUTO"
        context.thread_count = _THREADS
        context.flags |= Flags.unaligned  # else less may be cropped than the clip says
        self._decoded = self._steady()

    def _next(self) -> tuple[float, av.VideoFrame] | None:
        arrived, self._pending = self._pending, None
        while arrived is None or arrived[0] <= self._latest:
            arrived = next(self._decoded, None)
            if arrived is None:
                self._finish()
                return None
        self._latest = arrived[0]
        return arrived

    def _steady(self) -> Iterator[tuple[float, av.VideoFrame]]:
        step = self.period or 1.0 / (self._demuxer.frame_rate or USUAL_RATE)
        return steady_times(self._stamped(), step, self._doubt)

    def _doubt(self, clock_restarted: bool) -> None:
        self.damaged |= not clock_restarted
        if clock_restarted:
            # Stamps no longer tell the time: decode every frame, one after the other.
            self._can_jump = False
            self.period = None

    def _stamped(self) -> Iterator[tuple[float | None, av.VideoFrame]]:
        """Decoded frames with their stamps in seconds."""
        rate = SteadyRate(self.period)
        demuxer = self._demuxer
        for packet in chain(demuxer.packets(), (None,)):
            self.damaged |= demuxer.damaged
            if packet is not None and packet.pts is not None:
                self._last_end = demuxer.seconds_of(packet.pts + (packet.duration or 0))
                if not rate.holds(demuxer.seconds_of(packet.pts)):
                    self.period = None
            for frame in self._frames_of(packet):
                self.frames_read += 1
                stamp = frame.pts if frame.pts is not None else frame.dts
                if demuxer.origin is None:
                    demuxer.origin = stamp or 0
                seconds = None if stamp is None else demuxer.seconds_of(stamp)
                yield seconds, self._cropped(frame)
                del frame  # else it would stay in memory while the next one is decoded
            self._alive(self.frames_read)

    def _frames_of(self, packet: av.Packet[VideoStream] | None) -> list[av.VideoFrame]:
        """What a packet decodes to; None asks for the frames that the decoder still holds."""
        context: Any = self._demuxer.stream.codec_context
        damaged = False
        try:
            if packet is not None:
                damaged = packet.is_corrupt
                context.skip_frame = "DEFAULT" if self._matters(packet) else "NONREF"
            frames: list[av.VideoFrame] = context.decode(packet)
        except EOFError:
            frames = []
        except ERRORS:
            damaged, frames = True, []
        self._note_damage(damaged or any(frame.is_corrupt for frame in frames))
        return frames

    def _note_damage(self, damaged: bool) -> None:
        """Take note of damage to the latest packet or its frames, but for where files are joined.

        Behind the last reset of the clock it may be another codec: see `_finish`.
        """
        index, number = self._demuxer.index, self._demuxer.position - 1
        if not damaged or (index is not None and index.is_joint(number)):
            return
        if index is not None and index.is_behind_restart(number):
            self._damaged_at_end = True
        else:
            self.damaged = True

    def _matters(self, packet: av.Packet[VideoStream]) -> bool:
        return packet.pts is None or self._is_wanted(self._demuxer.seconds_of(packet.pts))

    def _is_wanted(self, time: float) -> bool:
        """Whether a frame of that time, or a neighbour of it, may be chosen."""
        if self._times is None or self.period is None:
            return True
        reach = 1.5 * self.period
        place = bisect_left(self._times, time - reach)
        return place < len(self._times) and self._times[place] <= time + reach
