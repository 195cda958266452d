"""Was a face generated whole? A second head on the features that say if it was swapped.

Its two limits are set on logits of sources that a head did not learn from: FAKE where at most a
small share of the reals of every camera lies beyond, the worst camera included, and REAL only where
at most a small share of the generated faces lies below. A generator that it was not trained on may
be missed: that is measured by leaving generators out, not here.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from edge.errors import TruelightError
from edge.finding import Thresholds
from edge.scan.model.manifest import Calibration, MeasuredFigure
from export.clip.adapter import Adapter, GeneratedHead, LeftOutHeads, write_adapter
from export.clip.probe import fit_logistic
from export.evaluate.ensemble import PairedClip
from export.evaluate.heads import HeadData
from export.evaluate.makers import HALVES, LabelledFace, half_of
from export.evaluate.records import AS_IS
from export.metrics import Floats, auc, auc_interval, wilson

PENALTY = 0.03
MAX_STEPS = 300
LARGE = 50
"""Sources from which on a camera, or a data set, is measured alone."""
REST = "others"
LEAST_GAP = 0.25
"""Between the limits, in standard deviations of the logits."""
SHOWN = (0.02, 0.98)
"""Thresholds beyond these are taken as these to place the limits."""


@dataclass(frozen=True)
class GeneratedResult:
    """Sources left out: how well generated faces are told from reals, and at the limits."""

    head: GeneratedHead
    generated: int
    """Faces."""
    auc: dict[str, tuple[float, float, float]]
    """Against the reals of each camera, with the 95 % interval."""
    false_positives: dict[str, float]
    """Share of each camera's reals that are called FAKE."""
    allowed: dict[str, float]
    """Share of each camera's reals that may be called REAL."""
    found: float
    """Share of the generated faces that are called FAKE."""
    passed: float
    """Share of the generated faces that may be called REAL."""


def fit_generated(data: HeadData, fake_error: float, real_error: float) -> GeneratedResult:
    """Fit the head on reals, and on fakes that were generated whole.

    Raises TruelightError if there are too few.
    """
    faces, fakes = data.faces, np.array([face.fake for face in data.faces])
    for label in (False, True):
        if len({face.source for face in faces if face.fake is label}) < 2 * len(HALVES):
            raise TruelightError("There are too few sources of real or of generated faces.")
    cameras = _cameras(faces)
    halves = np.array([half_of(face.source) for face in faces])
    logits = np.zeros(len(faces))
    rest: list[tuple[NDArray[np.float32], float]] = []
    for half in HALVES:
        model, weight, bias = _fitted(data, cameras, halves != half)
        logits[halves == half] = model.decision_function(data.features[halves == half])
        rest.append((weight, bias))
    _, weight, bias = _fitted(data, cameras, np.ones(len(faces), bool))
    names = sorted({camera for camera, fake in zip(cameras, fakes, strict=True) if not fake})
    reals = {name: logits[~fakes & (cameras == name)] for name in names}
    fake_at = max(float(np.quantile(each, 1 - fake_error)) for each in reals.values())
    passed = float(np.quantile(logits[fakes], real_error))
    real_at = min(passed, fake_at - LEAST_GAP * float(logits.std()))
    groups = {face.source: half_of(face.source) for face in faces}
    left_out = LeftOutHeads(
        groups, np.stack([each for each, _ in rest]), np.array([each for _, each in rest])
    )
    sources = [face.source for face in faces]
    ranks = {}
    for name in names:
        part = fakes | (cameras == name)
        of = [source for source, is_part in zip(sources, part, strict=True) if is_part]
        low, high = auc_interval(fakes[part], logits[part], of, draws=400)
        ranks[name] = (auc(fakes[part], logits[part]), low, high)
    return GeneratedResult(
        GeneratedHead(weight, bias, fake_at, real_at, left_out),
        int(fakes.sum()),
        ranks,
        {name: float((each > fake_at).mean()) for name, each in reals.items()},
        {name: float((each <= real_at).mean()) for name, each in reals.items()},
        float((logits[fakes] > fake_at).mean()),
        float((logits[fakes] <= real_at).mean()),
    )


