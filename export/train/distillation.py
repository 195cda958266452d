"""Learning from a teacher: its cached features, and what a probe on them says, are the targets.

The student sees an augmented picture, the teacher saw the clean one. What is learned that way
needs no label; where there is one, it is learned beside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.errors import TruelightError
from export.data.folders import Pairs, Picture
from export.metrics import auc
from export.train.batches import Batch

TEACHER, LABEL = 0.5, 0.5  # weights of the probe's logit and of the label beside the features
PROBE_DECAYS = (2e-3, 1e-2, 5e-2)  # of which the best on held-out sources is taken
PROBE_STEPS = 100
MEASURED = 8  # batches, by which an online teacher's features are standardised


class CachedFeatures(Protocol):
    """Features of pictures: row i of `matrix` is of the picture with the key `names[i]`."""

    @property
    def names(self) -> Sequence[str]:
        """[n]."""

    @property
    def matrix(self) -> NDArray[np.float16]:
        """[n, D]."""


@dataclass(frozen=True)
class Targets:
    """What is to be learned of pictures, standardised over those that are trained on."""

    features: Tensor
    """float16 or float32 [n, D]."""
    logits: Tensor
    """float32 [n]: what a probe on the features says."""


class OnlineTeacher(Protocol):
    """A teacher that sees every batch."""

    name: str
    side: int
    """Of the crops that it sees, px."""
    width: int
    """D."""
    scale: dict[str, Tensor]
    """What its answers are standardised by; empty until measured."""

    def measure(self, batches: Iterable[Batch]) -> None:
        """Find the scale."""

    def about(self, crops: Tensor) -> Targets:
        """Targets of crops, uint8 [n, side, side, 3]."""


@dataclass(frozen=True)
class Teacher(Targets):
    """Targets of all pictures, cached."""

    rows: dict[str, int]
    """A picture's row, by key."""
    held_out_auc: float
    """Of the probe, on sources kept for validation, which chose its decay; NaN without any."""

    @property
    def width(self) -> int:
        """D."""
        return int(self.features.shape[1])


def teacher_of(
    cached: CachedFeatures,
    train: Sequence[Picture],
    held_out: Sequence[Picture],
) -> Teacher:
    """Make targets of cached features and fit the probe on the training pairs' labels.

    Raises TruelightError if none of the pictures has features, or no pair of a source has.
    """
    rows = {name: row for row, name in enumerate(cached.names)}
    trained = np.array(sorted({rows[p.key] for p in train if p.key in rows}), np.int64)
    known = [p for p in train if p.key in rows]
    if not known:
        raise TruelightError(
            "The teacher knows none of the pictures.",
            "Cache the features of the same folders: they are known by the folders' names.",
        )
    raw = torch.from_numpy(cached.matrix)
    seen = raw[torch.from_numpy(trained)].float()
    mean, deviation = seen.mean(0), seen.std(0) + 1e-6
    standard = torch.cat(
        [((part.float() - mean) / deviation).half() for part in torch.split(raw, 4096)]
    )  # fmt: skip
    at, labels = _labelled(known, rows)
    if not len(at):
        raise TruelightError(
            "The teacher knows no real and fake of one source.", "Cache the labelled pictures too."
        )
    at_held_out, fakes = _labelled([p for p in held_out if p.key in rows], rows)
    shown = standard[at].float(), labels
    kept = standard[at_held_out].float()
    tried = []
    for decay in PROBE_DECAYS if len(fakes) else PROBE_DECAYS[1:2]:
        weight, bias = _probe(*shown, decay)
        value = auc(fakes.numpy(), (kept @ weight + bias).numpy()) if len(fakes) else math.nan
        tried.append((value, weight, bias))
    value, weight, bias = max(tried, key=lambda one: one[0])
    logits = torch.cat([part.float() @ weight + bias for part in torch.split(standard, 4096)])
    centre, spread = logits[at].mean(), logits[at].std() + 1e-6
    return Teacher(standard, (logits - centre) / spread, rows, value)


def _labelled(pictures: Sequence[Picture], rows: dict[str, int]) -> tuple[Tensor, Tensor]:
    """Rows and labels of the pictures whose source has both a real and a fake."""
    both = [p for pair in Pairs(pictures).by_source for part in pair for p in part]
    at = torch.tensor([rows[p.key] for p in both], dtype=torch.int64)
    return at, torch.tensor([float(p.fake) for p in both])


def _probe(features: Tensor, labels: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """Logistic regression, both classes weighing the same: weight [D] and bias [1]."""
    weight = torch.zeros(features.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    balance = (1 - labels).sum() / labels.sum()
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=PROBE_STEPS)

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = nn.functional.binary_cross_entropy_with_logits(
            features @ weight + bias, labels, pos_weight=balance
        )
        value = value + decay * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


@dataclass(frozen=True)
class Losses:
    """The parts of a batch's loss; a part that nothing in the batch is for is None."""

    features: Tensor | None
    teacher: Tensor | None
    label: Tensor | None
    label_weight: float = 1.0

    def total(self) -> Tensor:
        """What is minimised."""
        weighed = (
            (self.features, 1.0),
            (self.teacher, TEACHER),
            (self.label, self.label_weight),
        )
        return torch.stack([part * weight for part, weight in weighed if part is not None]).sum()

    def values(self) -> dict[str, float]:
        """Each part by its name, unweighed; NaN where there is none."""
        parts = {"features": self.features, "teacher": self.teacher, "label": self.label}
        return {n: math.nan if part is None else float(part.detach()) for n, part in parts.items()}


def losses(
    targets: Targets,
    guessed: Tensor,
    logits: Tensor,
    labels: Tensor,
    rows: Tensor,
    label_weight: float = LABEL,
) -> Losses:
    """What a student's answers to a batch are away from the teacher's and from the labels.

    Args:
        targets: of the teacher, on any device.
        guessed: float [n, D], the teacher's features as the student guesses them.
        logits: float32 [n], of the student's frame head.
        labels: float32 [n], smoothed; NaN where they are not to be learned.
        rows: int64 [n], of the targets; -1 where the teacher does not know the picture.
        label_weight: of the labels' part beside the features'; without those it counts in full.
    """
    taught, told = rows >= 0, ~torch.isnan(labels)
    both = taught & told
    features = probe = label = None
    if taught.any():
        wanted = targets.features[rows[taught].to(targets.features.device)]
        wanted = wanted.to(guessed.device).float()
        features = nn.functional.mse_loss(guessed[taught].float(), wanted)
    if both.any():
        said = targets.logits[rows[both].to(targets.logits.device)].to(logits.device)
        # The frame head's logit is of the label: about twice a standardised one.
        probe = nn.functional.mse_loss(logits[both] / 2, said)
    if told.any():
        label = nn.functional.binary_cross_entropy_with_logits(logits[told], labels[told])
    return Losses(features, probe, label, 1.0 if features is None else label_weight)
