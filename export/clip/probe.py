"""A linear head on cached features: L2 logistic regression, its strength chosen over sources.

Both labels weigh the same, and within a label every source. Features are standardised by the same
weights; the head that comes out is for features as they are. The strength of the penalty is the
one whose heads rank pictures of sources they never saw best.

It is fitted along the features' principal axes, each scaled by what the loss bends along it at the
start. That changes no solution, but takes some ten steps to it instead of hundreds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor

from edge.errors import TruelightError
from export.metrics import auc

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Progress = Callable[[int, int], None]

PENALTIES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # from strong to weak: each starts at the last
FOLDS = 5
MOST_STEPS = 200
PART = 4096  # rows at a time, where a copy is made
LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Head:
    """logit of FAKE = features `[D]` @ weight + bias."""

    weight: Floats
    bias: float
    penalty: float
    auc: float
    """Of pictures whose source was left out, with that penalty."""

    def logits(self, features: NDArray[np.float16]) -> Floats:
        """`[n, D]` -> `[n]`."""
        parts = [features[at : at + PART] for at in range(0, len(features), PART)]
        return np.concatenate([part.astype(np.float64) @ self.weight + self.bias for part in parts])


def fit_head(
    features: NDArray[np.float16], fakes: Flags, sources: Sequence[str], progress: Progress
) -> Head:
    """Fit to features `[n, D]`, labels `[n]` and the pictures' sources.

    Raises TruelightError if a fold lacks one of the labels.
    """
    weights = balanced(fakes, sources)
    mean, spread = _moments(features, weights)
    standard = _standard(features, mean, spread)
    data = _Data(standard, _turn(standard, weights), fakes)
    folds = np.array([_fold(source) for source in sources])
    for fold in range(FOLDS):
        if len(set(fakes[folds == fold])) < 2:
            raise TruelightError(
                "Too few sources of reals or of fakes to fit a head.",
                "Give more folders; some hundred sources are sensible.",
            )
    logits = np.zeros((len(PENALTIES), len(fakes)))
    for fold in range(FOLDS):
        progress(fold, FOLDS + 1)
        others = np.where(folds == fold, 0.0, weights)
        for row, solution in enumerate(_path(data, others, PENALTIES)):
            logits[row, folds == fold] = data.logits(solution)[folds == fold]
    values = [auc(fakes, row) for row in logits]
    best = int(np.argmax(values))
    progress(FOLDS, FOLDS + 1)
    *_, solution = _path(data, weights, PENALTIES[: best + 1])
    weight = data.straight(solution) / spread
    return Head(weight, float(solution[-1] - weight @ mean), PENALTIES[best], values[best])


def balanced(fakes: Flags, sources: Sequence[str]) -> Floats:
    """Weights [n] of sum 1: both labels weigh the same, within a label every source."""
    _, groups, counts = np.unique(
        [f"{fake:d}{source}" for fake, source in zip(fakes, sources, strict=True)],
        return_inverse=True,
        return_counts=True,
    )
    weights = np.asarray(1.0 / counts[groups], np.float64)
    for label in (False, True):
        weights[fakes == label] /= 2 * weights[fakes == label].sum()
    return weights


def _fold(source: str) -> int:
    # Other bytes than those that keep sources for validation, which would leave folds uneven.
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[8:16]) % FOLDS


def _moments(features: NDArray[np.float16], weights: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of every column."""
    width = features.shape[1]
    mean, square = np.zeros(width), np.zeros(width)
    for at in range(0, len(features), PART):
        mean += weights[at : at + PART] @ features[at : at + PART].astype(np.float64)
    for at in range(0, len(features), PART):
        square += weights[at : at + PART] @ (features[at : at + PART] - mean) ** 2
    return mean, np.maximum(np.sqrt(square), LEAST_SPREAD)


def _standard(features: NDArray[np.float16], mean: Floats, spread: Floats) -> Tensor:
    """float32 [n, D]: the one copy that everything is fitted on."""
    standard = np.empty(features.shape, np.float32)
    for at in range(0, len(features), PART):
        standard[at : at + PART] = (features[at : at + PART] - mean) / spread
    return torch.from_numpy(standard)


def _turn(standard: Tensor, weights: Floats) -> Axes:
    """Turn the rows to their principal axes, in place."""
    width = standard.shape[1]
    scatter = torch.zeros(width, width)
    parts = torch.split(standard, PART)
    for part, weight in zip(parts, torch.split(torch.from_numpy(weights), PART), strict=True):
        scatter += part.T @ (part * weight.float()[:, None])
    variances, axes = torch.linalg.eigh(scatter)
    for part in parts:
        part.copy_(part @ axes)
    return Axes(variances.clamp(min=0).double().numpy(), axes.double().numpy())


@dataclass(frozen=True)
class Axes:
    """The principal axes, as columns, and the variance along each."""

    variances: Floats
    columns: Floats


class _Data:
    """Turned features and labels; a solution is float64 `[D + 1]` along the axes, the bias last."""

    def __init__(self, features: Tensor, axes: Axes, fakes: Flags) -> None:
        self._features = features
        self._axes = axes
        self._labels = fakes.astype(np.float64)

    def start(self) -> Floats:
        """A solution that says nothing."""
        return np.zeros(len(self._axes.variances) + 1)

    def straight(self, solution: Floats) -> Floats:
        """The weights of the features before they were turned, `[D]`."""
        return self._axes.columns @ solution[:-1]

    def logits(self, solution: Floats) -> Floats:
        """Of all rows, `[n]`."""
        weight = torch.from_numpy(solution[:-1].astype(np.float32))
        logits: Floats = (self._features @ weight).numpy().astype(np.float64) + solution[-1]
        return logits

    def solve(self, start: Floats, weights: Floats, penalty: float) -> Floats:
        """The least weighted mean loss with the penalty."""
        bend = np.sqrt(np.append(self._axes.variances / 4 + penalty, 0.25))

        def loss(scaled: Floats) -> tuple[float, Floats]:
            value, gradient = self._loss(scaled / bend, weights, penalty)
            return value, gradient / bend

        limits = {"maxiter": MOST_STEPS, "ftol": 1e-6, "gtol": 1e-5}
        done = minimize(loss, start * bend, method="L-BFGS-B", jac=True, options=limits)
        return np.asarray(done.x / bend, np.float64)

    def _loss(self, solution: Floats, weights: Floats, penalty: float) -> tuple[float, Floats]:
        logits = self.logits(solution)
        value = weights @ (np.logaddexp(0.0, logits) - self._labels * logits)
        off = weights * (expit(logits) - self._labels)
        slope = (torch.from_numpy(off.astype(np.float32)) @ self._features).numpy()
        weight = solution[:-1]
        gradient = np.append(slope + penalty * weight, off.sum())
        return float(value + penalty / 2 * weight @ weight), gradient


def _path(data: _Data, weights: Floats, penalties: Sequence[float]) -> list[Floats]:
    """A solution for each penalty, from strong to weak."""
    weights = weights / weights.sum()
    solution, found = data.start(), []
    for penalty in penalties:
        solution = data.solve(solution, weights, penalty)
        found.append(solution)
    return found
