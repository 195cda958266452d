"""Batches as functions of (seed, step): what makes training deterministic and resumable.

A batch is made of couples: a self-blend of a real face (easy ones first), a labelled pair, real
and fake of one source, which share one treatment, or, while a teacher's features are learned, two
single pictures without any label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from export.data.augment import draw
from export.data.blends import self_blend, to_blend
from export.data.folders import Image, Material, Pairs, Picture, Singles

Kind = Literal["distil", "tutor", "labels"]
"""What is learned from: a teacher's cached features, a tutor that sees every batch, or neither."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one picture size."""

    side: int
    steps: int
    batch: int
    rate: float  # the learning rate's peak
    kind: Kind = "labels"


@dataclass(frozen=True)
class Mix:
    """How the draws change over the whole of training; shares of the way from 0 to 1."""

    blends_at_start: float = 0.4  # share of couples that are self-blends
    blends_at_end: float = 0.35
    ease_at_start: float = 1.0  # how easy to see the blends are, 1 to 0
    settled: float = 0.4  # where both curricula end
    stills: float = 0.35  # share of the blends made from photographs that have margin
    # While distilling:
    singles: float = 0.15  # share of couples that are any two pictures the teacher knows
    distil_blends: float = 0.15  # share of the others that are self-blends
    taught: float = 0.75  # share of the pairs that are of pictures the teacher knows

    def blends(self, way: float) -> float:
        """The share of self-blends at a point of the way."""
        return self._slide(self.blends_at_start, self.blends_at_end, way)

    @property
    def any_blends(self) -> bool:
        """Whether self-blends are drawn at all."""
        return max(self.blends_at_start, self.blends_at_end, self.distil_blends) > 0

    def ease(self, way: float) -> float:
        """How easy to see the blends are, 1 to 0."""
        return self._slide(self.ease_at_start, 0.0, way)

    def _slide(self, start: float, end: float, way: float) -> float:
        return start + (end - start) * min(1.0, way / self.settled)


SUBTLE = Mix(blends_at_start=0.4, blends_at_end=0.4, stills=0.55, ease_at_start=0.0)
"""For who knows pictures already, or learns from one who does."""


class Batch(NamedTuple):
    """What the network learns from in a step."""

    crops: torch.Tensor
    """uint8 [n, side, side, 3] RGB; in a tutor's phase of the tutor's side."""
    labels: torch.Tensor
    """float32 [n], 1 of FAKE; NaN where the label is not to be learned."""
    rows: torch.Tensor
    """int64 [n], of the teacher's features; -1 where there are none."""


class _Couple(NamedTuple):
    crops: tuple[Image, Image]
    labels: tuple[float, float]
    rows: tuple[int, int]


class Batches(Dataset[Batch]):
    """Item `step` is that step's batch."""

    def __init__(
        self,
        material: Material,
        phases: Sequence[Phase],
        mix: Mix,
        seed: int,
        tutor_side: int = 0,
    ) -> None:
        blendable = material.blendable
        self._tight = [picture for picture in blendable if picture.margin <= 1.0]
        self._wide = [picture for picture in blendable if picture.margin > 1.0]
        self._pairs = Pairs(material.pictures, material.weights)
        taught = [picture for picture in material.pictures if picture.key in material.rows]
        self._singles = Singles(taught, material.weights)
        self._taught_pairs = Pairs(taught, material.weights)
        self._landmarks = material.landmarks
        self._rows = material.rows
        self._phases = list(phases)
        self._mix = mix
        self._seed = seed
        self._tutor_side = tutor_side

    def __len__(self) -> int:
        return sum(phase.steps for phase in self._phases)

    def phase(self, step: int) -> tuple[Phase, int]:
        """The phase of a step, and the step's number within it."""
        for phase in self._phases:
            if step < phase.steps:
                return phase, step
            step -= phase.steps
        raise IndexError(step)

    def __getitem__(self, step: int) -> Batch:
        cv2.setNumThreads(0)
        phase, _ = self.phase(step)
        rng = np.random.default_rng((self._seed, step))
        way = step / len(self)
        couples = [self._couple(phase, way, rng) for _ in range(phase.batch // 2)]
        return Batch(
            torch.from_numpy(np.stack([crop for couple in couples for crop in couple.crops])),
            torch.tensor([label for couple in couples for label in couple.labels]),
            torch.tensor([row for couple in couples for row in couple.rows]),
        )

    def _couple(self, phase: Phase, way: float, rng: np.random.Generator) -> _Couple:
        distils, mix = phase.kind == "distil", self._mix
        side = self._tutor_side if phase.kind == "tutor" else phase.side
        if distils and len(self._singles) and rng.random() < mix.singles:
            return self._two(side, rng)
        blends = mix.distil_blends if distils else mix.blends(way)
        can_blend = bool(self._tight or self._wide)
        if can_blend and (not self._pairs.by_source or rng.random() < blends):
            return self._blend(side, mix.ease(way), rng)
        taught = distils and self._taught_pairs.by_source and rng.random() < mix.taught
        return self._pair(self._taught_pairs if taught else self._pairs, side, rng)

    def _two(self, side: int, rng: np.random.Generator) -> _Couple:
        """Any two pictures: what the teacher sees in them is all that is learned."""
        both = self._singles.draw(rng), self._singles.draw(rng)
        one, other = (draw(rng).apply(p.read(), p.margin, side) for p in both)
        return _Couple((one, other), (np.nan, np.nan), self._rows_of(both))

    def _blend(self, side: int, ease: float, rng: np.random.Generator) -> _Couple:
        wide = self._wide and (not self._tight or rng.random() < self._mix.stills)
        pool = self._wide if wide else self._tight
        picture = pool[rng.integers(len(pool))]
        image, points = to_blend(picture, self._landmarks[str(picture.path)], side)
        treatment = draw(rng)
        real, fake = (
            treatment.apply(made, picture.margin, side)
            for made in self_blend(image, points, ease, rng)
        )
        return _Couple((real, fake), (0.0, 1.0), (-1, -1))

    def _pair(self, pairs: Pairs, side: int, rng: np.random.Generator) -> _Couple:
        both = pairs.draw(rng)
        treatment, room = draw(rng), min(picture.margin for picture in both)
        real, fake = (treatment.apply(p.read(), p.margin, side, room) for p in both)
        return _Couple((real, fake), (0.0, 1.0), self._rows_of(both))

    def _rows_of(self, both: tuple[Picture, Picture]) -> tuple[int, int]:
        return self._rows.get(both[0].key, -1), self._rows.get(both[1].key, -1)
