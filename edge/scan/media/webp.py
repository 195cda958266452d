"""Moving WebP pictures, which FFmpeg decodes only one by one: taken apart and laid together here.

Runs in the child only, and only where it is needed: it imports numpy. Offers what
`footage.Footage` offers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from edge.scan.media.convert import in_rgba
from edge.scan.media.protocol import CODECS, Fault, Kind, RefusedError
from edge.scan.media.sniff import Form
from edge.scan.media.video import ERRORS, Bounds

_HEADER_BYTES = 8
_PLACE_BYTES = 16
_MOST_FRAMES = 100_000


class _Part(NamedTuple):
    """One frame: where its data lies in the file, and where it belongs."""

    offset: int
    size: int
    left: int
    top: int
    width: int
    height: int
    seconds: float
    blends: bool
    vanishes: bool


class MovingWebp(Iterator[tuple[float, av.VideoFrame]]):
    """The pictures of a moving WebP in order of time: (seconds, RGBA frame of the whole canvas)."""

    period = None
    aspect: Fraction | None = None
    codec = CODECS.index("webp")

    def __init__(
        self, descriptor: int, form: Form, bounds: Bounds, alive: Callable[[int], None]
    ) -> None:
        self.form = form
        self._descriptor = descriptor
        self._alive = alive
        self.frames_read = 0
        self.damaged = False
        header = os.pread(descriptor, 30, 0)
        width, height = (int.from_bytes(header[at : at + 3], "little") + 1 for at in (24, 27))
        if width * height > bounds.video_pixels:
            raise RefusedError(Fault.TOO_LARGE)
        self._canvas: npt.NDArray[np.uint8] = np.zeros((height, width, 4), np.uint8)
        self._parts = list(self._found())
        self.seconds = sum(part.seconds for part in self._parts)
        self.end = 0.0
        self._source = self._decoded()
        self._pending = next(self._source, None)
        if self._pending is None:
            raise RefusedError(Fault.NOTHING_DECODED)

    def __next__(self) -> tuple[float, av.VideoFrame]:
        arrived, self._pending = self._pending, None
        return arrived or next(self._source)

    @property
    def kind(self) -> Kind:
        """One frame is a picture."""
        return Kind.IMAGE if len(self._parts) == 1 else Kind.VIDEO

    @property
    def frame_rate(self) -> float:
        """Mean frames a second."""
        return len(self._parts) / self.seconds if self.seconds else 0.0

    @property
    def ahead(self) -> av.VideoFrame:
        """The first picture, before it is handed out."""
        if self._pending is None:
            raise RefusedError(Fault.NOTHING_DECODED)
        return self._pending[1]

    def hurry(self, wanted: Sequence[float]) -> None:
        """Every frame is needed: each is laid over the one before."""

    def jump(self, target: float) -> bool:
        """No: see `hurry`."""
        return False

    def _found(self) -> Iterator[_Part]:
        size = os.fstat(self._descriptor).st_size
        place = 12
        while place + _HEADER_BYTES <= size:
            head = os.pread(self._descriptor, _HEADER_BYTES + _PLACE_BYTES, place)
            length = int.from_bytes(head[4:8], "little")
            if head[:4] == b"ANMF" and len(head) == _HEADER_BYTES + _PLACE_BYTES:
                left, top, width, height, milliseconds = (
                    int.from_bytes(head[at : at + 3], "little") for at in range(8, 23, 3)
                )
                yield _Part(
                    offset=place + _HEADER_BYTES + _PLACE_BYTES,
                    size=length - _PLACE_BYTES,
                    left=left * 2,
                    top=top * 2,
                    width=width + 1,
                    height=height + 1,
                    seconds=milliseconds / 1000,
                    blends=not head[23] & 2,
                    vanishes=bool(head[23] & 1),
                )
            place += _HEADER_BYTES + length + length % 2
            if place > size:
                self.damaged = True

    def _decoded(self) -> Iterator[tuple[float, av.VideoFrame]]:
        time = 0.0
        for part in self._parts[:_MOST_FRAMES]:
            self.end = time + part.seconds
            if self._lay(part):
                self.frames_read += 1
                yield time, av.VideoFrame.from_ndarray(self._canvas, format="rgba")
            else:
                self.damaged = True
            if part.vanishes:
                self._spot(part)[:] = 0
            self._alive(self.frames_read)
            time = self.end

    def _spot(self, part: _Part) -> npt.NDArray[np.uint8]:
        return self._canvas[part.top : part.top + part.height, part.left : part.left + part.width]

    def _lay(self, part: _Part) -> bool:
        """Put one frame on the canvas; whether that went well."""
        spot = self._spot(part)
        data = os.pread(self._descriptor, max(0, part.size), part.offset)
        decoder: Any = av.CodecContext.create("webp", "r")
        decoder.options = {"max_pixels": str(self._canvas.size // 4)}
        try:
            frames = decoder.decode(av.Packet(_as_still(part, data)))
        except ERRORS:
            return False
        if not frames or spot.shape[:2] != (frames[0].height, frames[0].width):
            return False
        pixels = in_rgba(frames[0])
        if part.blends:
            _blend(spot, pixels)
        else:
            spot[:] = pixels
        return True


def _as_still(part: _Part, data: bytes) -> bytes:
    """A frame's chunks as a WebP file of their own."""
    size = (part.width - 1).to_bytes(3, "little") + (part.height - 1).to_bytes(3, "little")
    has_alpha = data[:4] == b"ALPH"
    extended = b"VP8X" + (10).to_bytes(4, "little") + b"\x10\0\0\0" + size if has_alpha else b""
    body = b"WEBP" + extended + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _blend(under: npt.NDArray[np.uint8], over: npt.NDArray[np.uint8]) -> None:
    """Lay RGBA over RGBA, in place."""
    top = over[:, :, 3:].astype(np.float32) / 255
    below = under[:, :, 3:].astype(np.float32) / 255 * (1 - top)
    alpha = top + below
    mixed = (over[:, :, :3] * top + under[:, :, :3] * below) / np.maximum(alpha, 1e-6)
    under[:, :, :3] = np.rint(mixed)
    under[:, :, 3:] = np.rint(alpha * 255)
