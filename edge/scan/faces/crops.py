"""The square cut around a face that the network sees, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge.finding import Box, Quality
from edge.scan.faces.detector import Pixels

# The part of the face box, about its centre, that is skin, eyes and mouth and little else.
INNER = 0.7

# Sharpness and light are measured with the inner part brought to these many pixels a side, so
# that a large face is not called blurred for showing the same detail in more pixels, and to this
# mean luma, so that a dark face is not called blurred for being dark.
MEASURED_SIDE = 80
MEASURED_LUMA = 128.0


@dataclass(frozen=True)
class CropSpec:
    """Which square to cut around a detector's box, and how large to hand it out.

    The square's side is `scale` times the longer side of the box; its centre is the box's,
    moved by `shift_x` and `shift_y` times that longer side (right and down); it is resized to
    `side` pixels.
    """

    side: int
    scale: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0

    def square(self, box: Box) -> Box:
        """Return the square around `box`, pixels of the frame."""
        longest = max(box.width, box.height)
        side = self.scale * longest
        x = box.x + box.width / 2 + self.shift_x * longest - side / 2
        y = box.y + box.height / 2 + self.shift_y * longest - side / 2
        return Box(x=x, y=y, width=side, height=side)

    def within(self, other: CropSpec) -> Box:
        """Return where this square lies in the square that `other` cuts around the same box.

        In parts of the other's side, from its upper left corner; whatever the box is.
        """
        unit = Box(x=0, y=0, width=1, height=1)
        mine, its = self.square(unit), other.square(unit)
        x, y = (mine.x - its.x) / its.width, (mine.y - its.y) / its.width
        return Box(x=x, y=y, width=mine.width / its.width, height=mine.width / its.width)


PORTRAIT = CropSpec(side=160, scale=1.6, shift_y=-0.06)
"""What people recognise a face by: some hair and the chin's outline with it."""


@dataclass(frozen=True)
class Crop:
    """`pixels` is uint8 [side, side, 3] RGB, a copy; the frame may be forgotten."""

    pixels: Pixels
    quality: Quality


def cut(pixels: Pixels, box: Box, spec: CropSpec) -> Crop:
    """Cut the face in `box` out of `pixels` (uint8 [h, w, 3] RGB, upright) as `spec` says.

    What lies beyond the frame's border repeats the border.
    """
    return Crop(resized(pixels, spec.square(box), spec.side), measure(pixels, box))


def portrait(pixels: Pixels, box: Box) -> Pixels:
    """Cut the face in `box` out of `pixels` (uint8 [h, w, 3] RGB, upright) for people to see.

    uint8 [s, s, 3] RGB with `s` at most `PORTRAIT.side`; never enlarged.
    """
    square = PORTRAIT.square(box)
    return resized(pixels, square, max(1, min(PORTRAIT.side, round(square.width))))


def measure(pixels: Pixels, box: Box) -> Quality:
    """Return how good the face in `box` is for judging; `pixels` is uint8 [h, w, 3] RGB.

    `face_px` is the box's shorter side in pixels of the frame. `light` is the mean luma, 0 to
    255, of the inner part of the box. `sharpness` is the variance of the Laplacian (4 neighbours)
    of that part's luma, at 80 x 80 pixels and multiplied to a mean of 128.
    """
    inner = CropSpec(MEASURED_SIDE, INNER)
    luma = cv2.cvtColor(resized(pixels, inner.square(box), inner.side), cv2.COLOR_RGB2GRAY)
    light = float(luma.mean())
    detail = float(cv2.Laplacian(luma, cv2.CV_32F).var())
    return Quality(
        face_px=min(box.width, box.height),
        light=light,
        sharpness=detail * (MEASURED_LUMA / max(light, 1.0)) ** 2,
    )


def resized(pixels: Pixels, square: Box, side: int) -> Pixels:
    """Return `square` of `pixels`, taken to whole pixels, as uint8 [side, side, 3].

    Shrinking averages all that lies under a new pixel, so that detail does not turn into false
    patterns; enlarging interpolates.
    """
    whole = max(1, round(square.width))
    left, top = round(square.x), round(square.y)
    piece = _piece(pixels, left, top, whole)
    how = cv2.INTER_AREA if whole > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(piece, (side, side), interpolation=how), np.uint8)


def _piece(pixels: Pixels, left: int, top: int, side: int) -> Pixels:
    """Return `side` x `side` pixels from (left, top); the border repeats where the frame ends."""
    height, width = pixels.shape[:2]
    if left >= 0 and top >= 0 and left + side <= width and top + side <= height:
        return pixels[top : top + side, left : left + side]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    return pixels[rows[:, None], columns]
