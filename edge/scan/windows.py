"""How a track's crops fill the windows that the network judges. Pure.

A window has as many slots as the network wants frames. Where a face was missed, or the clip has
fewer frames than that in the same time, the crop nearest in time stands in. Where the clip is too
short, the window runs back and forth over what there is.
"""

from __future__ import annotations

from collections.abc import Sequence


def fill(times: Sequence[float], found: Sequence[int], slots: int, step: float) -> list[int]:
    """Which sighting stands in each slot of a window.

    Args:
        times: of the window's frames in seconds, ascending; at least one.
        found: the frames in which the face was found, as positions in `times`, ascending; at
            least one.
        slots: how many frames the network wants.
        step: the time from slot to slot in seconds.

    Returns:
        `slots` positions in `found`. Of two crops equally near, the earlier one is taken.
    """
    return [
        min(range(len(found)), key=lambda sighting: abs(times[found[sighting]] - wanted))
        for wanted in slot_times(times, slots, step)
    ]


def slot_times(times: Sequence[float], slots: int, step: float) -> list[float]:
    """The times that a window's slots stand for, seconds.

    Time turns round at the last frame and at the first, so that a short clip holds no jump which
    the network could take for a forgery.
    """
    if len(times) >= slots:
        return list(times[:slots])
    start, span = times[0], times[-1] - times[0]
    return [start + _bounced(slot * step, span) for slot in range(slots)]


def _bounced(time: float, span: float) -> float:
    """`time` going back and forth between 0 and `span`."""
    if span <= 0:
        return 0.0
    beyond = time % (2 * span)
    return min(beyond, 2 * span - beyond)


def enough(found: int, frames: int) -> bool:
    """Whether a face was found in at least half of a window's frames."""
    return 2 * found >= frames
