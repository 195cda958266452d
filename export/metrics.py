"""Figures of merit, with intervals whose unit is the source."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[[NDArray[np.float64], NDArray[np.float64]], float]


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a fake scores above a real, ties counting half.

    labels: [n] of 0 (real) and 1 (fake). scores: [n], larger means more fake.
    NaN where one of the classes is missing.
    """
    y = np.asarray(labels, dtype=np.float64)
    s = np.asarray(scores, dtype=np.float64)
    fakes, reals = int((y == 1).sum()), int((y == 0).sum())
    if not fakes or not reals:
        return float("nan")
    _, inverse, counts = np.unique(s, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0  # ranks from 1, ties share their mean
    ranks = mean_rank[inverse]
    return float((ranks[y == 1].sum() - fakes * (fakes + 1) / 2.0) / (fakes * reals))


def interval(
    labels: ArrayLike,
    scores: ArrayLike,
    sources: Sequence[str],
    statistic: Statistic = auc,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of a statistic, by percentile bootstrap over sources (not over files)."""
    y = np.asarray(labels, dtype=np.float64)
    s = np.asarray(scores, dtype=np.float64)
    names = np.asarray(sources)
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    if not members:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        drawn = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        value = statistic(y[drawn], s[drawn])
        if not np.isnan(value):
            values.append(value)
    if not values:
        return float("nan"), float("nan")
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: mean gap of probability and frequency over equally filled bins.

    Naeini et al., AAAI 2015, with equal-mass bins, which small sets need.
    """
    y = np.asarray(labels, dtype=np.float64)
    p = np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(float(y[part].mean() - p[part].mean())) * len(part) for part in parts]
    return float(sum(gaps) / len(p)) if len(p) else float("nan")
