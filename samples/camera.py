"""A simulated handheld camera: makes a moving, shaking, noisy clip from a still picture."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # [height, width, 3] RGB

RATE = 25
SIZE = (1280, 720)  # of a frame: width, height
SCENE = (1600, 900)  # of the still picture: width, height
_NOISE = 2.5  # standard deviation, in steps of 256
_MARGIN = 64  # each frame takes its noise from another place of a larger array


class SmoothNoise:
    """A smooth random function of time, about -1 to 1: a sum of sines with random frequencies."""

    def __init__(self, random: np.random.Generator) -> None:
        self._frequencies = random.uniform(0.12, 0.75, 4)  # Hz
        self._phases = random.uniform(0, 2 * math.pi, 4)

    def at(self, second: float) -> float:
        """Return the value at `second`."""
        angles = 2 * math.pi * self._frequencies * second + self._phases
        return float(np.sin(angles).mean())


class HandheldCamera:
    """Films SIZE pixels of a scene: it shifts, rotates, zooms and adjusts its exposure."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        width, height = SIZE
        motions = [SmoothNoise(random) for _ in range(5)]
        self._x, self._y, self._rotation, self._zoom, self._gain = motions
        noise = random.normal(0, _NOISE, (height + _MARGIN, width + _MARGIN, 3))
        self._noise = noise.round().astype(np.int16)
        self._random = random

    def frame(self, scene: Pixels, second: float) -> Pixels:
        """Return the frame of `scene` (SCENE pixels) at `second`."""
        centre = (SCENE[0] / 2, SCENE[1] / 2)
        zoom = 1.05 + 0.05 * self._zoom.at(second)
        matrix = cv2.getRotationMatrix2D(centre, 2.0 * self._rotation.at(second), zoom)
        matrix[0, 2] += SIZE[0] * (0.5 + 0.04 * self._x.at(second)) - centre[0]
        matrix[1, 2] += SIZE[1] * (0.5 + 0.04 * self._y.at(second)) - centre[1]
        frame = cv2.warpAffine(scene, matrix, SIZE, borderMode=cv2.BORDER_REFLECT_101)
        return self._exposed(np.asarray(frame, np.uint8), 1.0 + 0.06 * self._gain.at(second))

    def _exposed(self, frame: Pixels, gain: float) -> Pixels:
        left, top = self._random.integers(0, _MARGIN, 2)
        noise = self._noise[top : top + SIZE[1], left : left + SIZE[0]]
        brightened = cv2.convertScaleAbs(frame, alpha=gain)
        return np.asarray(cv2.add(brightened, noise, dtype=cv2.CV_8U), np.uint8)


def frame_times(length: float) -> Iterator[float]:
    """Return the time of every frame of a clip of `length` seconds."""
    return (index / RATE for index in range(round(length * RATE)))
