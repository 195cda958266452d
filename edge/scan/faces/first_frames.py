"""The first frames of a clip, small, with a box around each face: one picture for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np

from edge.finding import Box
from edge.scan.frames import Pixels

MOST: Final = 6
"""Frames that are kept."""
COLUMNS: Final = 3
_WIDTH, _HEIGHT = 240, 180
"""Of a frame, at most."""
_GAP: Final = 4
_INK, _EDGE = (255, 255, 255), (0, 0, 0)


class FirstFrames:
    """Takes frames one by one, and keeps the first few."""

    def __init__(self) -> None:
        self._frames: list[Pixels] = []

    def add(self, pixels: Pixels, boxes: Iterable[Box]) -> None:
        """Keep a frame, uint8 `[h, w, 3]` RGB, with these boxes in its pixels, if it is early."""
        if len(self._frames) == MOST:
            return
        high, wide = pixels.shape[:2]
        scale = min(1.0, _WIDTH / wide, _HEIGHT / high)
        size = max(1, round(wide * scale)), max(1, round(high * scale))
        small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        for box in boxes:
            corners = [(box.x, box.y), (box.x + box.width, box.y + box.height)]
            first, last = ((round(x * scale), round(y * scale)) for x, y in corners)
            for colour, thickness in ((_EDGE, 3), (_INK, 1)):
                cv2.rectangle(small, first, last, colour, thickness)
        self._frames.append(small)

    def sheet(self) -> Pixels | None:
        """All of them in rows of `COLUMNS`, uint8 `[h, w, 3]` RGB; None if there are none."""
        if not self._frames:
            return None
        high = max(frame.shape[0] for frame in self._frames)
        wide = max(frame.shape[1] for frame in self._frames)
        columns = min(COLUMNS, len(self._frames))
        rows = -(-len(self._frames) // columns)
        size = rows * (high + _GAP) - _GAP, columns * (wide + _GAP) - _GAP, 3
        sheet = np.full(size, 255, np.uint8)
        for at, frame in enumerate(self._frames):
            y, x = (at // columns) * (high + _GAP), (at % columns) * (wide + _GAP)
            sheet[y : y + frame.shape[0], x : x + frame.shape[1]] = frame
        return sheet
