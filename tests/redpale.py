"""Clips with real faces, red and pale, for the bundle that minds the colour."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from clips import write_clip, write_image
from scan.stage import Actor, Pixels, background, draw

RATE = 10
RED = (1.0, 0.5, 0.25)
PALE = (0.4, 0.7, 1.0)
STRIDE = 4


def tinted(pixels: Pixels, tint: tuple[float, float, float]) -> Pixels:
    return np.round(pixels * np.array(tint)).astype(np.uint8)


def moving(still: Pixels, count: int) -> Iterator[Pixels]:
    """The camera turns slowly."""
    return (np.roll(still, number * STRIDE, axis=1) for number in range(count))


def write_clips(folder: Path) -> Path:
    """Write red.mp4, pale.mp4, two.mp4 (a red face and a pale one), red.jpg and nobody.mp4."""
    left = Actor("obama", lambda _: (300, 400), 180)
    right = Actor("biden", lambda _: (860, 380), 180)
    one, two = draw([left], 0.0, background()), draw([left, right], 0.0, background())
    two[:, :600], two[:, 600:] = tinted(two[:, :600], RED), tinted(two[:, 600:], PALE)
    write_clip(folder / "red.mp4", moving(tinted(one, RED), 30), rate=RATE)
    write_clip(folder / "pale.mp4", moving(tinted(one, PALE), 30), rate=RATE)
    write_clip(folder / "two.mp4", moving(two, 20), rate=RATE)
    write_clip(folder / "nobody.mp4", 12, rate=RATE)
    write_image(folder / "red.jpg", tinted(one, RED))
    return folder
