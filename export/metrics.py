"""Figures of merit, with intervals whose unit is the source.

Every statistic takes weights: drawing sources with replacement is giving each of their files the
number of times that its source was drawn. Weights may have leading axes, one row a draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Statistic = Callable[[Floats], Floats]
"""From weights [draws, n] of all files to the figure of each draw, [draws]; NaN: not defined."""

_CELLS = 4_000_000
"""Of weights at a time: draws are made in parts, so that large sets do not fill the memory."""


def roc(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """False alarms and true positives at every threshold, the highest first, as shares.

    labels: [n] of 0 (real) and 1 (fake). scores: [n], larger means more fake. weights: [..., n].
    Both answers are [..., thresholds + 1] and begin with 0; NaN where a class is missing.
    """
    y = np.asarray(labels, dtype=np.float64)
    s = np.asarray(scores, dtype=np.float64)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(-s, kind="stable")
    firsts = np.flatnonzero(np.diff(s[order], prepend=np.inf))  # equal scores fall together
    return _climb(w * (y == 0), order, firsts), _climb(w * (y == 1), order, firsts)


def _climb(weights: Floats, order: NDArray[np.intp], firsts: NDArray[np.intp]) -> Floats:
    """The share of the weight at or above each threshold."""
    if not len(firsts):
        return np.full((*weights.shape[:-1], 1), np.nan)
    reached = np.cumsum(np.add.reduceat(weights[..., order], firsts, axis=-1), axis=-1)
    with np.errstate(invalid="ignore"):
        shares = reached / reached[..., -1:]
    return np.concatenate([0.0 * shares[..., :1], shares], axis=-1)


def weighted_auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike) -> Floats:
    """AUC in which every pair of a real and a fake counts by the product of their weights.

    weights: [..., n]; the answer is [...]. NaN where one of the classes is missing.
    """
    false, true = roc(labels, scores, weights)
    middle = (true[..., 1:] + true[..., :-1]) / 2
    return np.asarray((np.diff(false, axis=-1) * middle).sum(axis=-1) + 0.0 * true[..., -1])


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a fake scores above a real, ties counting half.

    labels: [n] of 0 (real) and 1 (fake). scores: [n], larger means more fake.
    NaN where one of the classes is missing.
    """
    return float(weighted_auc(labels, scores, np.ones(len(np.asarray(labels)))))


def true_positives_at(
    false_alarms: float, labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None
) -> Floats:
    """The largest share of fakes found by a threshold that calls at most that share of reals fake.

    weights: [..., n]; the answer is [...]. Of few reals, 1 % means none at all.
    """
    false, true = roc(labels, scores, weights)
    found = np.where(false <= false_alarms + 1e-12, true, 0.0).max(axis=-1)
    return np.asarray(found + 0.0 * (true[..., -1] + false[..., -1]))


def weighted_mean(values: ArrayLike, weights: ArrayLike) -> Floats:
    """Mean of values [n] under weights [..., n]: [...]; NaN where nothing weighs."""
    v, w = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray((v * w).sum(axis=-1) / w.sum(axis=-1))


def draws_of(sources: Sequence[str], draws: int, seed: int = 0) -> Iterator[Floats]:
    """Weights of files for so many draws of their sources, in parts: [some, n] each.

    sources: [n], of each file.
    """
    names, of = np.unique(np.asarray(sources), return_inverse=True)
    rng = np.random.default_rng(seed)
    at_once = max(1, _CELLS // max(1, len(of)))
    for done in range(0, draws, at_once):
        drawn = rng.integers(len(names), size=(min(at_once, draws - done), len(names)))
        counts = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])
        yield counts[:, of].astype(np.float64)


def over_sources(
    sources: Sequence[str], statistic: Statistic, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of a statistic, by percentile bootstrap over sources (not over files).

    Draws for which it is not defined are left out; NaN if all are.
    """
    if not len(sources):
        return math.nan, math.nan
    values = np.concatenate([statistic(weights) for weights in draws_of(sources, draws, seed)])
    known = values[~np.isnan(values)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def interval(
    labels: ArrayLike,
    scores: ArrayLike,
    sources: Sequence[str],
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of the AUC, by percentile bootstrap over sources (not over files)."""
    return over_sources(sources, lambda w: weighted_auc(labels, scores, w), draws, seed)


@dataclass(frozen=True)
class Bin:
    """Probabilities that lie next to each other, and what became of them."""

    count: int
    low: float
    high: float
    probability: float
    """Their mean."""
    fakes: float
    """The share of fakes among them."""


def reliability(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> list[Bin]:
    """Equally filled bins of probabilities, ascending; empty ones are left out."""
    y = np.asarray(labels, dtype=np.float64)
    p = np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    return [
        Bin(
            len(part),
            float(p[part].min()),
            float(p[part].max()),
            float(p[part].mean()),
            float(y[part].mean()),
        )
        for part in np.array_split(order, bins)
        if len(part)
    ]


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: mean gap of probability and frequency over equally filled bins.

    Naeini et al., AAAI 2015, with equal-mass bins, which small sets need.
    """
    parts = reliability(labels, probabilities, bins)
    total = sum(part.count for part in parts)
    gaps = sum(part.count * abs(part.fakes - part.probability) for part in parts)
    return gaps / total if total else math.nan


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of `count` independent things (Wilson, 1927)."""
    z = 1.959964
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    reach /= 1 + z * z / count
    return max(0.0, middle - reach), min(1.0, middle + reach)
