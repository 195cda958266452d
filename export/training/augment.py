"""What happens to a picture before the network sees it, alike for real and fake.

One draw is applied to both members of a pair: whatever compression, size or light could tell the
classes apart is shared, so only the face can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from export.training.data import Image


@dataclass(frozen=True)
class Treatment:
    """One draw of the augmentation; `apply` gives the same change to every picture."""

    extent: float  # side of the cut as a share of the nominal crop
    centre: tuple[float, float]  # shift of the cut as a share of the crop
    flip: bool
    shrink: float  # passes through a picture smaller by this factor, 1: not
    blur: float  # sigma in px of the final picture, 0: not
    light: tuple[float, float, float]  # contrast, brightness (0..255), gamma
    tint: tuple[float, float, float]  # added to red, green, blue
    noise: float  # sigma, 0..255
    noise_seed: int
    qualities: tuple[int, ...]  # of JPEG passes, one after the other

    def apply(self, image: Image, margin: float, side: int) -> Image:
        """A crop uint8 [side, side, 3] RGB of a square picture `margin` times wider than it."""
        cut = self._soften(self._cut(image, margin, side), side)
        if self.flip:
            cut = cut[:, ::-1]
        return self._compress(self._relight(cut))

    def _soften(self, cut: Image, side: int) -> Image:
        soft: NDArray[Any] = cut
        if self.shrink > 1.0:
            small = max(12, round(side / self.shrink))
            soft = cv2.resize(soft, (small, small), interpolation=cv2.INTER_AREA)
            soft = cv2.resize(soft, (side, side), interpolation=cv2.INTER_LINEAR)
        if self.blur > 0.0:
            soft = cv2.GaussianBlur(soft, (0, 0), self.blur)
        return np.asarray(soft, dtype=np.uint8)

    def _cut(self, image: Image, margin: float, side: int) -> Image:
        full = image.shape[0]
        size = self.extent * full / margin
        reach = max(0.0, (full - size) / 2)  # never over the picture's edge
        x, y = (
            full / 2 + float(np.clip(shift * full / margin, -reach, reach)) - size / 2
            for shift in self.centre
        )
        x0, y0 = max(0, round(x)), max(0, round(y))
        x1, y1 = min(full, round(x + size)), min(full, round(y + size))
        shrinking = size > side
        how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
        cut = cv2.resize(image[y0:y1, x0:x1], (side, side), interpolation=how)
        return np.asarray(cut, dtype=np.uint8)

    def _relight(self, image: Image) -> Image:
        contrast, brightness, gamma = self.light
        values = 255.0 * (image / 255.0) ** gamma
        values = (values - 128.0) * contrast + 128.0 + brightness + np.array(self.tint)
        if self.noise > 0.0:
            rng = np.random.default_rng(self.noise_seed)
            values = values + rng.normal(0.0, self.noise, image.shape)
        return np.asarray(np.clip(values, 0, 255), dtype=np.uint8)

    def _compress(self, image: Image) -> Image:
        for quality in self.qualities:
            _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            again: NDArray[Any] | None = cv2.imdecode(data, cv2.IMREAD_COLOR)
            assert again is not None  # what was just encoded decodes
            image = np.asarray(again[..., ::-1], dtype=np.uint8)
        return image


def draw(rng: np.random.Generator) -> Treatment:
    """A random treatment."""

    def now_and_then(share: float, low: float, high: float, otherwise: float) -> float:
        value = rng.uniform(low, high)
        return float(value) if rng.random() < share else otherwise

    passes = int(rng.choice([0, 1, 1, 2]))
    return Treatment(
        extent=float(rng.uniform(0.85, 1.0)),
        centre=(float(rng.normal(0, 0.04)), float(rng.normal(0, 0.04))),
        flip=bool(rng.random() < 0.5),
        shrink=now_and_then(0.3, 1.0, 2.5, 1.0),
        blur=now_and_then(0.2, 0.2, 1.2, 0.0),
        light=(
            float(rng.uniform(0.8, 1.2)),
            float(rng.uniform(-25, 25)),
            float(np.exp(rng.uniform(-0.3, 0.3))),
        ),
        tint=(float(rng.uniform(-8, 8)), float(rng.uniform(-8, 8)), float(rng.uniform(-8, 8))),
        noise=now_and_then(0.2, 1.0, 8.0, 0.0),
        noise_seed=int(rng.integers(2**31)),
        qualities=tuple(int(q) for q in rng.integers(30, 96, size=passes)),
    )


PLAIN = Treatment(0.96, (0.0, 0.0), False, 1.0, 0.0, (1.0, 0.0, 1.0), (0.0, 0.0, 0.0), 0.0, 0, ())
"""What validation pictures get: the middle of the training's extents and nothing else."""
