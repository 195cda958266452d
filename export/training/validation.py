"""How good a network is on labelled crops while it is trained: every source weighs the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.metrics import weighted_auc
from export.training.data import Picture


@dataclass(frozen=True)
class Score:
    """Two measures of the same answers."""

    auc: float
    """Over sources: each weighs the same, however many files it has."""
    pairs: float
    """Share of the fakes that score above the reals of their own source; a source weighs 1."""


def score(pictures: Sequence[Picture], logits: ArrayLike) -> Score:
    """Judge the logits [n] of pictures. NaN where nothing can be compared."""
    values = np.asarray(logits, dtype=np.float64)
    fakes = np.array([picture.fake for picture in pictures])
    sources = [picture.source for picture in pictures]
    weights = source_weights(fakes, sources)
    return Score(float(weighted_auc(fakes, values, weights)), _pairs(fakes, sources, values))


def source_weights(fakes: NDArray[np.bool_], sources: Sequence[str]) -> NDArray[np.float64]:
    """Weights [n] with which every source's reals together weigh 1, and its fakes 1."""
    kinds = list(zip(sources, fakes.tolist(), strict=True))
    counts = Counter(kinds)
    return np.array([1.0 / counts[kind] for kind in kinds])


def _pairs(
    fakes: NDArray[np.bool_], sources: Sequence[str], values: NDArray[np.float64]
) -> float:  # fmt: skip
    groups: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for source, fake, value in zip(sources, fakes.tolist(), values.tolist(), strict=True):
        groups[source][fake].append(value)
    shares = []
    for reals, found in groups.values():
        if reals and found:
            above = np.subtract.outer(np.array(found), np.array(reals))
            shares.append(float((np.sign(above) + 1).mean() / 2))
    return float(np.mean(shares)) if shares else float("nan")
