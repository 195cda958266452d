"""Finds copies among gathered crops, and measures whether their handling tells the classes apart.

Copies: a difference hash of 256 bits, which survives resizing, JPEG and video codecs. 64 bits are
too few for faces that are all cut alike: most pairs within 5 bits are different people. Handling: a
classifier that gets sharpness, light, compressibility and JPEG's grid, but nothing of the face,
should be at chance when it is tested on sources it was not trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold, cross_val_predict

from export.data.augment import CENTRE_CROP
from export.data.folders import Example, Image, Progress, read_folder
from export.metrics import Floats, auc, auc_interval

CELLS = 16
NEAR = 40
"""Two crops whose hashes differ in no more than these many of 256 bits are copies."""
SIDE = 112  # px, at which handling is measured
FOLDS = 5

Hashes = NDArray[np.uint64]  # [n, 4]


@dataclass(frozen=True)
class Audit:
    """What was found."""

    crops: int
    copies: list[tuple[str, str]]
    """Pairs of crops, by key, of different sources; or of a crop and one it is compared with."""
    handling: float
    """AUC of the classifier on handling alone."""
    low: float
    high: float


def audit(folders: Sequence[Path], against: Sequence[Path], progress: Progress) -> Audit:
    """Compare the crops of `folders` with each other and with those of `against`.

    Raises TruelightError if a folder cannot be used.
    """
    own = [example for folder in folders for example in read_folder(folder)]
    others = [example for folder in against for example in read_folder(folder)]
    hashes, traces = [], []
    for done, example in enumerate([*own, *others]):
        progress(done, len(own) + len(others))
        crop = CENTRE_CROP.apply(example.read(), example.margin, SIDE)
        hashes.append(difference_hash(crop))
        if done < len(own):
            traces.append(handling(crop))
    low, high, value = float("nan"), float("nan"), float("nan")
    fakes = np.array([example.fake for example in own])
    sources = [example.source for example in own]
    if min(len(set(np.array(sources)[fakes == fake])) for fake in (False, True)) >= FOLDS:
        value, low, high = handling_auc(np.array(traces), fakes, sources)
    copies = _copies(own, others, np.array(hashes, np.uint64))
    return Audit(len(own), copies, value, low, high)


def difference_hash(crop: Image) -> Hashes:
    """Whether each of 16 x 16 cells is darker than the one to its right: uint64 [4].

    crop: uint8 [s, s, 3] RGB.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (CELLS + 1, CELLS), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits((small[:, 1:] > small[:, :-1]).ravel()).view(np.uint64)


def _copies(
    own: Sequence[Example], others: Sequence[Example], hashes: Hashes
) -> list[tuple[str, str]]:
    """Near pairs of different sources among `own`, and all between `own` and `others`."""
    everything = [*own, *others]
    found = []
    for at, example in enumerate(own):
        later = hashes[at + 1 :]
        apart = np.bitwise_count(later ^ hashes[at]).sum(1)
        for index in np.flatnonzero(apart <= NEAR).tolist():
            other = everything[at + 1 + index]
            if at + 1 + index >= len(own) or other.source != example.source:
                found.append((example.key, other.key))
    return found


def handling(crop: Image) -> Floats:
    """Numbers [7] that depend on how a crop was treated and not on whose face it shows."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = cv2.Laplacian(grey, cv2.CV_32F)
    sizes = [
        len(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
        for quality in (50, 75, 95)
    ]
    across = np.abs(np.diff(grey, axis=1)).mean(0)
    grid = across[7::8].mean() / max(float(across.mean()), 1e-3)
    numbers = [*np.log(sizes), np.log1p(detail.var()), grey.mean(), grey.std(), grid]
    return np.array(numbers, np.float64)


def handling_auc(
    traces: Floats, fakes: NDArray[np.bool_], sources: Sequence[str]
) -> tuple[float, float, float]:
    """AUC of a classifier on `handling` [n, 7] with its 95 % interval; folds are of sources."""
    model = HistGradientBoostingClassifier(max_iter=60, max_depth=4, random_state=0)
    groups = np.unique(np.asarray(sources), return_inverse=True)[1]
    folds = list(GroupKFold(FOLDS).split(traces, fakes, groups))
    scores = cross_val_predict(model, traces, fakes, cv=folds, method="predict_proba")[:, 1]
    low, high = auc_interval(fakes, scores, sources, draws=200)
    return auc(fakes, scores), low, high
