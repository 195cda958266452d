"""Fit how logits become a probability, and the thresholds of REAL and FAKE, on labelled clips.

**The probability** is a logistic function of one logit or of several, every source and both labels
weighing the same: see `regression.py`.

**The thresholds** begin where at most a share `error` of the other class lies beyond. That is
measured again by leaving each source out: its clips are scored by a rule fitted without any clip of
that source, so a fake and its originals are never on both sides. Wherever more than `error` of the
clips, or of the sources, then get the wrong verdict, the threshold moves outward until it holds
(by a quantile of how far left-out clips lie beyond the others' threshold; Barber and others,
"Predictive inference with the jackknife+", 2021, do so for intervals). A verdict that even then is
given to no more of its own class than of the other is disabled: its threshold is 0 or 1. All of
this holds for each condition by itself: for clips as they are and for each recompression of them.

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

from edge.errors import TruelightError
from edge.finding import Thresholds, Verdict, verdict_of
from edge.scan.model.manifest import sigmoid
from export.evaluate.regression import regress
from export.evaluate.samples import Flags, Sample, Table
from export.metrics import Floats, at_most, wilson

SIGNS: Final = {Verdict.FAKE: 1, Verdict.REAL: -1}
"""Which way log-odds lean towards a verdict."""


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
    others: int  # clips of the other class
    own: int  # clips of its own class

    @property
    def wrong_interval(self) -> tuple[float, float] | None:
        """Wilson, by clip."""
        return wilson(self.wrong, self.others) if self.others else None

    @property
    def right_interval(self) -> tuple[float, float] | None:
        """Wilson, by clip."""
        return wilson(self.right, self.own) if self.own else None


@dataclass(frozen=True)
class Fit:
    """The rule fitted to all samples, and its rates when each source is left out.

    Those are of the first condition among the samples; `others` has the other ones.
    """

    rule: Rule
    fake: Rates
    real: Rates
    unsure: float  # share of the clips
    verdicts: tuple[Verdict, ...]  # of each sample, by a rule that never saw its source
    clips: int
    sources: int
    others: Mapping[str, ConditionRates]


@dataclass(frozen=True)
class ConditionRates:
    """The rates under one condition."""

    fake: Rates
    real: Rates
    unsure: float
    clips: int


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
    table = Table(samples)
    whole = _Model.of(table, np.ones(len(samples), dtype=bool), error)
    folds = {
        source: _Model.of(table, table.sources != source, error) for source in set(table.sources)
    }
    models = [folds[s.source] for s in samples]
    ends = {verdict: _reserve(table, models, verdict, error) for verdict in SIGNS}
    verdicts = _verdicts(samples, models, ends)
    for verdict in SIGNS:
        everything = np.ones(len(samples), dtype=bool)
        rates = _rates(table, verdicts, verdict, everything, among=table.open)
        if rates.right_sources <= rates.wrong_sources:
            ends[verdict] = math.inf
    verdicts = _verdicts(samples, models, ends)
    main, *others = [
        (name, _condition_rates(table, verdicts, part)) for name, part in table.conditions.items()
    ]
    return Fit(
        whole.rule(ends),
        main[1].fake,
        main[1].real,
        main[1].unsure,
        verdicts=tuple(verdicts),
        clips=main[1].clips,
        sources=len(folds),
        others=dict(others),
    )


@dataclass(frozen=True)
class _Model:
    """A fit to part of the samples: log-odds, and where each verdict's threshold begins."""

    weights: Floats
    offset: float
    begins: Mapping[Verdict, float]
    """On the verdict's side: FAKE above it, REAL where minus the log-odds are above it."""

    @classmethod
    def of(cls, table: Table, part: Flags, error: float) -> _Model:
        sources = len(set(table.sources[part]))
        mass = table.weights(part)[part] / 2
        weights, offset = regress(table.logits[part], table.fakes[part], mass, sources)
        log_odds = table.logits @ weights + offset
        begins = {}
        for verdict in SIGNS:
            least = _least_threshold(table, part, verdict, log_odds, error)
            begins[verdict] = least if math.isfinite(least) else 0.0
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


