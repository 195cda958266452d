"""The square that is cut around a face, and how well the face can be seen.

A frame's face is resized three times: for the model, for its quality and for its appearance; for
portraits and best crops only if it is better than before. Each has its own square and size.
Crops and portraits of a tilted head are turned upright.
Deriving one from another would resample twice and change the values that the limits were fitted
to, for at most 0.8 of the 5.3 ms that a face takes a frame (median, x86-64).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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

# Fine detail is measured on the inner part at this side, or the largest multiple of 4 below its
# own, down to the second; there an octave is half the side.
_DETAIL_SIDE, _LEAST_DETAIL_SIDE = 56, 16
# Mean square of luma of one step: less is rounding.
_ROUNDING = 0.5


@dataclass(frozen=True)
class Crop:
    """A face for the model: `pixels` is uint8 `[side, side, 3]` RGB, a copy."""

    pixels: Pixels
    quality: Quality


def cut(pixels: Pixels, box: Box, spec: CropSpec, roll: float = 0.0) -> Crop:
    """Cut the face in `box` out of `pixels` (uint8 `[h, w, 3]` RGB) as `spec` says, upright.

    `roll` is the head's tilt in degrees, as `Detection.roll`.
    """
    return Crop(upright(pixels, box, spec, roll), measure(pixels, box, roll))


def portrait(pixels: Pixels, box: Box, roll: float = 0.0) -> Pixels:
    """Cut the face in `box` out of `pixels` (uint8 `[h, w, 3]` RGB) for people, upright.

    uint8 `[s, s, 3]` RGB with `s` at most `PORTRAIT.side`; never enlarged.
    """
    side = max(1, min(PORTRAIT.side, round(PORTRAIT.square(box).width)))
    return upright(pixels, box, replace(PORTRAIT, side=side), roll)


def upright(pixels: Pixels, box: Box, spec: CropSpec, roll: float = 0.0) -> Pixels:
    """The square that `spec` names around `box`, turned by the head's `roll` (degrees).

    uint8 `[side, side, 3]` RGB. A head that is tilted by less than `spec.upright_from` is not
    turned: turning interpolates.
    """
    if abs(roll) < spec.upright_from:
        return resized(pixels, spec.square(box), spec.side)
    # The square's centre, with the shift of `spec` along the head's axes.
    longest = max(box.width, box.height)
    cos, sin = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    x = box.x + box.width / 2 + (spec.shift_x * cos - spec.shift_y * sin) * longest
    y = box.y + box.height / 2 + (spec.shift_x * sin + spec.shift_y * cos) * longest
    # A warp samples, which shrinks without averaging: so it only turns or enlarges.
    whole = max(spec.side, round(spec.scale * longest))
    zoom = whole / (spec.scale * longest)
    matrix = np.asarray(cv2.getRotationMatrix2D((x - 0.5, y - 0.5), roll, zoom), np.float64)
    matrix[:, 2] += np.array([whole / 2 - x, whole / 2 - y])
    turned = cv2.warpAffine(
        pixels, matrix, (whole, whole), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if whole > spec.side:
        turned = cv2.resize(turned, (spec.side, spec.side), interpolation=cv2.INTER_AREA)
    return np.asarray(turned, np.uint8)


def measure(pixels: Pixels, box: Box, roll: float = 0.0) -> Quality:
    """How well the face in `box` of `pixels` (uint8 `[h, w, 3]` RGB) can be seen.

    `roll` is the tilt of its head in degrees; the result has its amount. `face_px` is the box's
    shorter side in pixels of the frame. `light` is the mean luma, 0 to 255, of the inner part of
    the box. `sharpness` is the variance of the Laplacian (4 neighbours) of that part's luma, at
    80 x 80 pixels and scaled to a mean of 128. `warmth` is its mean red less its mean blue, as a
    share of the mean of red, green and blue. `fine_detail` is that of the function.
    """
    inner = CropSpec(MEASURED_SIDE, INNER)
    part = resized(pixels, inner.square(box), inner.side)
    luma = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    red, green, blue, _ = cv2.mean(part)
    light = float(luma.mean())
    detail = float(cv2.Laplacian(luma, cv2.CV_32F).var())
    return Quality(
        face_px=min(box.width, box.height),
        light=light,
        sharpness=detail * (MEASURED_LUMA / max(light, 1.0)) ** 2,
        roll=abs(roll),
        warmth=(red - blue) * 3 / max(red + green + blue, 1.0),
        fine_detail=fine_detail(pixels, inner.square(box)),
    )


def fine_detail(pixels: Pixels, square: Box) -> float | None:
    """Detail of the finest octave of `square` by that of coarser ones, per cent.

    `pixels` is uint8 `[h, w, 3]` RGB. With the energies a, b, c of luma from the finest octave on
    it is `a / b * sqrt(b / c)`. Where pictures have a spectrum of power 1/f**2, as most have, all
    octaves have the same energy; enlarging leaves the finest one empty, and noise fills it. None if
    there are too few pixels.
    """
    side = min(_DETAIL_SIDE, round(square.width)) // 4 * 4
    if side < _LEAST_DETAIL_SIDE:
        return None
    luma = cv2.cvtColor(resized(pixels, square, side), cv2.COLOR_RGB2GRAY).astype(np.float32)
    energies = []
    for _ in range(3):
        half = luma.shape[0] // 2
        coarse = cv2.resize(luma, (half, half), interpolation=cv2.INTER_AREA)
        back = cv2.resize(coarse, luma.shape, interpolation=cv2.INTER_CUBIC)
        energies.append(max(_ROUNDING, float(np.square(luma - back).mean())))
        luma = np.asarray(coarse, np.float32)
    finest, finer, fine = energies
    return 100 * finest / finer * math.sqrt(finer / fine)


def detail(quality: Quality, spec: CropSpec) -> float:
    """How much of a face a crop shows: to choose between crops of one face.

    More pixels than the crop has make it no better.
    """
    return min(quality.face_px, spec.side / spec.scale) * math.sqrt(quality.sharpness)


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
