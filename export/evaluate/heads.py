"""Linear heads on cached features, chosen by makers left out of training.

Where `probe` chooses the penalty over sources of the same makers, this says what a head does with
fakes of a maker it has never seen, which is what the device meets. Features are standardised once,
over all faces; labels have no part in that. A head may be added to a given one, which learned from
other data: the sum of two linear heads is a linear head.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from edge.errors import TruelightError
from export.clip.adapter import Adapter, LeftOutHeads, hash_of, write_adapter
from export.clip.graph import Tap
from export.clip.probe import fit_logistic
from export.clip.teacher import FeatureCache
from export.data.folders import Progress
from export.evaluate.makers import (
    LabelledFace,
    MakerResult,
    groups_of,
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
COMPONENTS = 800
"""Principal components that heads are fitted on: of 6,144 features they keep 85 % of the variance
and fitting takes a tenth of the time."""


@dataclass(frozen=True)
class HeadData:
    """Standardised features, the faces they are of, and the way back to features as they are."""

    features: NDArray[np.float32]
    """[n, K]: on the principal components."""
    components: NDArray[np.float32]
    """[D, K]"""
    faces: list[LabelledFace]
    taps: tuple[Tap, ...]
    tower: str
    scaler: StandardScaler
    given: Given | None = None
    """The head that others are added to."""


@dataclass(frozen=True)
class Given:
    """A head that learned from other data."""

    adapter: Adapter
    share: float
    """What a new head weighs beside it, each by the standard deviation of its logits."""
    logits: Floats
    """Of all faces, [n]."""

    @property
    def spread(self) -> float:
        """Standard deviation of its logits."""
        return float(self.logits.std())


def read_heads(
    caches: Sequence[FeatureCache],
    folders: Sequence[Path],
    taps: Sequence[Tap] = (),
    given: Adapter | None = None,
    share: float = 1.0,
    use: Callable[[str, LabelledFace], bool] = lambda name, face: True,
) -> HeadData:
    """The cached features of labelled crops; of some taps only if given.

    `use` says which are used, by key.

    Raises TruelightError if the caches differ, lack a tap or have none of the labelled crops, or if
    they were made with other layer norms than the given head's.
    """
    first = caches[0].metadata
    if any(cache.metadata != first for cache in caches):
        raise TruelightError("The feature caches are of different encoders or taps.")
    if first.norms != hash_of(given.norms if given else {}):
        raise TruelightError(
            "The features were made with other layer norms.",
            "Give heads and teach the same file with --tuned.",
        )
    known = caches[0].taps
    if missing := [str(tap) for tap in taps if tap not in known]:
        raise TruelightError(f"The features lack {', '.join(missing)}.")
    chosen = tuple(taps) or known
    width = caches[0].matrix.shape[1] // len(known)
    columns = np.concatenate([np.arange(width) + known.index(tap) * width for tap in chosen])
    labelled = {name: face for name, face in read_faces(folders).items() if use(name, face)}
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
    raw = np.stack(list(rows.values()))
    before = None
    if given is not None:
        logits = np.asarray(raw @ given.placed(chosen) + given.bias, np.float64)
        before = Given(given, share, logits)
    features = scaler.fit_transform(raw, sample_weight=weights)
    components = _components(features)
    return HeadData(features @ components, components, faces, chosen, first.tower, scaler, before)


def _components(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first principal directions [D, K] of [n, D]; all directions if there are few."""
    if min(features.shape) <= COMPONENTS:
        return np.eye(features.shape[1], dtype=np.float32)
    # Standardised features have a mean of nearly 0, so they are not centred again.
    torch.manual_seed(0)
    _, _, directions = torch.svd_lowrank(torch.from_numpy(features), q=COMPONENTS, niter=1)
    return np.asarray(directions.numpy(), np.float32)


def compare(data: HeadData, penalty: float, progress: Progress) -> list[MakerResult]:
    """Every maker's fakes, scored by heads that saw nothing of its set."""
    fits = 2 * len({face.maker for face in data.faces if face.fake})
    done = 0

    def fit(part: NDArray[np.bool_]) -> Floats:
        nonlocal done
        model = _fitted(data, part, penalty)
        done += 1
        progress(done, fits)
        logits = np.asarray(model.decision_function(data.features), np.float64)
        given = data.given
        return given.logits + _share(given, logits) * logits if given else logits

    return leave_makers_out(data.faces, fit)


def compare_given(data: HeadData) -> list[MakerResult]:
    """The same by the given head alone."""
    assert data.given is not None, "no head was given"
    logits = data.given.logits
    return leave_makers_out(data.faces, lambda part: logits)


def write_head(data: HeadData, penalty: float, file: Path, progress: Progress) -> None:
    """Fit a head to everything and write it as an adapter, with heads that left sources out."""
    groups, parts = groups_of(data.faces)
    heads = []
    for done, part in enumerate([np.ones(len(data.faces), bool), *parts]):
        progress(done, len(parts) + 1)
        heads.append(_head(data, part, penalty))
    (weight, bias), *rest = heads
    left_out = LeftOutHeads(
        groups, np.stack([each for each, _ in rest]), np.array([each for _, each in rest])
    )
    norms = data.given.adapter.norms if data.given else {}
    adapter = Adapter(data.taps, data.tower, norms, weight, bias, left_out)
    write_adapter(file, adapter, steps=0)


def _head(
    data: HeadData, part: NDArray[np.bool_], penalty: float
) -> tuple[NDArray[np.float32], float]:
    """Weight [D] and bias for features as they are, the given head included."""
    model = _fitted(data, part, penalty)
    weight = data.components @ model.coef_[0].astype(np.float64) / data.scaler.scale_
    bias = float(model.intercept_[0] - weight @ data.scaler.mean_)
    if (given := data.given) is not None:
        logits = np.asarray(model.decision_function(data.features), np.float64)
        share = _share(given, logits)
        weight = given.adapter.placed(data.taps) + share * weight
        bias = given.adapter.bias + share * bias
    return weight.astype(np.float32), bias


def _share(given: Given, logits: Floats) -> float:
    return given.share * given.spread / float(logits.std())


def _fitted(data: HeadData, part: NDArray[np.bool_], penalty: float) -> LogisticRegression:
    rows = np.flatnonzero(part)
    faces = [data.faces[row] for row in rows]
    x, fakes = data.features[rows], np.array([face.fake for face in faces])
    weights = maker_weights(faces, POWER)
    if len(pairs := differences(faces)):
        off = x[pairs[:, 0]] - x[pairs[:, 1]]
        x = np.concatenate([x, off, -off])
        fakes = np.concatenate([fakes, np.ones(len(off), bool), np.zeros(len(off), bool)])
        equal = np.full(2 * len(off), PAIRED / (2 * len(off)))
        weights = np.concatenate([(1 - PAIRED) * weights, equal])
    model = LogisticRegression(max_iter=MAX_STEPS)
    fit_logistic(model, x, fakes, weights, penalty)
    return model


def differences(faces: Sequence[LabelledFace]) -> NDArray[np.int64]:
    """Rows of fakes, each with a real that was treated alike: [n, 2].

    Where it is not known which were, each with a real of the same source and set.
    """
    known = any(face.pair for face in faces)
    sets: dict[tuple[str, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for row, face in enumerate(faces):
        if face.pair or not known:
            sets[face.maker, face.pair or face.source][face.fake].append(row)
    return np.array(
        [
            (fake, reals[at % len(reals)])
            for reals, fakes in sets.values()
            if reals
            for at, fake in enumerate(fakes)
        ],
        np.int64,
    ).reshape(-1, 2)
