"""Clips with real faces, red and pale, for the bundle that minds the colour."""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from clips import write_clip, write_image
from frontdoor import ROOT
from numpy.typing import NDArray

sys.path.insert(0, str(ROOT / "samples"))
from faces import fetch_faces  # (samples/ is no package)

Pixels = NDArray[np.uint8]

RATE = 10
RED = (1.0, 0.35, 0.25)
PALE = (0.3, 0.9, 0.4)
STRIDE = 4
HEIGHT, WIDTH = 720, 1280


def write_clips(folder: Path) -> Path:
    """Write red.mp4, pale.mp4, two.mp4 (a red face and a pale one), red.jpg and nobody.mp4."""
    left, right = photograph("obama"), photograph("biden")
    one, two = wall(), wall()
    hang(one, tinted(left, RED), 100)
    write_clip(folder / "red.mp4", moving(one, 30), rate=RATE)
    write_image(folder / "red.jpg", one)
    hang(one, tinted(left, PALE), 100)
    write_clip(folder / "pale.mp4", moving(one, 30), rate=RATE)
    hang(two, tinted(left, RED), 100)
    hang(two, tinted(right, PALE), 700)
    write_clip(folder / "two.mp4", moving(two, 20), rate=RATE)
    write_clip(folder / "nobody.mp4", 12, rate=RATE)
    return folder


def photograph(name: str) -> Pixels:
    """uint8 RGB `[600, 480, 3]`."""
    photo = cv2.imread(str(fetch_faces(ROOT / "third_party" / "faces")[name]))
    assert photo is not None
    return np.asarray(cv2.cvtColor(cv2.resize(photo, (480, 600)), cv2.COLOR_BGR2RGB), np.uint8)


def wall() -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), 110, np.uint8)


def hang(canvas: Pixels, photo: Pixels, left: int) -> None:
    canvas[60 : 60 + photo.shape[0], left : left + photo.shape[1]] = photo


def tinted(pixels: Pixels, tint: tuple[float, float, float]) -> Pixels:
    return np.asarray(np.round(pixels * np.array(tint)), np.uint8)


def moving(still: Pixels, count: int) -> Iterator[Pixels]:
    """The camera pans slowly."""
    return (np.roll(still, number * STRIDE, axis=1) for number in range(count))
