"""Linear heads on cached features, chosen by makers left out of training.

Where `probe` chooses the penalty over sources of the same makers, this says what a head does with
fakes of a maker it has never seen, which is what the device meets. Features are standardised once,
over all faces; labels have no part in that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from edge.errors import TruelightError
from export.clip.graph import Tap
from export.clip.probe import fit_logistic
from export.clip.teacher import FeatureCache
from export.clip.vit import Adapter, write_adapter
from export.data.folders import Progress
from export.evaluate.makers import (
    LabelledFace,
    MakerResult,
    leave_makers_out,
    maker_weights,
    read_faces,
)
from export.metrics import Floats

PAIRED = 0.3
"""Share of the training weight on differences between a fake and a real of its source. They do not
depend on what the source's pictures have in common: the person, the camera, the codec."""
POWER = 0.25
"""Of a maker's number of sources: its weight in training. 0 and 0.5 were measured as equal."""
MAX_STEPS = 300


@dataclass(frozen=True)
class HeadData:
    """Standardised features [n, D], the faces they are of, and how to undo the standardising."""

    features: NDArray[np.float32]
    faces: list[LabelledFace]
    taps: tuple[Tap, ...]
    tower: str
    scaler: StandardScaler


def read_heads(
    caches: Sequence[FeatureCache], folders: Sequence[Path], taps: Sequence[Tap] = ()
) -> HeadData:
    """The cached features of labelled crops; of some taps only if given.

    Raises TruelightError if the caches differ, lack a tap or have none of the labelled crops.
    """
    first = caches[0].metadata
    if any(cache.metadata != first for cache in caches):
        raise TruelightError("The feature caches are of different encoders or taps.")
    known = caches[0].taps
    if missing := [str(tap) for tap in taps if tap not in known]:
        raise TruelightError(f"The features lack {', '.join(missing)}.")
    chosen = tuple(taps) or known
    width = caches[0].matrix.shape[1] // len(known)
    columns = np.concatenate([np.arange(width) + known.index(tap) * width for tap in chosen])
    labelled = read_faces(folders)
    rows: dict[str, NDArray[np.float32]] = {}
    for cache in caches:
        for name, row in zip(cache.names, cache.matrix, strict=True):
            if name in labelled:
                rows[name] = row[columns].astype(np.float32)
    if not rows:
        raise TruelightError(
            "The feature caches have none of the labelled crops.",
            "Cache the same folders; crops are identified by folder and file name.",
        )
    faces = [labelled[name] for name in rows]
    scaler = StandardScaler()
    weights = maker_weights(faces, POWER)
    features = scaler.fit_transform(np.stack(list(rows.values())), sample_weight=weights)
    return HeadData(features, faces, chosen, first.tower, scaler)


def compare(data: HeadData, penalty: float, progress: Progress) -> list[MakerResult]:
    """Every maker's fakes, scored by heads that saw nothing of its set."""
    fits = 2 * len({face.maker for face in data.faces if face.fake})
    done = 0

    def fit(part: NDArray[np.bool_]) -> Floats:
        nonlocal done
        model = _fitted(data, part, penalty)
        done += 1
        progress(done, fits)
        return np.asarray(model.decision_function(data.features), np.float64)

    return leave_makers_out(data.faces, fit)


def write_head(data: HeadData, penalty: float, file: Path) -> None:
    """Fit a head to everything and write it as an adapter that changes no layer norm."""
    model = _fitted(data, np.ones(len(data.faces), bool), penalty)
    weight = model.coef_[0].astype(np.float64) / data.scaler.scale_
    bias = float(model.intercept_[0] - weight @ data.scaler.mean_)
    adapter = Adapter(data.taps, data.tower, {}, weight.astype(np.float32), bias)
    write_adapter(file, adapter, steps=0)


def _fitted(data: HeadData, part: NDArray[np.bool_], penalty: float) -> LogisticRegression:
    rows = np.flatnonzero(part)
    faces = [data.faces[row] for row in rows]
    x, fakes = data.features[rows], np.array([face.fake for face in faces])
    weights = maker_weights(faces, POWER)
    if len(pairs := _pairs(faces)):
        off = x[pairs[:, 0]] - x[pairs[:, 1]]
        x = np.concatenate([x, off, -off])
        fakes = np.concatenate([fakes, np.ones(len(off), bool), np.zeros(len(off), bool)])
        equal = np.full(2 * len(off), PAIRED / (2 * len(off)))
        weights = np.concatenate([(1 - PAIRED) * weights, equal])
    model = LogisticRegression(max_iter=MAX_STEPS)
    fit_logistic(model, x, fakes, weights, penalty)
    return model


def _pairs(faces: Sequence[LabelledFace]) -> NDArray[np.int64]:
    """Rows of fakes, each with a real of the same source and set: [n, 2]."""
    sets: dict[tuple[str, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for row, face in enumerate(faces):
        sets[face.maker, face.source][face.fake].append(row)
    return np.array(
        [
            (fake, reals[at % len(reals)])
            for reals, fakes in sets.values()
            if reals
            for at, fake in enumerate(fakes)
        ],
        np.int64,
    ).reshape(-1, 2)
