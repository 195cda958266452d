"""Times of packets and frames, from stamps that may restart, wrap, lie or be missing. Pure.

A pass over the packets, without decoding, says how long the clip is and where its key frames are;
nothing that a header claims is needed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeVar

FrameT = TypeVar("FrameT")

MOST_PACKETS = 1_500_000
MOST_BYTES = 16 << 30
"""Of the file, up to the last packet that is indexed."""

# Seconds. A stamp further than this from the one before is believed only if the next one bears it
# out. Frames are shown in another order than they are decoded in.
_LAPSE = 1.0
_DECODING_LAPSE = 0.2
_LEAP = 5.0
# A leap that is longer than any pause is a clock that was reset.
_PAUSE = 60.0
_TICK = 1e-6
_MOST_STAMP = 1 << 60
_MOST_PLACES = 100_000
# Packets before and behind a joint whose errors are the joint's.
_JOINT = 4
# As a fraction of the period. Matroska rounds its times to milliseconds.
_OFF_RATE = 0.3
_MOST_REORDERED = 16


class Packet(NamedTuple):
    """What is noted of a packet; times in units of the stream."""

    dts: int | None
    pts: int | None
    duration: int
    key: bool
    place: int
    """Its byte in the file; -1 if unknown."""
    shown: bool = True
    """Whether its frame is shown, and not only needed by others."""

    @property
    def stamp(self) -> int | None:
        """When it is decoded, else when it is shown."""
        return self.dts if self.dts is not None else self.pts


class PacketIndex:
    """The packets of one stream in decoding order, by their number.

    `base` is the stream's unit in seconds, `rate` its frames a second where stamps say nothing.
    No further packet is indexed once `in_time` is false.
    """

    def __init__(
        self,
        packets: Iterable[Packet],
        base: float,
        rate: float,
        in_time: Callable[[], bool] = lambda: True,
    ) -> None:
        self.keys: list[int] = []
        """Numbers of the key frames."""
        self.places: dict[int, int] = {}
        """From the byte of a key frame's packet to its number, for the first of them."""
        self.last_place = 0
        """The byte of the last packet in the file."""
        self.complete = True
        """Whether all packets are indexed."""
        self.counted = False
        """Whether stamps say nothing, and times follow from the number of frames."""
        self._base = base
        self._first: int | None = None
        self._end = 0
        self._missing = 0
        self._times = array("q")
        """When each packet is decoded, in the stream's units, without restarts."""
        self._restart: int | None = None
        self.restart_place = -1
        """The byte of the first packet after the last reset of the clock; -1 if unknown."""
        self._starts = [0]
        self._shifts = [0]
        """From which packet on how much is to be added to stamps."""
        self._step = step = 1 / (rate * base)
        self._in_time = in_time
        self._read(packets, max(1, round(step)))
        if self._are_useless():
            self.counted, self._starts, self._shifts = True, [0], [0]
            self._times = array("q", (round(n * step) for n in range(len(self._times))))
            self._first, self._end = 0, round(len(self._times) * step)

    def __len__(self) -> int:
        return len(self._times)

    @property
    def restarts(self) -> int:
        """How often the clock was reset."""
        return len(self._starts) - 1

    @property
    def seconds(self) -> float:
        """From the first frame to the end of the last one."""
        return max(0.0, (self._end - (self._first or 0)) * self._base)

    @property
    def last_restart(self) -> int | None:
        """When the first frame after the last reset of the clock is shown; None without a reset."""
        return self._restart

    def is_behind_restart(self, number: int) -> bool:
        """Whether a packet lies behind the last reset of the clock."""
        return self.restarts > 0 and number >= self._starts[-1]

    def is_joint(self, number: int) -> bool:
        """Whether a packet lies where the clock was reset: there nothing is damage."""
        place = bisect_right(self._starts, number + _JOINT)
        return place > 1 and self._starts[place - 1] >= number - _JOINT

    def shift(self, number: int) -> int:
        """What to add to the stamps of a packet."""
        return self._shifts[bisect_right(self._starts, number) - 1]

    def time(self, number: int) -> int:
        """When a packet is decoded, in the stream's units, without restarts.

        Where times are counted, also of a packet behind the index.
        """
        return round(number * self._step) if self.counted else self._times[number]

    def key_before(self, stamp: int) -> int:
        """Number of the last key frame that is decoded at or before `stamp`; 0 without one."""
        place = bisect_right(self.keys, stamp, key=lambda number: self._times[number])
        return self.keys[place - 1] if place else 0

    @property
    def longest_group(self) -> float:
        """The longest distance of key frames, seconds."""
        times = [self._times[number] for number in self.keys]
        steps = (after - before for before, after in pairwise(times))
        return max(steps, default=0) * self._base

    def _read(self, packets: Iterable[Packet], step: int) -> None:
        lapses = round(_LAPSE / self._base), round(_DECODING_LAPSE / self._base)
        leap, pause = (max(step, round(seconds / self._base)) for seconds in (_LEAP, _PAUSE))
        last: int | None = None
        suspect: Packet | None = None
        for number, packet in enumerate(packets):
            if number >= MOST_PACKETS or packet.place > MOST_BYTES or not self._in_time():
                self.complete = False
                break
            if max(abs(packet.dts or 0), abs(packet.pts or 0)) > _MOST_STAMP:
                packet = packet._replace(dts=None, pts=None)  # noqa: PLW2901
            stamp = packet.stamp
            lapse = lapses[packet.dts is not None]
            self._missing += stamp is None
            self.last_place = max(self.last_place, packet.place)
            if suspect is not None and suspect.stamp is not None and stamp is not None:
                if -lapse <= stamp - suspect.stamp <= leap:
                    # The clock was reset: time goes on from where it was.
                    shown = suspect.stamp if suspect.pts is None else suspect.pts
                    self._restart, self.restart_place = self._end, suspect.place
                    self._starts.append(number - 1)
                    self._shifts.append(self._end - shown)
                    last = self._times[-1] = suspect.stamp + self._shifts[-1]
                    self._end += suspect.duration or step
                elif last is not None and last - step < suspect.stamp + self._shifts[-1] <= (
                    stamp + self._shifts[-1]
                ):
                    # One long pause after the other.
                    last = self._times[-1] = suspect.stamp + self._shifts[-1]
                    self._extend(last, suspect, step)
                suspect = None
            shift = self._shifts[-1]
            following = 0 if last is None else last + step
            time = following if stamp is None else stamp + shift
            if last is not None and stamp is not None and not -lapse <= time - last <= pause:
                suspect, time = packet, following
            last = time
            self._times.append(time)
            if packet.key:
                self.keys.append(number)
                if packet.place >= 0 and len(self.places) < _MOST_PLACES:
                    self.places[packet.place] = number
            if packet.shown and suspect is None:
                self._extend(time if packet.pts is None else packet.pts + shift, packet, step)

    def _extend(self, shown: int, packet: Packet, step: int) -> None:
        """A packet's frame is shown from then on."""
        if self._first is None:
            self._first, self._end = shown, shown
        elif len(self._times) <= _MOST_REORDERED:
            self._first = min(self._first, shown)
        self._end = max(self._end, shown + (packet.duration or step))

    def _are_useless(self) -> bool:
        """Whether many packets have the stamp of the one before, or most have none."""
        alike = sum(a == b for a, b in zip(self._times, self._times[1:], strict=False))
        return alike * 4 > len(self._times) or self._missing * 2 > len(self._times)


def shifted(stamp: int | None, shift: int) -> int | None:
    """A stamp without its restarts; None if there is none, or it is out of range."""
    return None if stamp is None or abs(stamp + shift) >= 1 << 62 else stamp + shift


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
