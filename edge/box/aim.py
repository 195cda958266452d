"""What the person before the camera is asked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.box.views import Aim
from edge.finding import Box
from edge.scan.crops import measure
from edge.scan.manifest import QualityLimits

MARGIN = 1.25
"""How much better than just good enough it shall be: people move while they are recorded."""

PICTURE_WIDTH = 128
_LEAST_CONTRAST = 48


def judge_aim(
    pixels: NDArray[np.uint8], faces: Sequence[Box], limits: QualityLimits, scale: float
) -> Aim:
    """Say if the largest face is good enough for a verdict.

    `pixels` is the viewfinder's frame, RGB [h, w, 3], and `faces` are boxes in it; `scale` is how
    many pixels of a recording are one of the viewfinder.
    """
    if not faces:
        return Aim.NOBODY
    quality = measure(pixels, max(faces, key=lambda face: min(face.width, face.height)))
    if quality.face_px * scale < limits.face_px * MARGIN:
        return Aim.CLOSER
    if quality.light < limits.light * MARGIN:
        return Aim.LIGHT
    return Aim.GOOD


def small_picture(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame, RGB [h, w, 3], as luma [h', 128] that keeps its shape in black and white dots.

    The darkest and the lightest fiftieth become black and white, and parts that are all dark or
    all light get some contrast of their own: a face before a window is seen to be one. A picture
    that is almost even stays so, for its noise is not worth showing.
    """
    height = max(1, round(pixels.shape[0] * PICTURE_WIDTH / pixels.shape[1]))
    small = cv2.resize(pixels, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low, high = (float(value) for value in np.percentile(luma, (2, 98)))
    middle, contrast = (low + high) / 2, max(high - low, _LEAST_CONTRAST)
    black = min(max(middle - contrast / 2, 0.0), 255.0 - contrast)
    stretched = np.clip(np.round((luma - black) * (255.0 / contrast)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.createCLAHE(2.0, (4, 3)).apply(stretched), np.uint8)
