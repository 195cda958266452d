"""Fit how logits become a probability, and the thresholds of REAL and FAKE, on labelled clips.

**The probability** is a logistic function of one logit (Platt 1999) or of several, every source and
both labels weighing the same. Weights are never negative; a normal prior draws each towards its
part of 1 per standard deviation of its logit, as if every source were one observation, so that a
small set of clips does not turn a weak score into certainty.

**The thresholds** begin where at most a share `error` of the other class lies beyond. That is
measured again by leaving each source out: its clips are scored by a rule fitted without any clip of
that source, so a fake and its originals are never on both sides. Wherever more than `error` of the
clips, or of the sources, then get the wrong verdict, the threshold moves outward until it holds
(by a quantile of how far left-out clips lie beyond the others' threshold; Barber and others,
"Predictive inference with the jackknife+", 2021, do so for intervals). A verdict that even then is
given to no more of its own class than of the other is disabled: its threshold is 0 or 1.

**What small sets can show**: beside each measured rate stands the largest rate over sources that
the count does not rule out (Clopper and Pearson 1934, one-sided, 95 %). With no error among n
sources that is about 3 / n, the rule of three (Hanley and Lippman-Hand 1983): it takes 59 sources
without an error to know that the rate is below 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import binomtest

from edge.errors import TruelightError
from edge.finding import Thresholds, Verdict, verdict_of
from edge.scan.model.manifest import sigmoid
from export.evaluate.records import Prediction
from export.metrics import Floats

Flags = NDArray[np.bool_]

SIGNS: Final = {Verdict.FAKE: 1, Verdict.REAL: -1}
"""Which way log-odds lean towards a verdict."""
PRIOR_SPREAD = 2.5  # of the weights' normal prior (weakly informative: Gelman and others 2008)
LEAST_SPREAD = 1e-2  # of a logit; one that spreads less carries no information
LEAST_WEIGHT = 1e-3  # per standard deviation; a bundle's scale must be above 0
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sample:
    """One clip with a counted face: its label and the logits that models give it."""

    fake: bool
    source: str
    logits: tuple[float, ...]
    decided: Verdict | None = None
    """Set where another rule has already given REAL or FAKE, so that this one is not asked."""


@dataclass(frozen=True)
class Rule:
    """probability = sigmoid(weights * logits + offset), and the two thresholds on it."""

    weights: tuple[float, ...]
    offset: float
    thresholds: Thresholds

    def probability(self, logits: Sequence[float]) -> float:
        """Of FAKE."""
        pairs = zip(self.weights, logits, strict=True)
        return sigmoid(math.fsum(weight * logit for weight, logit in pairs) + self.offset)

    def beside(self) -> dict[str, object]:
        """The same for two models, as fields of a manifest's `EnsembleRule`."""
        first, second = self.weights
        return {
            "first": first,
            "second": second,
            "offset": self.offset,
            "thresholds": self.thresholds,
        }

    def verdict(self, logits: Sequence[float]) -> Verdict:
        """REAL, FAKE or UNSURE."""
        return verdict_of(self.probability(logits), self.thresholds)


@dataclass(frozen=True)
class Rates:
    """How often a verdict was given, each source scored by a rule that never saw it."""

    wrong: float  # share of the other class's clips
    wrong_sources: float  # the same, each source weighing the same
    wrong_at_most: float  # share of sources with such an error, 95 % upper bound
    right: float  # share of its own class's clips
    right_sources: float


@dataclass(frozen=True)
class Fit:
    """The rule fitted to all samples, and its rates when each source is left out."""

    rule: Rule
    fake: Rates
    real: Rates
    unsure: float  # share of the clips
    verdicts: tuple[Verdict, ...]  # of each sample, by a rule that never saw its source
    clips: int
    sources: int


def samples(predictions: Sequence[Prediction]) -> list[Sample]:
    """A sample for every clip that has a counted face."""
    return [Sample(p.fake, p.source, (p.logit,)) for p in predictions if p.logit is not None]