def write_generated(head: GeneratedHead, before: Adapter, data: HeadData, file: Path) -> None:
    """Write a swap head with this one beside it; both then take the features of `data`."""
    adapter = replace(before, taps=data.taps, weight=before.placed(data.taps), generated=head)
    write_adapter(file, adapter, steps=0)


def placed_by(head: GeneratedHead, thresholds: Thresholds) -> Calibration:
    """The probability that meets the thresholds of swaps at this head's limits."""
    return _through((head.real_at, head.fake_at), thresholds)


def moved(calibration: Calibration, before: Thresholds, after: Thresholds) -> Calibration:
    """The same limits for other thresholds."""
    points = [(odds - calibration.offset) / calibration.scale for odds in _log_odds(before)]
    return _through((points[0], points[1]), after)


def generated_figures(
    clips: Sequence[PairedClip], head: GeneratedHead, name: str
) -> list[MeasuredFigure]:
    """What the head does to clips, none of them generated whole."""
    reals = [
        clip
        for clip in clips
        if not clip.fake and clip.generated is not None and clip.condition == AS_IS
    ]
    logits = np.array([clip.generated for clip in reals], np.float64)
    data = f"{name}: {len(reals)} real clips, each by a head that did not learn from its source"
    shares = {
        "real clips called FAKE, as generated": logits > head.fake_at,
        "real clips that are not called REAL, as perhaps generated": logits > head.real_at,
    }
    figures = []
    for what, given in shares.items():
        share = float(given.mean())
        low, high = wilson(share, len(reals))
        figures.append(MeasuredFigure(name=what, value=share, low=low, high=high, data=data))
    return figures


def _through(limits: tuple[float, float], thresholds: Thresholds) -> Calibration:
    real, fake = _log_odds(thresholds)
    scale = (fake - real) / (limits[1] - limits[0])
    return Calibration(scale=scale, offset=fake - scale * limits[1])


def _log_odds(thresholds: Thresholds) -> tuple[float, float]:
    low, high = SHOWN
    real, fake = max(thresholds.real, low), min(thresholds.fake, high)
    fake = max(fake, real + 0.01)
    return math.log(real / (1 - real)), math.log(fake / (1 - fake))


def _cameras(faces: Sequence[LabelledFace]) -> NDArray[np.str_]:
    """The camera or data set of each face; all small ones together."""
    sources = defaultdict(set)
    for face in faces:
        if not face.fake:
            sources[face.camera].add(face.source)
    return np.array([face.camera if len(sources[face.camera]) >= LARGE else REST for face in faces])


def _fitted(
    data: HeadData, cameras: NDArray[np.str_], part: NDArray[np.bool_]
) -> tuple[LogisticRegression, NDArray[np.float32], float]:
    """A head; both labels weigh the same, so do all cameras of the reals, and all sources."""
    rows = np.flatnonzero(part)
    keys = [(data.faces[row].fake, cameras[row]) for row in rows]
    keys = [(fake, "" if fake else camera) for fake, camera in keys]
    groups = Counter(keys)
    each = {fake: sum(1 for key in groups if key[0] is fake) for fake in (False, True)}
    weights: Floats = np.array([1 / groups[key] / each[key[0]] for key in keys])
    fakes = np.array([key[0] for key in keys])
    model = LogisticRegression(max_iter=MAX_STEPS)
    fit_logistic(model, data.features[rows], fakes, weights, PENALTY)
    weight = data.components @ model.coef_[0].astype(np.float64) / data.scaler.scale_
    bias = float(model.intercept_[0] - weight @ data.scaler.mean_)
    return model, weight.astype(np.float32), bias
