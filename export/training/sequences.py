"""Windows made of stills: a picture under camera motion, each frame compressed by itself.

Clips with labels are few and stills are many, so time is synthetic: the cut drifts and trembles,
exposure wanders, and the blend of a fake flickers, in mask, colours and strength, as a swap that
is made frame by frame does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from export.training.augment import Treatment, draw
from export.training.batches import Material, to_blend
from export.training.blends import STEADY, Flicker, blend_of
from export.training.data import Image, Pairs, Picture

CALM = 0.3  # share of blends that do not flicker: they must be seen, too


@dataclass(frozen=True)
class Windows:
    """Draws pairs of windows; every draw is a function of its number and the seed."""

    material: Material
    frames: int
    side: int
    seed: int

    @cached_property
    def _pairs(self) -> Pairs:
        return Pairs(self.material.pictures, self.material.weights)

    @cached_property
    def _blendable(self) -> list[Picture]:
        return self.material.blendable

    def pair(self, number: int) -> tuple[Image, Image, str]:
        """A real and a fake window, uint8 [frames, side, side, 3] RGB each, and their source.

        Odd numbers are labelled pairs of one source, even ones are self-blends; where there is
        nothing to make the one kind of, all are of the other.
        """
        rng = np.random.default_rng((self.seed, number))
        camera = _camera(draw(rng), self.frames, rng)
        if self._pairs.by_source and (number % 2 or not self._blendable):
            real, fake = self._pairs.draw(rng)
            room = min(real.margin, fake.margin)
            return self._film(camera, real, room), self._film(camera, fake, room), real.source
        return self._blend(camera, rng)

    def _film(self, camera: Sequence[Treatment], picture: Picture, room: float) -> Image:
        image = picture.read()
        return np.stack(
            [moment.apply(image, picture.margin, self.side, room) for moment in camera]
        )  # fmt: skip

    def _blend(
        self, camera: Sequence[Treatment], rng: np.random.Generator
    ) -> tuple[Image, Image, str]:
        picture = self._blendable[int(rng.integers(len(self._blendable)))]
        image, points = to_blend(picture, self.material.landmarks[str(picture.path)], self.side)
        blend = blend_of(image, points, 0.0, rng)
        reals, fakes = [], []
        for moment, flicker in zip(camera, _flickers(self.frames, rng), strict=True):
            reals.append(moment.apply(blend.target, picture.margin, self.side))
            fakes.append(moment.apply(blend.fake(flicker), picture.margin, self.side))
        return np.stack(reals), np.stack(fakes), picture.source


def _flickers(frames: int, rng: np.random.Generator) -> list[Flicker]:
    """How a window's blend changes from frame to frame."""
    if rng.random() < CALM:
        return [STEADY] * frames
    mask, colour, strength = rng.uniform(0.0, 1.0, size=3)
    return [
        Flicker(
            amount=float(1.0 - strength * rng.uniform(0.0, 0.6)),
            shift=(float(mask * rng.normal(0, 0.012)), float(mask * rng.normal(0, 0.012))),
            growth=float(1.0 + mask * rng.normal(0, 0.03)),
            tint=(
                float(colour * rng.normal(0, 6)),
                float(colour * rng.normal(0, 6)),
                float(colour * rng.normal(0, 6)),
            ),
        )
        for _ in range(frames)
    ]


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
                crf=start.crf and int(np.clip(start.crf + rng.integers(-3, 4), 15, 45)),
                qualities=tuple(
                    int(np.clip(q + rng.integers(-8, 9), 25, 98)) for q in start.qualities
                ),
            )
        )
    return camera
