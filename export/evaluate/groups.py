"""The figures of a group of predictions."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from edge.finding import Verdict
from export.evaluate.figures import Group, Interval
from export.evaluate.records import Prediction, Scores
from export.metrics import Floats, Statistic, bootstrap_interval, wilson


def group_by(
    predictions: Sequence[Prediction],
    key: Callable[[Prediction], str],
    reals: Sequence[Prediction] = (),
    *,
    intervals: bool = False,
) -> tuple[Group, ...]:
    """A group for each value of `key` but the empty one, by name; see `_group`."""
    parts: dict[str, list[Prediction]] = defaultdict(list)
    for p in predictions:
        parts[key(p)].append(p)
    return tuple(
        Group(**group_values(name, part, reals, intervals=intervals))
        for name, part in sorted(parts.items())
        if name
    )


def group_values(
    name: str,
    part: Sequence[Prediction],
    reals: Sequence[Prediction] = (),
    *,
    intervals: bool = False,
) -> dict[str, Any]:
    """A group's figures by name; a group without reals is compared with `reals`."""
    own = [p for p in part if not p.fake]
    fakes = [p for p in part if p.fake]
    verdicts = Counter(p.verdict for p in part)
    compared, scored = Scores([*fakes, *(own or reals)]), Scores(part)
    sources = {p.source for p in fakes}
    same = Scores([*fakes, *(p for p in own or reals if p.source in sources)])
    return {
        "name": name,
        "reals": len(own),
        "fakes": len(fakes),
        "scored": len(scored.files),
        "auc": known(compared.auc(np.ones(len(compared.files)))),
        "auc_interval": interval_known(compared.sources, compared.auc) if intervals else None,
        "auc_same_sources": known(same.auc(np.ones(len(same.files)))),
        "accuracy": mean_known(scored.correct),
        "mean_probability": mean_known(scored.scores),
        "false_alarms": mean_known(p.verdict is Verdict.FAKE for p in own),
        "false_alarms_interval": called(own, Verdict.FAKE) if intervals else None,
        "missed": mean_known(p.verdict is Verdict.REAL for p in fakes),
        "missed_interval": called(fakes, Verdict.REAL) if intervals else None,
        "right": sum(p.right for p in part),
        "wrong": sum(p.decided and not p.right for p in part),
        "unsure": verdicts[Verdict.UNSURE],
        "no_face": verdicts[Verdict.NO_FACE],
        "unreadable": verdicts[Verdict.UNREADABLE],
    }


def called(part: Sequence[Prediction], verdict: Verdict) -> Interval | None:
    """The interval of how often a verdict was given in a part, by clip (Wilson).

    Of draws of sources without an error none has one, which proves nothing.
    """
    given = sum(p.verdict is verdict for p in part)
    return wilson(given / len(part), len(part)) if part else None


def mean_known(values: Iterable[float | None]) -> float | None:
    """Of the known values; None if there is none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def known(value: Floats) -> float | None:
    """None if it is not defined."""
    return None if np.isnan(value) else float(value)


def interval_known(sources: Sequence[str], statistic: Statistic) -> Interval | None:
    """The interval over sources; None if it is not defined, or for a single source."""
    if len(set(sources)) < 2:
        return None
    low, high = bootstrap_interval(sources, statistic)
    return None if math.isnan(low) else (low, high)
