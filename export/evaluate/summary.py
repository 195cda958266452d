"""Everything that was judged, summed up in figures.

The unit is the source: intervals are bootstrapped over sources, and beside the plain AUC over clips
stands one in which every source weighs the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edge.errors import TruelightError
from edge.finding import Verdict
from export.evaluate.figures import Figures, Interval, Reliability
from export.evaluate.groups import (
    arrays,
    by,
    by_compression,
    by_frames,
    by_method,
    mean,
    pairs,
    second_opinion,
)
from export.evaluate.records import PLAIN, Judged
from export.metrics import (
    Floats,
    calibration_error,
    over_sources,
    reliability,
    true_positives_at,
    weighted_auc,
    weighted_mean,
    wilson,
)

ALARMS = ("0.01", "0.05")
"""The shares of false alarms at which the fakes that are found are counted."""


def figures(judged: Sequence[Judged]) -> Figures:
    """Sum up. AUC, accuracy and calibration are of what has a probability.

    All but what is by compression, by frames and of the second opinion is of clips as they are,
    looked at as the box does, by the bundle alone.

    Raises TruelightError if no real or no fake has a probability: then nothing can be said.
    """
    plain = [j for j in judged if j.condition == PLAIN]
    labels, scores, sources = arrays(plain)
    if not 0 < labels.sum() < len(labels):
        raise TruelightError(
            "Reals and fakes with a face are both needed.", "Add what is missing to the folder."
        )
    weights = _source_weights(labels, sources)
    correct = ((scores >= 0.5) == labels).astype(np.float64)
    reals = [j for j in plain if not j.fake]
    fakes = [j for j in plain if j.fake]
    decided = [j for j in plain if j.decided]
    shares = Counter(j.verdict for j in plain)
    found = {share: true_positives_at(float(share), labels, scores) for share in ALARMS}
    return Figures(
        clips=len(plain),
        reals=len(reals),
        fakes=len(fakes),
        sources=len({j.source for j in plain}),
        auc=float(weighted_auc(labels, scores, np.ones(len(labels)))),
        auc_interval=over_sources(sources, lambda w: weighted_auc(labels, scores, w)),
        auc_sources=float(weighted_auc(labels, scores, weights)),
        auc_sources_interval=over_sources(
            sources, lambda w: weighted_auc(labels, scores, w * weights)
        ),
        accuracy=float(correct.mean()),
        accuracy_interval=over_sources(sources, lambda w: weighted_mean(correct, w)),
        at_false_alarms={share: float(value) for share, value in found.items()},
        at_false_alarms_interval={
            share: _found_interval(float(share), labels, scores, sources) for share in ALARMS
        },
        decided=len(decided) / len(plain),
        accuracy_when_decided=mean(j.right for j in decided),
        false_alarms=mean(j.verdict is Verdict.FAKE for j in reals) or 0.0,
        false_alarms_interval=_said_interval(reals, Verdict.FAKE),
        missed=mean(j.verdict is Verdict.REAL for j in fakes) or 0.0,
        missed_interval=_said_interval(fakes, Verdict.REAL),
        calibration_error=calibration_error(labels, scores),
        brier=float(((scores - labels) ** 2).mean()),
        reliability=_reliability(labels, scores),
        unsure=shares[Verdict.UNSURE] / len(plain),
        no_face=shares[Verdict.NO_FACE] / len(plain),
        unreadable=shares[Verdict.UNREADABLE] / len(plain),
        pairs=pairs(plain),
        seconds=mean(j.seconds for j in plain),
        by_source=by(plain, lambda j: j.source),
        by_method=by_method(plain),
        by_dataset=by(plain, lambda j: j.dataset, reals, intervals=True),
        by_compression=by_compression(judged),
        by_frames=by_frames(judged),
        second_opinion=second_opinion(judged),
    )


def _source_weights(labels: Floats, sources: Sequence[str]) -> Floats:
    """One over the number of clips of the same source and label."""
    counts = Counter(zip(sources, labels, strict=True))
    return np.array([1.0 / counts[each] for each in zip(sources, labels, strict=True)])


def _found_interval(
    share: float, labels: Floats, scores: Floats, sources: Sequence[str]
) -> Interval:
    """Of the fakes found at a share of false alarms."""
    return over_sources(sources, lambda w: true_positives_at(share, labels, scores, w))


def _said_interval(part: Sequence[Judged], verdict: Verdict) -> Interval:
    """Of the share of which `verdict` is said."""
    said = [float(j.verdict is verdict) for j in part]
    return over_sources([j.source for j in part], lambda w: weighted_mean(said, w))


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
