"""The square that is cut around a face, and how well the face can be seen.

A frame's face is resized three times: for the model, for its quality and for its appearance; for
portraits and best crops only if it is better than before. Each has its own square and size.
Deriving one from another would resample twice and change the values that the limits were fitted
to, for at most 0.8 of the 5.3 ms that a face takes a frame (median, x86-64).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np

from edge.finding import Box, Quality
from edge.scan.frames import PORTRAIT, CropSpec, Pixels

# The central part of the face box: skin, eyes and mouth and little else.
INNER = 0.7

# Sharpness is measured on the inner part at this side in pixels, so that a large face is not
# called blurred for showing the same detail in more pixels, and scaled to this mean luma, so that
# a dark face is not called blurred for being dark.
MEASURED_SIDE = 80
MEASURED_LUMA = 128.0


@dataclass(frozen=True)
class Crop:
    """A face for the model: `pixels` is uint8 `[side, side, 3]` RGB, a copy."""

    pixels: Pixels
    quality: Quality


def cut(pixels: Pixels, box: Box, spec: CropSpec) -> Crop:
    """Cut the face in `box` out of `pixels` (uint8 `[h, w, 3]` RGB, upright) as `spec` says."""
    return Crop(resized(pixels, spec.square(box), spec.side), measure(pixels, box))


def portrait(pixels: Pixels, box: Box) -> Pixels:
    """Cut the face in `box` out of `pixels` (uint8 `[h, w, 3]` RGB, upright) for people.

    uint8 `[s, s, 3]` RGB with `s` at most `PORTRAIT.side`; never enlarged.
    """
    square = PORTRAIT.square(box)
    return resized(pixels, square, max(1, min(PORTRAIT.side, round(square.width))))


def measure(pixels: Pixels, box: Box) -> Quality:
    """How well the face in `box` of `pixels` (uint8 `[h, w, 3]` RGB) can be seen.

    `face_px` is the box's shorter side in pixels of the frame. `light` is the mean luma, 0 to
    255, of the inner part of the box. `sharpness` is the variance of the Laplacian (4 neighbours)
    of that part's luma, at 80 x 80 pixels and scaled to a mean of 128.
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


def detail(quality: Quality, spec: CropSpec) -> float:
    """How much of a face a crop shows: to choose between crops of one face.

    More pixels than the crop has make it no better.
    """
    return min(quality.face_px, spec.side / spec.scale) * sqrt(quality.sharpness)


def resized(pixels: Pixels, square: Box, side: int) -> Pixels:
    """`square` of `pixels`, rounded to whole pixels, as uint8 `[side, side, 3]`.

    Beyond the frame's edge, the edge repeats. Shrinking averages all pixels that lie under a new
    one (no aliasing); enlarging interpolates linearly.
    """
    whole = max(1, round(square.width))
    piece = _piece(pixels, round(square.x), round(square.y), whole)
    how = cv2.INTER_AREA if whole > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(piece, (side, side), interpolation=how), np.uint8)


def _piece(pixels: Pixels, left: int, top: int, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    if left >= 0 and top >= 0 and left + side <= width and top + side <= height:
        return pixels[top : top + side, left : left + side]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    return pixels[rows[:, None], columns]
