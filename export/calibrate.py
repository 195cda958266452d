"""Fit a bundle's calibration and its two thresholds on labelled clips, grouped by source.

The probability is a logistic function of the worst face's logit (Platt scaling), fitted with every
source and both labels weighing the same. The thresholds are those beyond which at most a given
share of the other class lies. How well they hold is measured by leaving each source out in turn.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from edge.errors import TruelightError
from edge.finding import Finding, Thresholds
from edge.scan.manifest import Calibration
from export.evaluate import Judged

Floats = NDArray[np.float64]
PRIOR = 0.02  # weight of the pull towards scale 1, for sets too small to fix the scale


@dataclass(frozen=True)
class Sample:
    """One clip that has a counted face."""

    fake: bool
    source: str
    logit: float


@dataclass(frozen=True)
class Fit:
    """What goes into `bundle.json`, and what leaving each source out says of it."""

    calibration: Calibration
    thresholds: Thresholds
    false_alarms: float  # reals called FAKE, each source judged by the others' fit
    missed: float  # fakes called REAL, likewise
    unsure: float
    clips: int
    sources: int


def samples(judged: Sequence[Judged]) -> list[Sample]:
    """The worst counted face's pooled logit of every clip that has one."""
    found = []
    for j in judged:
        logit = worst_logit(j.finding) if j.finding else None
        if logit is not None:
            found.append(Sample(j.fake, j.source, logit))
    return found


def worst_logit(finding: Finding) -> float | None:
    """The largest mean window logit among the faces that count; None if none does."""
    means = [
        math.fsum(w.logit for w in face.windows) / len(face.windows)
        for face in finding.faces
        if face.counted and face.windows
    ]
    return max(means, default=None)


def fit(all_samples: Sequence[Sample], error: float) -> Fit:
    """Fit so that at most a share `error` of either class is called the other; measure it too.

    The measures come from leaving each source out in turn.

    Raises TruelightError if there are fewer than two sources of reals or of fakes.
    """
    for fake in (False, True):
        if len({s.source for s in all_samples if s.fake is fake}) < 2:
            raise TruelightError(
                f"Too few sources of {'fakes' if fake else 'reals'} with a face to calibrate on.",
                "At least two are needed, some twenty are sensible.",
            )
    calibration, thresholds = _fit_once(all_samples, error)
    outcomes = _leave_sources_out(all_samples, error)
    weights = _weights(all_samples)
    fakes = np.array([s.fake for s in all_samples])
    said = np.array(outcomes)
    return Fit(
        calibration,
        thresholds,
        false_alarms=_share(said == "FAKE", weights, ~fakes),
        missed=_share(said == "REAL", weights, fakes),
        unsure=float(np.mean(said == "UNSURE")),
        clips=len(all_samples),
        sources=len({s.source for s in all_samples}),
    )


def _fit_once(part: Sequence[Sample], error: float) -> tuple[Calibration, Thresholds]:
    logits = np.array([s.logit for s in part])
    labels = np.array([s.fake for s in part], dtype=np.float64)
    weights = _weights(part)
    spread = max(float(logits.std()), 1e-6)

    def loss(x: Floats) -> float:
        lean = math.exp(x[0]) * logits / spread + x[1]
        nll = np.logaddexp(0.0, lean) - labels * lean
        return float((weights * nll).sum() / weights.sum() + PRIOR * (x[0] ** 2))

    log_scale, offset = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    calibration = Calibration(scale=math.exp(float(log_scale)) / spread, offset=float(offset))
    p = 1.0 / (1.0 + np.exp(-(calibration.scale * logits + calibration.offset)))
    fake = labels == 1
    upper = _quantile(p[~fake], weights[~fake], 1.0 - error)
    lower = _quantile(p[fake], weights[fake], error)
    # Beyond both quantiles lies nothing where the classes hardly overlap: say all of it then.
    real, said_fake = (lower, upper) if lower <= upper else ((lower + upper) / 2,) * 2
    # Outward to whole per cents, so that what people are told and what is decided are the same.
    real, said_fake = math.floor(100 * real) / 100, math.ceil(100 * said_fake) / 100
    return calibration, Thresholds(real=min(real, 0.5), fake=max(said_fake, 0.5))


def _quantile(values: Floats, weights: Floats, share: float) -> float:
    """The weighted quantile, midway to the next value so that equal scores are not split."""
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order]) / weights.sum()
    at = int(np.searchsorted(cumulated, share - 1e-9))
    at = min(at, len(order) - 1)
    if share > 0.5:
        beyond = values[order[at + 1]] if at + 1 < len(order) else (1.0 + values[order[at]]) / 2
    else:
        beyond = values[order[at - 1]] if at else values[order[at]] / 2
    return float((values[order[at]] + beyond) / 2)


def _leave_sources_out(part: Sequence[Sample], error: float) -> list[str]:
    """The verdict on each sample by a fit that did not see its source."""
    outcomes = [""] * len(part)
    for source in sorted({s.source for s in part}):
        calibration, thresholds = _fit_once([s for s in part if s.source != source], error)
        for i, sample in enumerate(part):
            if sample.source == source:
                lean = calibration.scale * sample.logit + calibration.offset
                p = 1.0 / (1.0 + math.exp(-lean))
                real = "REAL" if p <= thresholds.real else "UNSURE"
                outcomes[i] = "FAKE" if p >= thresholds.fake else real
    return outcomes


def _weights(part: Sequence[Sample]) -> Floats:
    """Every source weighs the same within a label, and both labels the same."""
    counts: dict[tuple[str, bool], int] = defaultdict(int)
    for s in part:
        counts[s.source, s.fake] += 1
    sources = {fake: len({s.source for s in part if s.fake is fake}) for fake in (False, True)}
    return np.array([1.0 / counts[s.source, s.fake] / sources[s.fake] for s in part])


def _share(said: NDArray[np.bool_], weights: Floats, of: NDArray[np.bool_]) -> float:
    return float((said * weights)[of].sum() / weights[of].sum())