def _reserve(table: Table, models: Sequence[_Model], verdict: Verdict, error: float) -> float:
    """How much further out the threshold must be for left-out sources to keep to `error`.

    Infinite where samples decided before have used it up.
    """
    beyond = np.array(
        [
            model.log_odds(logits) - SIGNS[verdict] * model.begins[verdict]
            for logits, model in zip(table.logits, models, strict=True)
        ]
    )
    everything = np.ones(len(beyond), dtype=bool)
    return max(0.0, _least_threshold(table, everything, verdict, beyond, error, by_clip=True))


def _least_threshold(
    table: Table,
    part: Flags,
    verdict: Verdict,
    log_odds: Floats,
    error: float,
    *,
    by_clip: bool = False,
) -> float:
    """Where a verdict may begin, on its side, for its errors in `part` to keep to `error`.

    Under every condition, each source weighing the same and, with `by_clip`, each clip too. Samples
    decided before are errors or not, wherever it begins; -inf if it may begin anywhere.
    """
    before = [math.inf if decided is verdict else -math.inf for decided in table.decided]
    values = np.where(table.open, SIGNS[verdict] * log_odds, before)
    least = [-math.inf]
    for condition in table.conditions.values():
        others = part & condition & (table.fakes != (verdict is Verdict.FAKE))
        if others.any():
            weights = [table.weights(others)[others]] + by_clip * [np.ones(int(others.sum()))]
            least += [_least(values[others], each, error) for each in weights]
    return max(least)


def _verdicts(
    samples: Sequence[Sample], models: Sequence[_Model], reserves: Mapping[Verdict, float]
) -> list[Verdict]:
    return [
        sample.decided or model.rule(reserves).verdict(sample.logits)
        for sample, model in zip(samples, models, strict=True)
    ]


def _condition_rates(table: Table, verdicts: Sequence[Verdict], part: Flags) -> ConditionRates:
    unsure = np.array([each is Verdict.UNSURE for each in verdicts])
    fake, real = (_rates(table, verdicts, verdict, part) for verdict in SIGNS)
    return ConditionRates(fake, real, float(unsure[part].mean()), int(part.sum()))


def _rates(
    table: Table,
    verdicts: Sequence[Verdict],
    verdict: Verdict,
    part: Flags,
    among: Flags | None = None,
) -> Rates:
    """How often a verdict was given in `part`; `among` counts only these samples as given it."""
    given = np.array([each is verdict for each in verdicts]) & part
    if among is not None:
        given &= among
    of_class = table.fakes == (verdict is Verdict.FAKE)
    own, other = part & of_class, part & ~of_class
    weights = table.weights(part)
    errors = len(set(table.sources[given & other]))
    return Rates(
        wrong=_share(given[other]),
        wrong_sources=float(weights[given & other].sum()),
        wrong_at_most=at_most(errors, len(set(table.sources[other]))),
        right=_share(given[own]),
        right_sources=float(weights[given & own].sum()),
        others=int(other.sum()),
        own=int(own.sum()),
    )


def _share(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else math.nan


def _least(values: Floats, weights: Floats, share: float) -> float:
    """The smallest of `values` above which lies at most `share` of the weight; -inf if all may."""
    order = np.argsort(values)
    above = 1.0 - np.cumsum(weights[order]) / max(float(weights.sum()), 1e-300)
    fitting = np.flatnonzero(above <= share + 1e-9)
    return float(values[order[fitting[0]]]) if len(fitting) and share < 1 else -math.inf


def _per_cent_above(log_odds: float) -> float:
    """The next whole per cent above log-odds, as a share: at least a half, at most 1."""
    return min(max((math.floor(100 * sigmoid(log_odds)) + 1) / 100, 0.5), 1.0)