def fit(samples: Sequence[Sample], error: float) -> Fit:
    """Fit a rule with false positive and false negative rates of at most `error`.

    The rule has as many weights as the samples have logits: one for a bundle's own calibration,
    two for the rule that joins two bundles. Errors of samples `decided` before count against
    `error`, and the rule is held to what is left.

    Raises TruelightError if there are fewer than two sources of reals or of fakes.
    """
    for fake in (False, True):
        if len({s.source for s in samples if s.fake is fake}) < 2:
            raise TruelightError(
                f"Too few sources of {'fakes' if fake else 'reals'} with a face to calibrate on.",
                "At least two are needed, some twenty are sensible.",
            )
    table = _Table(samples)
    whole = _Model.of(table, np.ones(len(samples), dtype=bool), error)
    folds = {
        source: _Model.of(table, table.sources != source, error) for source in set(table.sources)
    }
    models = [folds[s.source] for s in samples]
    ends = {verdict: _reserve(table, models, verdict, error) for verdict in SIGNS}
    verdicts = _verdicts(samples, models, ends)
    for verdict in SIGNS:
        rates = _rates(table, verdicts, verdict, among=table.open)
        if rates.right_sources <= rates.wrong_sources:
            ends[verdict] = math.inf
    verdicts = _verdicts(samples, models, ends)
    return Fit(
        whole.rule(ends),
        _rates(table, verdicts, Verdict.FAKE),
        _rates(table, verdicts, Verdict.REAL),
        unsure=float(np.mean([v is Verdict.UNSURE for v in verdicts])),
        verdicts=tuple(verdicts),
        clips=len(samples),
        sources=len(folds),
    )


class _Table:
    """The samples as arrays."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.logits: Floats = np.array([s.logits for s in samples], dtype=np.float64)
        self.fakes: Flags = np.array([s.fake for s in samples])
        self.sources = np.array([s.source for s in samples])
        self.source_numbers = np.unique(self.sources, return_inverse=True)[1]
        self.decided = [s.decided for s in samples]
        self.open: Flags = np.array([s.decided is None for s in samples])

    def weights(self, part: Flags) -> Floats:
        """Zero outside `part`; in it every source weighs the same within a label, 1 in all."""
        weights = np.zeros(len(part))
        for fake in (False, True):
            members = part & (self.fakes == fake)
            clips = np.bincount(self.source_numbers[members])
            weights[members] = 1.0 / clips[self.source_numbers[members]] / np.count_nonzero(clips)
        return weights


@dataclass(frozen=True)
class _Model:
    """A fit to part of the samples: log-odds, and where each verdict's threshold begins."""

    weights: Floats
    offset: float
    begins: Mapping[Verdict, float]
    """On the verdict's side: FAKE above it, REAL where minus the log-odds are above it."""

    @classmethod
    def of(cls, table: _Table, part: Flags, error: float) -> _Model:
        weights, offset = _regress(table, part)
        log_odds = table.logits @ weights + offset
        begins = {}
        for verdict, sign in SIGNS.items():
            others = part & table.open & (table.fakes != (verdict is Verdict.FAKE))
            beyond = _least(sign * log_odds[others], table.weights(others)[others], error)
            begins[verdict] = beyond if math.isfinite(beyond) else 0.0
        return cls(weights, offset, begins)

    def log_odds(self, logits: Floats) -> float:
        """Of FAKE."""
        return float(logits @ self.weights + self.offset)

    def rule(self, reserves: Mapping[Verdict, float]) -> Rule:
        """With the thresholds `reserves` further out, at whole per cents, as people are shown.

        An infinite reserve disables the verdict.
        """
        fake, real = (
            _per_cent_above(self.begins[verdict] + reserves[verdict]) for verdict in SIGNS
        )
        thresholds = Thresholds(real=round(1.0 - real, 2), fake=round(fake, 2))
        return Rule(tuple(map(float, self.weights)), self.offset, thresholds)


