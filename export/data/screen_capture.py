"""Simulates a phone that films a clip off a screen."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from export.data.folders import Image

Plane = NDArray[np.float32]

MAX_SIDE = 1280  # px, of the recording
# The screen's corners as shares of the recording's sides, clockwise from the top left.
CORNERS = ((0.045, 0.075), (0.985, 0.02), (0.95, 0.965), (0.02, 0.90))
BACKGROUND = (22, 20, 18)  # around the screen
PITCH = 1.06  # screen subpixels per pixel of the clip: near enough to 1 for slow moiré
MOIRE = 0.07  # amplitude
EXPOSURE, BLACK = 0.86, 14.0  # gain of the screen's light; ambient light added to its black
WHITE = (1.03, 1.0, 0.94)  # the phone's white balance of the screen: red, green, blue
GLARE, SPOT = 46.0, (0.72, 0.22, 0.26)  # a reflection: brightness; x, y, sigma as shares of sides
BLUR = 0.7
NOISE = 4.0
SHAKE = 0.0025  # as a share of the longer side


class ScreenCapture:
    """The phone and the screen; all frames have the first one's size."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._gain: Plane = np.ones((1, 1, 3), np.float32)
        self._glare: Plane = np.zeros((1, 1, 3), np.float32)
        self._noise: Plane = np.zeros((1, 1, 3), np.float32)

    def film(self, pixels: Image, number: int) -> Image:
        """Frame `number` as the phone records it: uint8 RGB, even sides."""
        height, width = pixels.shape[:2]
        if self._size == (0, 0):
            self._set_up(width, height)
        homography = self._homography(width, height, number)
        screen = cv2.warpPerspective(pixels, homography, self._size, borderValue=BACKGROUND)
        screen = cv2.GaussianBlur(screen, (5, 5), BLUR)
        lit = cv2.multiply(screen, self._gain, dtype=cv2.CV_32F)
        lit = cv2.add(lit, self._glare)
        return np.asarray(cv2.add(lit, self._noise_of(number), dtype=cv2.CV_8U), np.uint8)

    def _set_up(self, width: int, height: int) -> None:
        """Compute what is the same in all frames."""
        shrink = min(1.0, MAX_SIDE / max(width, height))
        wide, high = (max(2, round(side * shrink) // 2 * 2) for side in (width, height))
        self._size = (wide, high)
        x, y = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32))
        back = np.linalg.inv(self._homography(width, height, 0))
        u, v, w = (row[0] * x + row[1] * y + row[2] for row in back)
        self._gain = (EXPOSURE * np.array(WHITE) * _moire(u / w, v / w)).astype(np.float32)
        spot = ((x / wide - SPOT[0]) ** 2 + (y / high - SPOT[1]) ** 2) / (2 * SPOT[2] ** 2)
        glare = BLACK + GLARE * np.exp(-4 * spot)
        self._glare = np.repeat(glare[..., None], 3, axis=-1).astype(np.float32)
        noise = np.random.default_rng(0).normal(0, NOISE, (high + 64, wide + 64, 3))
        self._noise = noise.astype(np.float32)

    def _homography(self, width: int, height: int, number: int) -> NDArray[Any]:
        """From the screen's pixels to the recording's; the hand moves slowly."""
        reach = SHAKE * max(self._size)
        shake = reach * np.array([np.sin(number / 5.3), np.sin(number / 7.1 + 1)])
        corners = np.array(CORNERS) * self._size + shake
        screen = np.array([(0, 0), (width, 0), (width, height), (0, height)])
        return np.asarray(
            cv2.getPerspectiveTransform(screen.astype(np.float32), corners.astype(np.float32))
        )

    def _noise_of(self, number: int) -> Plane:
        """Sensor noise: another part of one large field for each frame."""
        wide, high = self._size
        x, y = (number * 29) % 64, (number * 47) % 64
        return self._noise[y : y + high, x : x + wide]


def _moire(u: Plane, v: Plane) -> Plane:
    """The screen's subpixels as the sensor samples them: [h, w, 3] around 1.

    A grid slightly finer than the pixels aliases to broad coloured bands.
    """
    turn = 2 * np.pi * PITCH
    rows = 0.6 * np.cos(turn * v)
    bands = [1 + MOIRE * (np.cos(turn * u + phase) + rows) for phase in (0.0, 2.1, 4.2)]
    return np.asarray(np.stack(bands, axis=-1))
