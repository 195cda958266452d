"""Batches as a function of (seed, step), which makes training deterministic and resumable.

A batch consists of pairs: a self-blend of a real face (easy ones first); a labelled real and fake
of one source, augmented alike; or, while cached features are distilled, two unlabelled images.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from edge.errors import TruelightError
from export.data.augment import augmented, random_augmentation
from export.data.blends import augmented_blend, find_landmarks
from export.data.folders import (
    Example,
    ExampleSampler,
    Image,
    PairSampler,
    StageProgress,
    TrainingData,
    read_folder,
    split,
)
from export.train.network import best_device

PhaseKind = Literal["features", "online_teacher", "labels"]
"""What a phase learns from: a teacher's cached features, an online teacher, or labels alone."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training at one input size."""

    side: int
    steps: int
    batch: int
    rate: float  # peak learning rate
    kind: PhaseKind = "labels"


@dataclass(frozen=True)
class Mix:
    """What batches consist of, over training progress from 0 to 1."""

    blends_at_start: float = 0.4  # share of pairs that are self-blends
    blends_at_end: float = 0.35
    ease_at_start: float = 1.0  # how easy the blends are to see, 1 to 0
    settled: float = 0.4  # progress at which both reach their final value
    stills: float = 0.35  # share of the blends made from photographs, which have a margin
    # While distilling cached features:
    singles: float = 0.15  # share of pairs that are two unrelated images with cached features
    distil_blends: float = 0.15  # share of the other pairs that are self-blends
    taught: float = 0.75  # share of the labelled pairs with cached features

    def blends(self, progress: float) -> float:
        """The share of self-blends."""
        return self._interpolate(self.blends_at_start, self.blends_at_end, progress)

    @property
    def any_blends(self) -> bool:
        """Whether self-blends are drawn at all."""
        return max(self.blends_at_start, self.blends_at_end, self.distil_blends) > 0

    def ease(self, progress: float) -> float:
        """How easy the blends are to see, 1 to 0."""
        return self._interpolate(self.ease_at_start, 0.0, progress)

    def _interpolate(self, start: float, end: float, progress: float) -> float:
        return start + (end - start) * min(1.0, progress / self.settled)


SUBTLE = Mix(blends_at_start=0.4, blends_at_end=0.4, stills=0.55, ease_at_start=0.0)
"""For pretrained networks and for students of an online teacher."""


class Batch(NamedTuple):
    """The input of one training step."""

    crops: torch.Tensor
    """uint8 [n, side, side, 3] RGB; in phases with an online teacher at the teacher's side."""
    labels: torch.Tensor  # float32 [n], 1 for FAKE; NaN if unlabelled
    rows: torch.Tensor  # int64 [n] of the feature cache; -1 if not cached


class _Pair(NamedTuple):
    crops: tuple[Image, Image]
    labels: tuple[float, float]
    rows: tuple[int, int]


class Batches(Dataset[Batch]):
    """Item `step` is the batch of that step."""

    def __init__(
        self,
        data: TrainingData,
        phases: Sequence[Phase],
        mix: Mix,
        seed: int,
        teacher_side: int = 0,
    ) -> None:
        blendable = data.blendable
        self._tight = [example for example in blendable if example.margin <= 1.0]
        self._wide = [example for example in blendable if example.margin > 1.0]
        cached = [example for example in data.examples if example.key in data.feature_rows]
        self._pairs = PairSampler(data.examples, data.weights)
        self._cached = ExampleSampler(cached, data.weights)
        self._cached_pairs = PairSampler(cached, data.weights)
        self._data = data
        self._phases = list(phases)
        self._mix = mix
        self._seed = seed
        self._teacher_side = teacher_side

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
        progress = step / len(self)
        pairs = [self._pair(phase, progress, rng) for _ in range(phase.batch // 2)]
        return Batch(
            torch.from_numpy(np.stack([crop for pair in pairs for crop in pair.crops])),
            torch.tensor([label for pair in pairs for label in pair.labels]),
            torch.tensor([row for pair in pairs for row in pair.rows]),
        )

    def _pair(self, phase: Phase, progress: float, rng: np.random.Generator) -> _Pair:
        distils, mix = phase.kind == "features", self._mix
        side = self._teacher_side if phase.kind == "online_teacher" else phase.side
        if distils and self._cached.groups and rng.random() < mix.singles:
            return self._unrelated(side, rng)
        blends = mix.distil_blends if distils else mix.blends(progress)
        can_blend = bool(self._tight or self._wide)
        if can_blend and (not self._pairs.groups or rng.random() < blends):
            return self._blend(side, mix.ease(progress), rng)
        cached = distils and self._cached_pairs.groups and rng.random() < mix.taught
        return self._labelled(self._cached_pairs if cached else self._pairs, side, rng)

    def _unrelated(self, side: int, rng: np.random.Generator) -> _Pair:
        both = self._cached.draw(rng), self._cached.draw(rng)
        one, other = (random_augmentation(rng).apply(e.read(), e.margin, side) for e in both)
        return _Pair((one, other), (np.nan, np.nan), self._rows(both))

    def _blend(self, side: int, ease: float, rng: np.random.Generator) -> _Pair:
        wide = self._wide and (not self._tight or rng.random() < self._mix.stills)
        pool = self._wide if wide else self._tight
        example = pool[rng.integers(len(pool))]
        landmarks = self._data.landmarks[str(example.path)]
        crops = augmented_blend(example, landmarks, side, ease, rng)
        return _Pair(crops, (0.0, 1.0), (-1, -1))

    def _labelled(self, pairs: PairSampler, side: int, rng: np.random.Generator) -> _Pair:
        both = pairs.draw(rng)
        return _Pair(augmented(both, side, rng), (0.0, 1.0), self._rows(both))

    def _rows(self, both: tuple[Example, Example]) -> tuple[int, int]:
        rows = self._data.feature_rows
        return rows.get(both[0].key, -1), rows.get(both[1].key, -1)


def load_batches(batches: Batches, begin: int = 0, workers: int | None = None) -> DataLoader[Batch]:
    """Batches from step `begin` on, prepared by `workers` processes; 0: by this one."""
    if workers is None:
        cores = os.cpu_count() or 1
        workers = max(1, cores - 1 if best_device().type == "cuda" else cores // 8)
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(begin, len(batches)),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )


def gather(
    folders: Sequence[Path],
    mix: Mix,
    validation: float,
    cached: Sequence[str],
    landmarks: Path,
    weights: Mapping[str, float],
    progress: StageProgress,
) -> tuple[TrainingData, TrainingData]:
    """Read the folders and split them by source; a share `validation` of the sources is held out.

    cached: keys of the feature cache, by row. landmarks: cache file of the landmarks for blends.
    Raises TruelightError if a folder is wrong or `weights` names none of them.
    """
    examples = [example for one in folders for example in read_folder(one, unlabelled=True)]
    names = {example.folder for example in examples}
    if unknown := sorted(weights.keys() - names):
        raise TruelightError(
            f"--weight names {unknown[0]}, which is not one of the folders.",
            f"The folders are: {', '.join(sorted(names))}.",
        )
    points = {}
    if mix.any_blends:
        reals = [example for example in examples if example.labelled and not example.fake]
        points = find_landmarks(reals, landmarks, partial(progress, "landmarks"))
    rows = {key: row for row, key in enumerate(cached)}
    train, held_out = split(examples, validation)
    return TrainingData(train, points, rows, weights), TrainingData(held_out, points, rows, weights)
