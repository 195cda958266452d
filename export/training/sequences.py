"""Windows made of stills: a picture under camera motion, each frame compressed by itself.

Clips with labels are few and stills are many, so time is synthetic: the cut drifts and trembles,
exposure wanders, and the blend of a fake flickers as a swap does from frame to frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from export.training.augment import Treatment, draw
from export.training.batches import WORK
from export.training.blends import self_blend
from export.training.data import Image, Pairs, Picture


@dataclass(frozen=True)
class Windows:
    """Draws pairs of windows; every draw is a function of its number and the seed."""

    reals: Sequence[Picture]
    pairs: Pairs
    landmarks: dict[str, NDArray[np.float32]]
    frames: int
    side: int
    seed: int

    def pair(self, number: int) -> tuple[Image, Image]:
        """A real and a fake window, uint8 [frames, side, side, 3] RGB each.

        Odd numbers are labelled pairs of one source, even ones are self-blends; where there is
        nothing to make the one kind of, all are of the other.
        """
        rng = np.random.default_rng((self.seed, number))
        camera = _camera(draw(rng), self.frames, rng)
        if self.pairs.by_source and (number % 2 or not self.reals):
            real, fake = self.pairs.draw(rng)
            return self._film(camera, real), self._film(camera, fake)
        return self._blend(camera, rng)

    def _film(self, camera: Sequence[Treatment], picture: Picture) -> Image:
        image = picture.read()
        return np.stack([moment.apply(image, picture.margin, self.side) for moment in camera])

    def _blend(self, camera: Sequence[Treatment], rng: np.random.Generator) -> tuple[Image, Image]:
        picture = self.reals[int(rng.integers(len(self.reals)))]
        size = round(self.side * WORK * picture.margin)
        image = cv2.resize(picture.read(), (size, size), interpolation=cv2.INTER_AREA)
        points = self.landmarks[str(picture.path)] * size
        real, fake = self_blend(np.asarray(image, dtype=np.uint8), points, 0.0, rng)
        pasted = fake.astype(np.float32) - real
        steady = rng.random() < 0.3
        flicker = np.ones(self.frames) if steady else rng.uniform(0.4, 1.0, self.frames)
        fakes = [(real + amount * pasted).astype(np.uint8) for amount in flicker]
        return (
            np.stack([moment.apply(real, picture.margin, self.side) for moment in camera]),
            np.stack(
                [
                    moment.apply(frame, picture.margin, self.side)
                    for moment, frame in zip(camera, fakes, strict=True)
                ]
            ),
        )


def _camera(start: Treatment, frames: int, rng: np.random.Generator) -> list[Treatment]:
    """A treatment a frame: drift and tremble around the first, compression anew each time."""
    drift = rng.normal(0.0, 0.004, size=3)
    wander = np.cumsum(rng.normal(0.0, 1.5, frames))
    camera = []
    for t in range(frames):
        tremble = rng.normal(0.0, 0.004, size=3)
        contrast, brightness, gamma = start.light
        x, y, zoom = drift * t + tremble
        camera.append(
            replace(
                start,
                centre=(start.centre[0] + float(x), start.centre[1] + float(y)),
                extent=float(np.clip(start.extent + zoom, 0.8, 1.05)),
                light=(contrast, brightness + float(wander[t]), gamma),
                noise_seed=int(rng.integers(2**31)),
                qualities=tuple(
                    int(np.clip(q + rng.integers(-8, 9), 25, 98)) for q in start.qualities
                ),
            )
        )
    return camera
