"""From an opened clip to its wanted frames: upright, with times, in order.

Runs in the child only. With `footage` and `pixels`, which it stands on, the only module of `edge`
that imports PyAV.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import av

from edge.scan.media.convert import (
    DecodedFrame,
    FrameConverter,
    picture_orientation,
    video_orientation,
)
from edge.scan.media.images import orientation, pixel_count
from edge.scan.media.protocol import Fault, Kind, RefusedError
from edge.scan.media.sampling import Choice, Chooser, Sampling, Slot
from edge.scan.media.sniff import HEAD_BYTES, Form, sniff
from edge.scan.media.video import LARGE_PIXELS, Bounds, Footage

if TYPE_CHECKING:
    from edge.scan.media.webp import MovingWebp

_MOST_EXIF_BYTES = 8 * 1024**2


class Facts(NamedTuple):
    """What is known of the clip before its frames are asked for.

    `container` and `codec` are places in the border's tables; sizes are of the frames handed out;
    `seconds` counts from the first picture and is 0 for a still one.
    """

    kind: Kind
    container: int
    codec: int
    width: int
    height: int
    seconds: float
    frame_rate: float


class Reader:
    """One clip, opened: its facts, and its wanted frames.

    `alive` is called with the number of decoded frames while work goes on. Raises RefusedError
    when the clip cannot be opened or not one picture can be decoded.
    """

    def __init__(self, descriptor: int, bounds: Bounds, alive: Callable[[int], None]) -> None:
        head = os.pread(descriptor, HEAD_BYTES, 0)
        form = sniff(head)
        still = form.kind is Kind.IMAGE
        if still and pixel_count(head) > bounds.most_pixels(form):
            raise RefusedError(Fault.TOO_LARGE)
        self._footage = _opener(form)(descriptor, form, bounds, alive)
        first = self._footage.ahead
        self._large = first.width * first.height > LARGE_PIXELS
        self._interlaced = bool(first.interlaced_frame)
        turn = picture_orientation(_orientation(descriptor)) if still else video_orientation(first)
        self.painter = FrameConverter(first, turn, self._footage.aspect, bounds.frame_pixels)
        self.facts = Facts(
            self._footage.kind,
            self._footage.form.number,
            self._footage.codec,
            self.painter.width,
            self.painter.height,
            self._footage.seconds,
            self._footage.frame_rate if self._footage.kind is Kind.VIDEO else 0.0,
        )

    @property
    def frames_read(self) -> int:
        """Frames decoded so far."""
        return self._footage.frames_read

    @property
    def damaged(self) -> bool:
        """Whether anything could not be read or decoded so far."""
        return self._footage.damaged

    def choices(self, sampling: Sampling) -> Iterator[Choice[DecodedFrame]]:
        """The wanted frames; a picture is valid until the next one is asked for."""
        if sampling.first is not None:
            return self._first(sampling.first, sampling.window_frames)
        return self._spread(sampling.slots(self.facts.seconds))

    def _first(self, count: int, window_frames: int) -> Iterator[Choice[DecodedFrame]]:
        for index, (time, picture) in enumerate(self._pictures()):
            yield Choice(index // window_frames, time, picture)
            if index + 1 >= count:
                return

    def _spread(self, slots: list[Slot]) -> Iterator[Choice[DecodedFrame]]:
        chooser: Chooser[DecodedFrame] = Chooser(
            slots, self._footage.period, keeps=self._footage.period is None or not self._large
        )
        self._footage.hurry([slot.time for slot in slots])
        pictures = self._pictures()
        while (wanted := chooser.wanted) is not None:
            if self._footage.jump(wanted):
                pictures = self._pictures()
            arrived = next(pictures, None)
            if arrived is None:
                break
            yield from chooser.offer(*arrived)
            del arrived
        yield from chooser.finish(self._footage.end)

    def _pictures(self) -> Iterator[tuple[float, DecodedFrame]]:
        """Frames from where the clip stands; interlaced ones with their neighbours in time."""
        if not self._interlaced:
            for time, frame in self._footage:
                yield time, DecodedFrame(frame)
                del frame
            return
        before: av.VideoFrame | None = None
        current = next(self._footage, None)
        while current is not None:
            following = next(self._footage, None)
            after = following[1] if following is not None else current[1]
            yield current[0], DecodedFrame(current[1], before, after)
            before, current = current[1], following


def prepare(descriptor: int) -> None:
    """Import what this clip will need, while files may still be opened."""
    with contextlib.suppress(RefusedError):
        _opener(sniff(os.pread(descriptor, HEAD_BYTES, 0)))


def _opener(form: Form) -> Callable[..., Footage | MovingWebp]:
    if form.demuxer:
        return Footage
    from edge.scan.media.webp import MovingWebp

    return MovingWebp


def _orientation(descriptor: int) -> int:
    size = min(os.fstat(descriptor).st_size, _MOST_EXIF_BYTES)
    return orientation(os.pread(descriptor, size, 0))
