"""Fit how logits become a probability and where REAL and FAKE are said, on labelled clips.

**The probability** is a logistic function of one logit (Platt 1999) or of several, every source and
both labels weighing the same. Weights are never negative; a normal prior draws each towards its
part of 1 per standard deviation of its logit, as if every source were one observation, so that a
small set of clips does not turn a weak score into certainty.

**The thresholds** begin where at most a share `error` of the other class lies beyond. That is
measured again by leaving each source out: its clips are judged by a rule fitted without any clip of
that source, so a fake and its originals are never on both sides. Wherever more than `error` of the
clips, or of the sources, is then called the wrong thing, the threshold moves outward until it holds
(by a quantile of how far left-out clips lie beyond the others' threshold; Barber and others,
"Predictive inference with the jackknife+", 2021, do so for intervals). A word that would even so be
said of no more of its own class than of the other is not said at all: its threshold is then 0 or 1.

**What small sets can show**: beside each measured share stands the largest share of sources that
the count does not rule out (Clopper and Pearson 1934, one-sided, 95 %). With no error among n
sources that is about 3 / n, the rule of three (Hanley and Lippman-Hand 1983): to know an error to
be below 5 % takes 59 sources without one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import beta

from edge.errors import TruelightError
from edge.finding import Thresholds, Verdict, verdict_of
from edge.scan.verdict import sigmoid
from export.evaluate import Judged
from export.evaluate.records import deciding_logit

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PRIOR_SPREAD = 2.5  # of the weights' normal prior (weakly informative: Gelman and others 2008)
LEAST_SPREAD = 1e-2  # of a logit; one that spreads less says nothing
LEAST_WEIGHT = 1e-3  # per standard deviation; above 0, for a bundle's scale must be
SURE = 0.95


@dataclass(frozen=True)
class Sample:
    """One clip that has a counted face: what it is, and the logits that are told of it."""

    fake: bool
    source: str
    logits: tuple[float, ...]
    decided: Verdict | None = None
    """Set where another rule has said REAL or FAKE before, so that this one is not asked."""


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

    def verdict(self, logits: Sequence[float]) -> Verdict:
        """REAL, FAKE or UNSURE."""
        return verdict_of(self.probability(logits), self.thresholds)


@dataclass(frozen=True)
class Word:
    """How FAKE (or REAL) was said when each source was judged by a rule that never saw it."""

    wrong: float  # share of the other class's clips of which it was said
    wrong_sources: float  # the same, each source weighing the same
    wrong_at_most: float  # share of sources with such an error, 95 % upper bound
    right: float  # share of its own class's clips of which it was said
    right_sources: float


@dataclass(frozen=True)
class Fit:
    """The rule fitted to all samples, and what leaving each source out says of it."""

    rule: Rule
    fake: Word
    real: Word
    unsure: float  # share of the clips
    verdicts: tuple[Verdict, ...]  # of each sample, by a rule that never saw its source
    clips: int
    sources: int


def samples(judged: Sequence[Judged]) -> list[Sample]:
    """The worst counted face's pooled logit of every clip that has one."""
    found = []
    for j in judged:
        logit = deciding_logit(j.finding) if j.finding else None
        if logit is not None:
            found.append(Sample(j.fake, j.source, (logit,)))
    return found


def fit(samples: Sequence[Sample], error: float) -> Fit:
    """Fit a rule that says FAKE of at most a share `error` of reals, and REAL of as many fakes.

    The rule has as many weights as the samples have logits: one for a bundle's own calibration,
    two for the rule that joins two bundles' answers. Where samples were `decided` before, the
    errors made there count against `error`, and the rule is held to what is left.

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
    said = {Verdict.FAKE: True, Verdict.REAL: True}
    reserves = {word: _reserve(table, models, word, error) for word in said}
    verdicts = _verdicts(samples, models, reserves, said)
    said = {word: _tells(table, verdicts, word) for word in said}
    verdicts = _verdicts(samples, models, reserves, said)
    return Fit(
        whole.rule(reserves, said),
        _word(table, verdicts, Verdict.FAKE),
        _word(table, verdicts, Verdict.REAL),
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
    """A fit to part of the samples: log-odds, and where each word's threshold begins."""

    weights: Floats
    offset: float
    begins: dict[Verdict, float]
    """On the side of the word: FAKE is said above it, REAL where minus the log-odds are."""

    @classmethod
    def of(cls, table: _Table, part: Flags, error: float) -> _Model:
        weights, offset = _regress(table, part)
        lean = table.logits @ weights + offset
        begins = {}
        for word in (Verdict.FAKE, Verdict.REAL):
            others = part & table.open & (table.fakes != (word is Verdict.FAKE))
            beyond = _least(_sign(word) * lean[others], table.weights(others)[others], error)
            begins[word] = beyond if math.isfinite(beyond) else 0.0
        return cls(weights, offset, begins)

    def lean(self, logits: Floats) -> float:
        """The log-odds of FAKE."""
        return float(logits @ self.weights + self.offset)

    def rule(self, reserves: dict[Verdict, float], said: dict[Verdict, bool]) -> Rule:
        """With the thresholds `reserves` further out, at whole per cents.

        So what people are told and what is decided are the same.
        """
        ends = {
            word: _per_cent_above(self.begins[word] + reserves[word]) if said[word] else 1.0
            for word in said
        }
        thresholds = Thresholds(
            real=round(1.0 - ends[Verdict.REAL], 2), fake=round(ends[Verdict.FAKE], 2)
        )
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
        lean, pull = standard @ w, np.append(w[:inputs] - 1.0 / inputs, 0.0)
        strength = 1.0 / (PRIOR_SPREAD**2 * sources)
        value = mass @ (np.logaddexp(0.0, lean) - labels * lean) + strength * (pull @ pull) / 2
        slope = standard.T @ (mass * (np.exp(-np.logaddexp(0.0, -lean)) - labels))
        return float(value), slope + strength * pull

    start = np.append(np.full(inputs, 1.0 / inputs), 0.0)
    bounds = [(LEAST_WEIGHT if inputs == 1 else 0.0, None)] * inputs + [(None, None)]
    options = {"ftol": 1e-15, "gtol": 1e-9}
    w = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    weights = w[:inputs] / spread
    return weights, float(w[inputs] - mean @ weights)


