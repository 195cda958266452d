"""Whether the frames of a clip show one picture only. Standard library only."""

from __future__ import annotations

# Bytes of a frame that are compared, and how far they may be apart in the same picture.
_COMPARED = 20_000
_SAME = 16


class StillCheck:
    """Whether all frames show the same picture, but for what compression does to it."""

    def __init__(self) -> None:
        self.frames = 0
        self.is_still = True
        self._first = b""

    def add(self, pixels: memoryview) -> None:
        """Take the next frame: RGB bytes. Some thousand of them are compared."""
        self.frames += 1
        if not self.is_still:
            return
        spread = bytes(pixels[:: max(1, len(pixels) // _COMPARED) | 1])
        self._first = self._first or spread
        largest = max(abs(a - b) for a, b in zip(self._first, spread, strict=True))
        self.is_still = largest <= _SAME
