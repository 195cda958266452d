"""Batches as functions of (seed, step): what makes training deterministic and resumable.

Half of each batch and more, at first, are self-blends of real faces (easy ones first); the rest
are labelled pairs, real and fake of one source. Every pair shares one treatment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from export.training.augment import Treatment, draw
from export.training.blends import self_blend
from export.training.data import Image, Pairs, Picture

WORK = 1.4  # blends are made at this multiple of the crop's side, then cut


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one picture size."""

    side: int
    steps: int
    batch: int
    rate: float  # the learning rate's peak


@dataclass(frozen=True)
class Mix:
    """How the draws change over the whole of training; shares of the way from 0 to 1."""

    blends_at_start: float = 0.4  # share of pairs that are self-blends
    blends_at_end: float = 0.35
    settled: float = 0.4  # where both curricula end
    stills: float = 0.35  # share of the blends made from photographs that have margin

    def blends(self, way: float) -> float:
        """The share of self-blends at a point of the way."""
        return self._slide(self.blends_at_start, self.blends_at_end, way)

    def ease(self, way: float) -> float:
        """How easy to see the blends are, 1 to 0."""
        return self._slide(1.0, 0.0, way)

    def _slide(self, start: float, end: float, way: float) -> float:
        return start + (end - start) * min(1.0, way / self.settled)


class Batches(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Item `step` is a batch: crops uint8 [n, side, side, 3] RGB and labels float32 [n]."""

    def __init__(
        self,
        reals: Sequence[Picture],
        pairs: Pairs,
        landmarks: dict[str, NDArray[np.float32]],
        phases: Sequence[Phase],
        mix: Mix,
        seed: int,
    ) -> None:
        blendable = [picture for picture in reals if str(picture.path) in landmarks]
        self._tight = [picture for picture in blendable if picture.margin <= 1.0]
        self._wide = [picture for picture in blendable if picture.margin > 1.0]
        self._pairs = pairs
        self._landmarks = landmarks
        self._phases = list(phases)
        self._mix = mix
        self._seed = seed

    def __len__(self) -> int:
        return sum(phase.steps for phase in self._phases)

    def phase(self, step: int) -> tuple[Phase, int]:
        """The phase of a step, and the step's number within it."""
        for phase in self._phases:
            if step < phase.steps:
                return phase, step
            step -= phase.steps
        raise IndexError(step)

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        cv2.setNumThreads(0)
        phase, _ = self.phase(step)
        rng = np.random.default_rng((self._seed, step))
        way = step / len(self)
        crops: list[Image] = []
        for _ in range(phase.batch // 2):
            if not self._pairs.by_source or rng.random() < self._mix.blends(way):
                crops += self._blend(phase.side, self._mix.ease(way), rng)
            else:
                crops += self._pair(phase.side, rng)
        labels = torch.tensor([0.0, 1.0]).repeat(len(crops) // 2)
        return torch.from_numpy(np.stack(crops)), labels

    def _blend(self, side: int, ease: float, rng: np.random.Generator) -> tuple[Image, Image]:
        wide = self._wide and (not self._tight or rng.random() < self._mix.stills)
        pool = self._wide if wide else self._tight
        picture = pool[rng.integers(len(pool))]
        size = round(side * WORK * picture.margin)
        image = cv2.resize(picture.read(), (size, size), interpolation=cv2.INTER_AREA)
        points = self._landmarks[str(picture.path)] * size
        both = self_blend(np.asarray(image, dtype=np.uint8), points, ease, rng)
        return _treated(draw(rng), both, (picture.margin, picture.margin), side)

    def _pair(self, side: int, rng: np.random.Generator) -> tuple[Image, Image]:
        real, fake = self._pairs.draw(rng)
        both = (real.read(), fake.read())
        return _treated(draw(rng), both, (real.margin, fake.margin), side)


def _treated(
    treatment: Treatment, both: tuple[Image, Image], margins: tuple[float, float], side: int
) -> tuple[Image, Image]:
    real, fake = (
        treatment.apply(image, margin, side) for image, margin in zip(both, margins, strict=True)
    )
    return real, fake
