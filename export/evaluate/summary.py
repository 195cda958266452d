"""Sums predictions up in figures: the whole, and groups by source, method and condition.

The unit is the source: docs/evaluation.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edge.errors import TruelightError
from edge.finding import Verdict
from export.evaluate.figures import (
    REAL_METHOD,
    Compression,
    Figures,
    Frames,
    Group,
    Interval,
    OpinionGroup,
    Pairs,
    Reliability,
    SecondOpinion,
)
from export.evaluate.groups import group_by, group_values, interval_known, known, mean_known
from export.evaluate.records import PLAIN, Condition, Prediction, Scores
from export.evaluate.views import by_view
from export.metrics import (
    Floats,
    Statistic,
    bootstrap_interval,
    calibration_error,
    reliability,
    true_positives_at,
    weighted_auc,
    weighted_mean,
    wilson,
)

RATES = ("0.01", "0.05")
"""The false positive rates at which the share of fakes found is measured."""


def figures(predictions: Sequence[Prediction]) -> Figures:
    """Sum up. AUC, accuracy and calibration are of what has a probability.

    All but the groups by compression and frames and the second opinion is of clips as they are,
    sampled as the box does, by the bundle alone.

    Raises TruelightError if no real or no fake has a probability.
    """
    plain = [p for p in predictions if p.condition == PLAIN]
    scored = Scores(plain)
    labels, scores, sources = scored.labels, scored.scores, scored.sources
    if not 0 < labels.sum() < len(labels):
        raise TruelightError(
            "Reals and fakes with a face are both needed.", "Add what is missing to the folder."
        )
    counts = Counter(zip(sources, labels, strict=True))
    equal = np.array([1.0 / counts[each] for each in zip(sources, labels, strict=True)])
    one = np.ones(len(labels))
    reals = [p for p in plain if not p.fake]
    fakes = [p for p in plain if p.fake]
    decided = [p for p in plain if p.decided]
    verdicts = Counter(p.verdict for p in plain)

    def found_at(rate: str) -> Statistic:
        return lambda w: true_positives_at(float(rate), labels, scores, w)

    def called(part: Sequence[Prediction], verdict: Verdict) -> Interval:
        values = [float(p.verdict is verdict) for p in part]
        if values and len(set(values)) == 1:  # every draw of sources has the same share
            return wilson(values[0], len(values))
        return bootstrap_interval([p.source for p in part], lambda w: weighted_mean(values, w))

    return Figures(
        clips=len(plain),
        reals=len(reals),
        fakes=len(fakes),
        sources=len({p.source for p in plain}),
        auc=float(scored.auc(one)),
        auc_interval=bootstrap_interval(sources, scored.auc),
        auc_sources=float(scored.auc(equal)),
        auc_sources_interval=bootstrap_interval(sources, lambda w: scored.auc(w * equal)),
        accuracy=float(scored.correct.mean()),
        accuracy_interval=bootstrap_interval(sources, lambda w: weighted_mean(scored.correct, w)),
        at_false_alarms={rate: float(found_at(rate)(one)) for rate in RATES},
        at_false_alarms_interval={
            rate: bootstrap_interval(sources, found_at(rate)) for rate in RATES
        },
        decided=len(decided) / len(plain),
        accuracy_when_decided=mean_known(p.right for p in decided),
        false_alarms=mean_known(p.verdict is Verdict.FAKE for p in reals) or 0.0,
        false_alarms_interval=called(reals, Verdict.FAKE),
        missed=mean_known(p.verdict is Verdict.REAL for p in fakes) or 0.0,
        missed_interval=called(fakes, Verdict.REAL),
        calibration_error=calibration_error(labels, scores),
        brier=float(((scores - labels) ** 2).mean()),
        reliability=_reliability(labels, scores),
        unsure=verdicts[Verdict.UNSURE] / len(plain),
        no_face=verdicts[Verdict.NO_FACE] / len(plain),
        unreadable=verdicts[Verdict.UNREADABLE] / len(plain),
        pairs=_pairs(plain),
        seconds=mean_known(p.seconds for p in plain),
        by_source=group_by(plain, lambda p: p.source),
        by_method=_by_method(plain),
        by_dataset=_by_dataset(plain),
        by_compression=_by_compression(predictions),
        by_frames=_by_frames(predictions),
        by_view=by_view(predictions),
        second_opinion=_second_opinion(predictions),
    )


def _reliability(labels: Floats, scores: Floats) -> tuple[Reliability, ...]:
    return tuple(
        Reliability(
            count=each.count,
            low=each.low,
            high=each.high,
            mean_probability=each.probability,
            fakes=each.fakes,
            fakes_interval=wilson(each.fakes, each.count),
        )
        for each in reliability(labels, scores)
    )


def _by_method(part: Sequence[Prediction]) -> tuple[Group, ...]:
    reals = [p for p in part if not p.fake]
    return group_by(part, lambda p: p.method if p.fake else REAL_METHOD, reals, intervals=True)


def _by_dataset(part: Sequence[Prediction]) -> tuple[Group, ...]:
    reals = [p for p in part if not p.fake]
    return group_by(part, lambda p: p.dataset, reals, intervals=True)


def _by_compression(
    predictions: Sequence[Prediction], *, second: bool = False
) -> tuple[Compression, ...]:
    """Clips as they are, and a group for each compression."""
    plain = Condition(second=second)
    groups = _conditions(
        predictions, lambda c: c == Condition(compression=c.compression, second=second), plain
    )
    scored = Scores(groups.get(plain, ()))
    before = dict(zip(scored.files, scored.scores, strict=True))
    return tuple(
        Compression(
            **group_values(condition.compression, part, intervals=True),
            **_loss(part if condition != plain else (), before),
        )
        for condition, part in groups.items()
    )


def _loss(part: Sequence[Prediction], before: Mapping[str, float]) -> dict[str, Any]:
    """The AUC that a compression costs, on what has a score both ways."""
    both = Scores(p for p in part if p.file in before)
    scores = np.array([before[file] for file in both.files])

    def loss(weights: Floats) -> Floats:
        return weighted_auc(both.labels, scores, weights) - both.auc(weights)

    value = known(loss(np.ones(len(scores))))
    return {
        "auc_loss": value,
        "auc_loss_interval": None if value is None else interval_known(both.sources, loss),
    }


def _by_frames(predictions: Sequence[Prediction], *, second: bool = False) -> tuple[Frames, ...]:
    """A group for each number of frames that was asked for, ascending."""
    groups = _conditions(
        predictions,
        lambda c: c.frames is not None and c.second is second,
        Condition(second=second),
    )
    found = [_frames_group(condition, part) for condition, part in groups.items()]
    return tuple(sorted(found, key=lambda frames: (frames.spread, frames.frames)))


def _frames_group(condition: Condition, part: Sequence[Prediction]) -> Frames:
    count, scored = condition.frames or 0, Scores(part)
    return Frames(
        **group_values(
            f"{count} spread" if condition.spread else f"first {count}", part, intervals=True
        ),
        frames=count,
        spread=condition.spread,
        looked_at=float(np.mean([p.looked_at for p in part])),
        accuracy_interval=interval_known(
            scored.sources, lambda w: weighted_mean(scored.correct, w)
        ),
    )


def _second_opinion(predictions: Sequence[Prediction]) -> SecondOpinion | None:
    """The bundle alone and with a second opinion; None if none was available."""
    groups = _conditions(predictions, lambda c: c in (PLAIN, Condition(second=True)))
    together = groups.get(Condition(second=True))
    if not together:
        return None
    ways = _by_compression(predictions, second=True)
    asked = [p for p in together if p.asked]
    return SecondOpinion(
        asked=len(asked) / len(together),
        seconds_when_asked=mean_known(p.seconds for p in asked),
        alone=_opinion_group("alone", groups[PLAIN]),
        together=_opinion_group("with a second opinion", together),
        by_compression=ways if len(ways) > 1 else (),
        by_frames=_by_frames(predictions, second=True),
        by_method=_by_method(together),
        by_dataset=_by_dataset(together),
    )


def _opinion_group(name: str, part: Sequence[Prediction]) -> OpinionGroup:
    decided = [p for p in part if p.decided]
    return OpinionGroup(
        **group_values(name, part, intervals=True),
        decided=len(decided) / len(part),
        accuracy_when_decided=mean_known(p.right for p in decided),
        seconds=mean_known(p.seconds for p in part),
        memory=max((p.memory for p in part if p.memory is not None), default=None),
    )


def _pairs(predictions: Sequence[Prediction]) -> Pairs:
    """Fakes beside their own originals: those that the table names, else the source's reals."""
    named = any(p.pair for p in predictions)
    reals: dict[str, list[float]] = defaultdict(list)
    for p in predictions:
        if not p.fake and p.probability is not None:
            reals[p.file if named else p.source].append(p.probability)
    above: list[float] = []
    sources: list[str] = []
    for p in predictions:
        own = np.array(reals.get(p.pair if named else p.source, []))
        if p.fake and len(own) and p.probability is not None:
            above.append(float(np.mean((p.probability > own) + 0.5 * (p.probability == own))))
            sources.append(p.source)
    return Pairs(
        pairs=len(above),
        above=mean_known(above),
        above_interval=interval_known(sources, lambda w: weighted_mean(above, w)),
    )


def _conditions(
    predictions: Iterable[Prediction],
    wanted: Callable[[Condition], bool],
    first: Condition = PLAIN,
) -> dict[Condition, list[Prediction]]:
    """The predictions under each wanted condition; `first` comes first, if there is any."""
    groups: dict[Condition, list[Prediction]] = defaultdict(list, {first: []})
    for p in predictions:
        if wanted(p.condition):
            groups[p.condition].append(p)
    return {condition: part for condition, part in groups.items() if part}
