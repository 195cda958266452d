"""A camera held by hand: makes a moving, unsteady, noisy clip out of a flat picture."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # [height, width, 3] RGB

RATE = 25
SIZE = (1280, 720)  # of a frame: width, height
SCENE = (1600, 900)  # of what the camera stands before
_NOISE = 2.5  # standard deviation, in steps of 256
_MARGIN = 64  # noise is cut from a larger sheet at another place in every frame


class Wander:
    """A smooth walk around zero, within about -1 to 1: a sum of sines that never line up."""

    def __init__(self, random: np.random.Generator) -> None:
        self._speeds = random.uniform(0.12, 0.75, 4)  # Hz
        self._starts = random.uniform(0, 2 * math.pi, 4)

    def at(self, second: float) -> float:
        """Return where the walk is at `second`."""
        angles = 2 * math.pi * self._speeds * second + self._starts
        return float(np.sin(angles).mean())


class HandHeld:
    """Sees SIZE pixels and trembles: it shifts, turns, zooms and adjusts to the light."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        width, height = SIZE
        self._x, self._y, self._turn, self._zoom, self._light = (Wander(random) for _ in range(5))
        noise = random.normal(0, _NOISE, (height + _MARGIN, width + _MARGIN, 3))
        self._noise = noise.round().astype(np.int16)
        self._random = random

    def shoot(self, scene: Pixels, second: float) -> Pixels:
        """Return the frame that is taken of `scene` (SCENE pixels) at `second`."""
        middle = (SCENE[0] / 2, SCENE[1] / 2)
        zoom = 1.05 + 0.05 * self._zoom.at(second)
        matrix = cv2.getRotationMatrix2D(middle, 2.0 * self._turn.at(second), zoom)
        matrix[0, 2] += SIZE[0] * (0.5 + 0.04 * self._x.at(second)) - middle[0]
        matrix[1, 2] += SIZE[1] * (0.5 + 0.04 * self._y.at(second)) - middle[1]
        frame = cv2.warpAffine(scene, matrix, SIZE, borderMode=cv2.BORDER_REFLECT_101)
        return self._expose(frame, 1.0 + 0.06 * self._light.at(second))

    def _expose(self, frame: Pixels, gain: float) -> Pixels:
        left, top = self._random.integers(0, _MARGIN, 2)
        noise = self._noise[top : top + SIZE[1], left : left + SIZE[0]]
        lit = cv2.convertScaleAbs(frame, alpha=gain)
        return np.asarray(cv2.add(lit, noise, dtype=cv2.CV_8U), np.uint8)


def seconds(length: float) -> Iterator[float]:
    """Yield the time of every frame of a clip of `length` seconds."""
    return (index / RATE for index in range(round(length * RATE)))
