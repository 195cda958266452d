"""Distillation: a teacher's features, and the logit of a linear probe on them, are the targets.

Features need no label; where there is one, it is learned as well. There are three sources of
targets: none, a teacher's cached features (the student sees an augmented image, the teacher saw
the original), and an online teacher that sees the same augmented image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from edge.errors import TruelightError
from export.data.folders import Example, PairSampler
from export.metrics import auc
from export.train.batches import Batch, PhaseKind

TEACHER_WEIGHT, LABEL_WEIGHT = 0.5, 0.5  # of the losses beside that of the features
PROBE_DECAYS = (2e-3, 1e-2, 5e-2)  # the best on held-out sources is used
MEASURED_BATCHES = 8  # by which an online teacher's targets are standardised


@dataclass(frozen=True)
class Targets:
    """Standardised targets of a batch."""

    features: Tensor  # float16 or float32 [m, D]
    logits: Tensor  # float32 [m], of a probe on the features
    rows: Tensor  # int64 [n]: the row of each crop in both; -1 if there is none


class TargetSource:
    """Where targets come from; this one has none, so that labels alone are learned."""

    kind: PhaseKind = "labels"  # of the phases that use it
    name = ""  # identifies an online teacher when a run is resumed
    side = 0  # px, of the crops in its phases; 0: as the phase says
    width = 0  # D; 0: there are no features

    def __init__(self) -> None:
        self.scale: dict[str, Tensor] = {}
        """Statistics that are saved with the run."""

    def prepare(self, sample: Callable[[], Iterable[Batch]]) -> None:
        """Compute `scale`, if it is needed and missing, from a sample of the run's batches."""

    def targets(self, batch: Batch) -> Targets:
        """The targets of a batch."""
        nothing = torch.zeros(0)
        return Targets(nothing, nothing, torch.full((len(batch.labels),), -1))

    def label_weight(self, progress: float) -> float:
        """The weight of the label's loss beside the features', over a phase's progress."""
        return LABEL_WEIGHT


class CachedTeacher(TargetSource):
    """Cached features, standardised over the training examples, and a probe on them."""

    kind: PhaseKind = "features"

    def __init__(
        self,
        names: Sequence[str],
        matrix: NDArray[np.float16],
        train: Sequence[Example],
        held_out: Sequence[Example],
    ) -> None:
        """Fit the probe on the training pairs' labels.

        Row i of `matrix` [n, D] has the features of the example with the key `names[i]`.
        Raises TruelightError if no training example, or no pair of one source, is cached.
        """
        super().__init__()
        rows = {name: row for row, name in enumerate(names)}
        cached = sorted({rows[e.key] for e in train if e.key in rows})
        if not cached:
            raise TruelightError(
                "The feature cache has none of the images.",
                "Cache the same folders; examples are identified by folder and file name.",
            )
        raw = torch.from_numpy(matrix)
        used = raw[cached].float()
        mean, deviation = used.mean(0), used.std(0) + 1e-6
        parts = [((part.float() - mean) / deviation).half() for part in torch.split(raw, 4096)]
        self.features = torch.cat(parts)  # float16 [n, D]
        self.width = self.features.shape[1]
        paired, labels = _pairs(train, rows)
        if not paired:
            raise TruelightError(
                "The feature cache has no real and fake of one source.",
                "Cache the labelled images, too.",
            )
        kept, fakes = _pairs(held_out, rows)
        x, x_held_out = self.features[paired].float().numpy(), self.features[kept].float().numpy()
        probes = []
        for decay in PROBE_DECAYS if kept else PROBE_DECAYS[1:2]:
            strength = 1 / (2 * decay * len(labels))  # C for the mean loss plus decay * |w|^2
            probe = LogisticRegression(C=strength, class_weight="balanced", max_iter=200)
            probe.fit(x, labels)
            score = auc(fakes, probe.decision_function(x_held_out)) if kept else math.nan
            probes.append((score, probe))
        # Of the probe; NaN without held-out sources.
        self.held_out_auc, best = max(probes, key=lambda one: one[0])
        values = [best.decision_function(part.float().numpy()) for part in parts]
        logits = torch.from_numpy(np.concatenate(values)).float()
        self.logits = (logits - logits[paired].mean()) / (logits[paired].std() + 1e-6)

    def targets(self, batch: Batch) -> Targets:
        """All features, and the batch's rows of them."""
        return Targets(self.features, self.logits, batch.rows)


def _pairs(examples: Sequence[Example], rows: dict[str, int]) -> tuple[list[int], list[bool]]:
    """Rows and labels of the cached examples whose source has both a real and a fake."""
    groups = PairSampler([e for e in examples if e.key in rows]).groups
    both = [example for group in groups for part in group for example in part]
    return [rows[e.key] for e in both], [e.fake for e in both]


@dataclass(frozen=True)
class Losses:
    """The parts of a batch's loss; None where no crop has such a target."""

    features: Tensor | None
    teacher: Tensor | None
    label: Tensor | None
    label_weight: float = 1.0

    def total(self) -> Tensor:
        """The weighted sum."""
        weights = (1.0, TEACHER_WEIGHT, self.label_weight)
        parts = zip((self.features, self.teacher, self.label), weights, strict=True)
        return torch.stack([part * weight for part, weight in parts if part is not None]).sum()

    def values(self) -> dict[str, float]:
        """Each part by name, unweighted; NaN for None."""
        parts = {"features": self.features, "teacher": self.teacher, "label": self.label}
        return {n: math.nan if part is None else float(part.detach()) for n, part in parts.items()}


def losses(
    targets: Targets, predicted: Tensor, logits: Tensor, labels: Tensor, label_weight: float
) -> Losses:
    """The distance of a student's outputs from the targets and the labels.

    Args:
        targets: on any device.
        predicted: float [n, D], the teacher's features as the student predicts them.
        logits: float32 [n], of the student's frame head.
        labels: float32 [n], smoothed; NaN if unlabelled.
        label_weight: of the label's loss beside the features'; 1 if no crop has features.
    """
    rows = targets.rows.to(labels.device)
    known, labelled = rows >= 0, ~torch.isnan(labels)
    features = teacher = label = None
    if known.any():
        wanted = targets.features[rows[known].to(targets.features.device)]
        features = nn.functional.mse_loss(
            predicted[known].float(), wanted.to(predicted.device).float()
        )
    if (known & labelled).any():
        wanted = targets.logits[rows[known & labelled].to(targets.logits.device)].to(logits.device)
        # The label's logit is about twice as large as a standardised one.
        teacher = nn.functional.mse_loss(logits[known & labelled] / 2, wanted)
    if labelled.any():
        label = nn.functional.binary_cross_entropy_with_logits(logits[labelled], labels[labelled])
    return Losses(features, teacher, label, 1.0 if features is None else label_weight)
