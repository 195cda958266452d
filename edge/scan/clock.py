"""Times that can be relied on, from time stamps that a damaged clip may have garbled. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

FrameT = TypeVar("FrameT")

# A stamp this far from the one before is believed only if the following one bears it out.
_LEAP = 5.0
_LAPSE = 1.0
_TICK = 1e-6


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
            if suspect[0] <= time:
                if suspect[0] < last:
                    shift += usual - suspect[0]
                    time += usual - suspect[0]
                    suspect = (usual, suspect[1])
                    on_doubt(True)
                last = suspect[0]
                yield suspect
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