def _regress(table: _Table, part: Flags) -> tuple[Floats, float]:
    """Weighted logistic regression: the logits' weights (not negative) and the offset."""
    sources = len(set(table.sources[part]))
    x, labels, mass = table.logits[part], table.fakes[part], table.weights(part)[part] / 2
    mean = mass @ x
    spread = np.maximum(np.sqrt(mass @ (x - mean) ** 2), LEAST_SPREAD)
    standard = np.hstack([(x - mean) / spread, np.ones((len(x), 1))])
    inputs = x.shape[1]

    def loss(w: Floats) -> tuple[float, Floats]:
        log_odds, pull = standard @ w, np.append(w[:inputs] - 1.0 / inputs, 0.0)
        strength = 1.0 / (PRIOR_SPREAD**2 * sources)
        value = (
            mass @ (np.logaddexp(0.0, log_odds) - labels * log_odds) + strength * (pull @ pull) / 2
        )
        slope = standard.T @ (mass * (np.exp(-np.logaddexp(0.0, -log_odds)) - labels))
        return float(value), slope + strength * pull

    start = np.append(np.full(inputs, 1.0 / inputs), 0.0)
    bounds = [(LEAST_WEIGHT if inputs == 1 else 0.0, None)] * inputs + [(None, None)]
    options = {"ftol": 1e-15, "gtol": 1e-9}
    w = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    weights = w[:inputs] / spread
    return weights, float(w[inputs] - mean @ weights)


def _reserve(table: _Table, models: Sequence[_Model], verdict: Verdict, error: float) -> float:
    """How much further out the threshold must be for left-out sources to keep to `error`.

    Infinite where samples decided before have used it up.
    """
    beyond = [
        SIGNS[verdict] * model.log_odds(logits) - model.begins[verdict]
        for logits, model in zip(table.logits, models, strict=True)
    ]
    before = [math.inf if decided is verdict else -math.inf for decided in table.decided]
    excess = np.where(table.open, beyond, before)
    others = table.fakes != (verdict is Verdict.FAKE)
    by_clip, by_source = np.ones(int(others.sum())), table.weights(others)[others]
    return max(0.0, *(_least(excess[others], by, error) for by in (by_clip, by_source)))


def _verdicts(
    samples: Sequence[Sample], models: Sequence[_Model], reserves: Mapping[Verdict, float]
) -> list[Verdict]:
    return [
        sample.decided or model.rule(reserves).verdict(sample.logits)
        for sample, model in zip(samples, models, strict=True)
    ]


def _rates(
    table: _Table, verdicts: Sequence[Verdict], verdict: Verdict, among: Flags | None = None
) -> Rates:
    """How often a verdict was given; `among` counts only these samples as given it."""
    given = np.array([each is verdict for each in verdicts])
    if among is not None:
        given &= among
    own = table.fakes == (verdict is Verdict.FAKE)
    weights = table.weights(np.ones(len(own), dtype=bool))
    errors = len(set(table.sources[given & ~own]))
    return Rates(
        wrong=float(given[~own].mean()),
        wrong_sources=float(weights[given & ~own].sum()),
        wrong_at_most=at_most(errors, len(set(table.sources[~own]))),
        right=float(given[own].mean()),
        right_sources=float(weights[given & own].sum()),
    )


def at_most(errors: int, trials: int) -> float:
    """The largest rate that `errors` in `trials` do not rule out (Clopper and Pearson, 95 %)."""
    return float(binomtest(errors, trials, alternative="less").proportion_ci(CONFIDENCE).high)


def _least(values: Floats, weights: Floats, share: float) -> float:
    """The smallest of `values` above which lies at most `share` of the weight; -inf if all may."""
    order = np.argsort(values)
    above = 1.0 - np.cumsum(weights[order]) / max(float(weights.sum()), 1e-300)
    fitting = np.flatnonzero(above <= share + 1e-9)
    return float(values[order[fitting[0]]]) if len(fitting) and share < 1 else -math.inf


def _per_cent_above(log_odds: float) -> float:
    """The next whole per cent above log-odds, as a share: at least a half, at most 1."""
    return min(max((math.floor(100 * sigmoid(log_odds)) + 1) / 100, 0.5), 1.0)
