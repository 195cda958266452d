"""A linear head on cached features: L2 logistic regression, its strength chosen over sources.

Both labels weigh the same, and so do all sources of a label. The strength is the one whose heads
rank images of unseen sources best, by cross-validation over sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from edge.errors import TruelightError
from export.clip.teacher import FeatureCache, Features
from export.data.folders import Example, Progress, held_out, read_folder
from export.metrics import Floats, auc

PENALTIES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # strong to weak: each starts from the last fit
FOLDS = 5
MAX_STEPS = 1000


@dataclass(frozen=True)
class FeatureDataset:
    """Features `[n, D]`, labels `[n]` and sources `[n]`."""

    features: Features
    fakes: NDArray[np.bool_]
    sources: list[str]

    @property
    def description(self) -> str:
        """The numbers of images and sources."""
        return f"{len(self.sources)} pictures of {len(set(self.sources))} sources"


def feature_datasets(
    caches: Sequence[FeatureCache], folders: Sequence[Path], share: float
) -> tuple[FeatureDataset, FeatureDataset]:
    """Training data, with mirrored images if cached, and a held-out `share` of the sources.

    Raises TruelightError if the caches differ in how they were made, or have no labelled image.
    """
    if len({one.metadata.model_copy(update={"mirrored": False}) for one in caches}) > 1:
        raise TruelightError("The feature caches are of different encoders or taps.")
    examples = {e.key: e for folder in folders for e in read_folder(folder.resolve())}
    train: list[tuple[Features, Example]] = []
    validation: list[tuple[Features, Example]] = []
    for cache in caches:
        for row, name in enumerate(cache.names):
            if (example := examples.pop(name, None)) is None:
                continue  # not labelled, or in two caches
            if held_out(example.source, share):
                validation.append((cache.matrix[row], example))
                continue
            train.append((cache.matrix[row], example))
            if cache.mirrored is not None:
                train.append((cache.mirrored[row], example))
    if not train:
        raise TruelightError(
            "The feature caches have none of the labelled images.",
            "Cache the same folders; examples are identified by folder and file name.",
        )
    width = caches[0].matrix.shape[1]
    learned, kept = (
        FeatureDataset(
            np.array([features for features, _ in rows], np.float16).reshape(-1, width),
            np.array([example.fake for _, example in rows], bool),
            [example.source for _, example in rows],
        )
        for rows in (train, validation)
    )
    return learned, kept


@dataclass(frozen=True)
class Head:
    """logit of FAKE = features `[D]` @ weight + bias."""

    weight: Floats
    bias: float
    penalty: float
    auc: float  # cross-validated over sources

    def logits(self, features: Features) -> Floats:
        """`[n, D]` -> `[n]`."""
        return np.asarray(features.astype(np.float32) @ self.weight + self.bias, np.float64)


def fit_head(
    features: Features, fakes: NDArray[np.bool_], sources: Sequence[str], progress: Progress
) -> Head:
    """Fit to features `[n, D]`, labels `[n]` and the images' sources.

    Raises TruelightError if there are too few sources of a label for the folds.
    """
    if min(len(set(np.asarray(sources)[fakes == fake])) for fake in (False, True)) < FOLDS:
        raise TruelightError(
            "Too few sources of reals or of fakes to fit a head.",
            "Add folders; a few hundred sources are sensible.",
        )
    weights = balanced(fakes, sources)
    scaler = StandardScaler().fit(features.astype(np.float32), sample_weight=weights)
    x = scaler.transform(features.astype(np.float32))
    logits = np.zeros((len(PENALTIES), len(fakes)))
    folds = StratifiedGroupKFold(FOLDS).split(x, fakes, sources)
    for fold, (train, test) in enumerate(folds):
        progress(fold, FOLDS + 1)
        model = LogisticRegression(warm_start=True, max_iter=MAX_STEPS)
        for row, penalty in enumerate(PENALTIES):
            fit_logistic(model, x[train], fakes[train], weights[train], penalty)
            logits[row, test] = model.decision_function(x[test])
    scores = [auc(fakes, row) for row in logits]
    best = int(np.argmax(scores))
    progress(FOLDS, FOLDS + 1)
    model = LogisticRegression(warm_start=True, max_iter=MAX_STEPS)
    for penalty in PENALTIES[: best + 1]:
        fit_logistic(model, x, fakes, weights, penalty)
    weight = model.coef_[0].astype(np.float64) / scaler.scale_
    bias = float(model.intercept_[0] - weight @ scaler.mean_)
    return Head(weight, bias, PENALTIES[best], scores[best])


def fit_logistic(
    model: LogisticRegression,
    x: NDArray[np.float32],
    fakes: NDArray[np.bool_],
    weights: Floats,
    penalty: float,
) -> None:
    """Minimise the weighted mean loss plus penalty / 2 * |w|^2."""
    model.set_params(C=1 / penalty).fit(x, fakes, sample_weight=weights / weights.sum())


def balanced(fakes: NDArray[np.bool_], sources: Sequence[str]) -> Floats:
    """Weights [n] of sum 1: both labels weigh the same, and so do all sources of a label."""
    _, groups, counts = np.unique(
        [f"{fake:d}{source}" for fake, source in zip(fakes, sources, strict=True)],
        return_inverse=True,
        return_counts=True,
    )
    weights = np.asarray(1.0 / counts[groups], np.float64)
    for label in (False, True):
        weights[fakes == label] /= 2 * weights[fakes == label].sum()
    return weights
