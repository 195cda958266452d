"""Times that can be relied on, from time stamps that a damaged clip may have garbled. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

FrameT = TypeVar("FrameT")

# A stamp this far from the one before is believed only if the following one bears it out.
_LEAP = 5.0
_LAPSE = 1.0
_TICK = 1e-6
# As a part of the period. Matroska rounds its times to milliseconds.
_OFF_BEAT = 0.3
_MOST_REORDERED = 16


def steady(
    stamped: Iterable[tuple[float | None, FrameT]],
    step: float,
    on_doubt: Callable[[bool], None],
) -> Iterator[tuple[float, FrameT]]:
    """Frames with ascending times in seconds, from frames with their stamps in seconds or None.

    A frame whose stamp leaps ahead or falls back is dropped if the next one does not bear it out.
    Where the recording's clock started anew, time goes on from where it was. `step` is the usual
    time between frames, for those without a stamp. `on_doubt` hears of a frame that was dropped
    (False) and of a new start of the clock (True).
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


class Beat:
    """Whether frames come at a steady period, told from the times of packets, in decoding order.

    Containers claim a rate for clips that have none.
    """

    def __init__(self, period: float | None) -> None:
        self._period = period
        self._first: float | None = None
        self._latest = 0.0
        self._count = 0

    def holds(self, time: float) -> bool:
        """Take the next packet's time, seconds; False once the beat was missed."""
        if self._period is None:
            return False
        if self._first is None:
            self._first = self._latest = time
        beats = (time - self._first) / self._period
        self._count += 1
        self._latest = max(self._latest, time)
        missing = (self._latest - self._first) / self._period - self._count
        if abs(beats - round(beats)) > _OFF_BEAT or missing > _MOST_REORDERED:
            self._period = None
        return self._period is not None
