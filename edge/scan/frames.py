"""Types that media, faces and model share: frames, arrays, and squares around faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from edge.finding import Box

if TYPE_CHECKING:  # the manifest, which is read before the first clip is sent, needs no numpy
    import numpy as np
    from numpy.typing import NDArray

Pixels: TypeAlias = "NDArray[np.uint8]"
"""An image: uint8 `[height, width, 3]`, RGB."""
Crops: TypeAlias = "NDArray[np.uint8]"
"""A batch of crops: uint8 `[n, side, side, 3]`, RGB."""
Floats: TypeAlias = "NDArray[np.float32]"


@dataclass(frozen=True)
class Frame:
    """One decoded frame. `pixels` is valid until the next frame is requested."""

    index: int
    """Running number of the decoded frames, from 0."""
    window: int
    """The window it belongs to, from 0, ascending."""
    time: float
    """Seconds from the clip's first frame."""
    pixels: Pixels
    """uint8 `[height, width, 3]`, RGB, upright, square pixels, read-only."""


@dataclass(frozen=True)
class CropSpec:
    """Which square to cut around a detector's box, and the size of the crop.

    The square's side is `scale` times the longer side of the box; its centre is the box's,
    moved by `shift_x` and `shift_y` times that longer side (right and down); it is resized to
    `side` pixels. A head that is tilted by `upright_from` degrees or more is turned upright.
    """

    side: int
    scale: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    upright_from: float = 30.0

    def square(self, box: Box) -> Box:
        """The square around `box`, pixels of the frame."""
        longest = max(box.width, box.height)
        side = self.scale * longest
        x = box.x + box.width / 2 + self.shift_x * longest - side / 2
        y = box.y + box.height / 2 + self.shift_y * longest - side / 2
        return Box(x=x, y=y, width=side, height=side)

    def within(self, other: CropSpec) -> Box:
        """Where this square lies in the square that `other` cuts around the same box.

        In fractions of the other's side, from its upper left corner.
        """
        unit = Box(x=0, y=0, width=1, height=1)
        mine, its = self.square(unit), other.square(unit)
        x, y = (mine.x - its.x) / its.width, (mine.y - its.y) / its.width
        return Box(x=x, y=y, width=mine.width / its.width, height=mine.width / its.width)


PORTRAIT = CropSpec(side=160, scale=1.6, shift_y=-0.06, upright_from=8.0)
"""The picture of a face for people: with hair and the outline of the chin."""


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / (one.width * one.height + other.width * other.height - both)
