"""A clip filmed off a screen with a phone, as far as pictures tell: the same each time.

The screen stands at an angle and fills most of the picture, its rows and columns of lamps beat
against the sensor's (moire), light falls on it, the phone exposes for the room, shakes and adds
noise. What the phone's own H.264 does comes after.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

LONGEST = 1280
"""Sides of what the phone records are at most this, px."""

CORNERS = ((0.045, 0.075), (0.985, 0.02), (0.95, 0.965), (0.02, 0.90))
"""Where the screen's corners are, as shares of the picture's sides; clockwise from the top left."""

DESK = (22, 20, 18)
"""What is around the screen."""

PITCH = 1.06
"""Lamps of the screen for each pixel of the clip: near enough to 1 to beat slowly."""
BEAT = 0.07
"""How much the beat takes away and adds."""
EXPOSURE, BLACK = 0.86, 14.0
"""What the phone makes of the screen's light, and what the room adds to its black."""
TINT = (1.03, 1.0, 0.94)
"""White of the screen as the phone balances it, by red, green and blue."""
GLARE, SPOT = 46.0, (0.72, 0.22, 0.26)
"""A lamp's reflection: how bright, and where: across, down, how wide, as shares of the sides."""
BLUR = 0.7
NOISE = 4.0
SHAKE = 0.0025
"""How far the phone moves, as a share of the longer side."""


class Refilm:
    """Films pictures of one size, which the first one settles."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._light: Floats = np.ones((1, 1, 3), np.float32)
        self._glow: Floats = np.zeros((1, 1, 3), np.float32)
        self._grain: Floats = np.zeros((1, 1, 3), np.float32)

    def film(self, pixels: Image, number: int) -> Image:
        """The picture with that running number as the phone records it: uint8 RGB, even sides."""
        height, width = pixels.shape[:2]
        if self._size == (0, 0):
            self._set_up(width, height)
        place = self._place(width, height, number)
        seen = cv2.warpPerspective(pixels, place, self._size, borderValue=DESK)
        seen = cv2.GaussianBlur(seen, (5, 5), BLUR)
        lit = cv2.multiply(seen, self._light, dtype=cv2.CV_32F)
        lit = cv2.add(lit, self._glow)
        return np.asarray(cv2.add(lit, self._grain_of(number), dtype=cv2.CV_8U), np.uint8)

    def _set_up(self, width: int, height: int) -> None:
        """Everything that stays the same from picture to picture."""
        shrink = min(1.0, LONGEST / max(width, height))
        wide, high = (max(2, round(side * shrink) // 2 * 2) for side in (width, height))
        self._size = (wide, high)
        x, y = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32))
        back = np.linalg.inv(self._place(width, height, 0))
        u, v, w = (row[0] * x + row[1] * y + row[2] for row in back)
        self._light = (EXPOSURE * np.array(TINT) * _lamps(u / w, v / w)).astype(np.float32)
        spot = ((x / wide - SPOT[0]) ** 2 + (y / high - SPOT[1]) ** 2) / (2 * SPOT[2] ** 2)
        glow = BLACK + GLARE * np.exp(-4 * spot)
        self._glow = np.repeat(glow[..., None], 3, axis=-1).astype(np.float32)
        grain = np.random.default_rng(0).normal(0, NOISE, (high + 64, wide + 64, 3))
        self._grain = grain.astype(np.float32)

    def _place(self, width: int, height: int, number: int) -> NDArray[Any]:
        """From the screen's pixels to the picture's: the hand moves slowly."""
        wide, high = self._size
        reach = SHAKE * max(wide, high)
        shake = reach * np.array([np.sin(number / 5.3), np.sin(number / 7.1 + 1)])
        corners = np.array(CORNERS) * (wide, high) + shake
        screen = np.array([(0, 0), (width, 0), (width, height), (0, height)])
        return np.asarray(
            cv2.getPerspectiveTransform(screen.astype(np.float32), corners.astype(np.float32))
        )

    def _grain_of(self, number: int) -> Floats:
        """The sensor's noise: one large field, looked at from elsewhere each time."""
        wide, high = self._size
        x, y = (number * 29) % 64, (number * 47) % 64
        return self._grain[y : y + high, x : x + wide]


def _lamps(u: Floats, v: Floats) -> Floats:
    """The screen's grid of lamps as the sensor's own grid takes it: [h, w, 3] around 1.

    Sampled once a pixel, a grid a little finer than the pixels shows as broad coloured bands.
    """
    turn = 2 * np.pi * PITCH
    columns = [
        np.cos(turn * u + shift) for shift in (0.0, 2.1, 4.2)
    ]  # red, green, blue side by side
    rows = np.cos(turn * v)
    return np.asarray(np.stack([1 + BEAT * (column + 0.6 * rows) for column in columns], axis=-1))