def _reserve(table: _Table, models: Sequence[_Model], word: Verdict, error: float) -> float:
    """How much further out `word`'s threshold must be for left-out sources to keep to `error`.

    Infinite where what was decided before has used it up.
    """
    excess = np.array(
        [
            _sign(word) * model.lean(logits) - model.begins[word]
            for logits, model in zip(table.logits, models, strict=True)
        ]
    )
    before = [math.inf if decided is word else -math.inf for decided in table.decided]
    excess = np.where(table.open, excess, before)
    others = table.fakes != (word is Verdict.FAKE)
    by_clip, by_source = np.ones(int(others.sum())), table.weights(others)[others]
    return max(0.0, *(_least(excess[others], by, error) for by in (by_clip, by_source)))


def _verdicts(
    samples: Sequence[Sample],
    models: Sequence[_Model],
    reserves: dict[Verdict, float],
    said: dict[Verdict, bool],
) -> list[Verdict]:
    return [
        sample.decided or model.rule(reserves, said).verdict(sample.logits)
        for sample, model in zip(samples, models, strict=True)
    ]


def _tells(table: _Table, verdicts: Sequence[Verdict], word: Verdict) -> bool:
    """Whether the rule said a word of a larger share of its own class than of the other."""
    said = np.array([verdict is word for verdict in verdicts]) & table.open
    own = table.fakes == (word is Verdict.FAKE)
    weights = table.weights(np.ones(len(own), dtype=bool))
    return float(weights[said & own].sum()) > float(weights[said & ~own].sum())


def _word(table: _Table, verdicts: Sequence[Verdict], word: Verdict) -> Word:
    """How often, and how rightly, a word was said."""
    said = np.array([verdict is word for verdict in verdicts])
    own = table.fakes == (word is Verdict.FAKE)
    weights = table.weights(np.ones(len(own), dtype=bool))
    errors = len(set(table.sources[said & ~own]))
    return Word(
        wrong=float(said[~own].mean()),
        wrong_sources=float(weights[said & ~own].sum()),
        wrong_at_most=at_most(errors, len(set(table.sources[~own]))),
        right=float(said[own].mean()),
        right_sources=float(weights[said & own].sum()),
    )


def at_most(errors: int, trials: int) -> float:
    """The largest rate that `errors` in `trials` do not rule out (Clopper and Pearson, 95 %)."""
    return 1.0 if errors >= trials else float(beta.ppf(SURE, errors + 1, trials - errors))


def _least(values: Floats, weights: Floats, share: float) -> float:
    """The smallest of `values` above which lies at most `share` of the weight; -inf if all may."""
    order = np.argsort(values)
    above = 1.0 - np.cumsum(weights[order]) / max(float(weights.sum()), 1e-300)
    fitting = np.flatnonzero(above <= share + 1e-9)
    return float(values[order[fitting[0]]]) if len(fitting) and share < 1 else -math.inf


def _sign(word: Verdict) -> int:
    """Which way log-odds lean towards a word."""
    return 1 if word is Verdict.FAKE else -1


def _per_cent_above(lean: float) -> float:
    """The next whole per cent above a log-odds, as a share: at least a half, at most 1."""
    return min(max((math.floor(100 * sigmoid(lean)) + 1) / 100, 0.5), 1.0)
