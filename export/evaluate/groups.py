"""Figures of parts of what was judged: a source, a method, a compression, a number of frames."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edge.finding import Verdict
from export.evaluate.figures import (
    Compression,
    Frames,
    Group,
    Interval,
    Opinion,
    Pairs,
    SecondOpinion,
)
from export.evaluate.records import PLAIN, Condition, Judged
from export.metrics import (
    Floats,
    Statistic,
    auc,
    over_sources,
    weighted_auc,
    weighted_mean,
)

REAL_METHOD = "(real)"


def by(
    judged: Sequence[Judged],
    key: Callable[[Judged], str],
    reals: Sequence[Judged] = (),
    **more: bool,
) -> tuple[Group, ...]:
    """A group for each value of `key` but the empty one, in the order of their names.

    A group without reals is held against `reals`.
    """
    parts: dict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        parts[key(j)].append(j)
    return tuple(
        Group(**group(name, part, reals, **more)) for name, part in sorted(parts.items()) if name
    )


def by_method(judged: Sequence[Judged]) -> tuple[Group, ...]:
    """A group for each method of making fakes; the reals are one of their own."""
    reals = [j for j in judged if not j.fake]
    return by(judged, lambda j: j.method if j.fake else REAL_METHOD, reals, intervals=True)


def by_compression(judged: Sequence[Judged]) -> tuple[Compression, ...]:
    """Clips as they are, and a group for each way in which they were recompressed."""
    ways = conditions(judged, lambda c: c == Condition(compression=c.compression))
    plain = scores_by_file(ways[PLAIN])
    return tuple(
        Compression(
            **group(way.compression, part, (), intervals=True),
            **_loss(part if way != PLAIN else (), plain),
        )
        for way, part in ways.items()
    )


def by_frames(judged: Sequence[Judged]) -> tuple[Frames, ...]:
    """A group for each number of frames that was asked for, ascending."""
    ways = conditions(judged, lambda c: c.frames is not None)
    found = []
    for way, part in sorted(ways.items(), key=lambda item: (item[0].spread, item[0].frames or 0)):
        asked = way.frames or 0
        found.append(
            Frames(
                **group(
                    f"{asked} spread" if way.spread else f"first {asked}", part, (), intervals=True
                ),
                frames=asked,
                spread=way.spread,
                looked_at=float(np.mean([j.looked_at for j in part])),
                accuracy_interval=_accuracy_interval(part),
            )
        )
    return tuple(found)


def second_opinion(judged: Sequence[Judged]) -> SecondOpinion | None:
    """The bundle alone and with a second opinion; None if none was to be had."""
    ways = conditions(judged, lambda c: c in (PLAIN, Condition(second=True)))
    together = ways.get(Condition(second=True))
    if not together:
        return None
    asked = [j for j in together if j.asked]
    return SecondOpinion(
        asked=len(asked) / len(together),
        seconds_when_asked=mean(j.seconds for j in asked),
        alone=_opinion("alone", ways[PLAIN]),
        together=_opinion("with a second opinion", together),
    )


def pairs(judged: Sequence[Judged]) -> Pairs:
    """Fakes beside their own originals: those the table names, or else all reals of the source.

    Whether a table names originals is seen from its having any.
    """
    named = any(j.pair for j in judged)
    reals: dict[str, list[float]] = defaultdict(list)
    for j in judged:
        if not j.fake and j.probability is not None:
            reals[j.file if named else j.source].append(j.probability)
    above: list[float] = []
    sources: list[str] = []
    for j in judged:
        own = reals.get(j.pair if named else j.source, [])
        if j.fake and own and j.probability is not None:
            above.append(float(np.mean([_above(j.probability, real) for real in own])))
            sources.append(j.source)
    return Pairs(
        pairs=len(above),
        above=mean(above),
        above_interval=bounds(sources, lambda w: weighted_mean(above, w)),
    )


def conditions(
    judged: Iterable[Judged], wanted: Callable[[Condition], bool]
) -> dict[Condition, list[Judged]]:
    """What was judged under each of the conditions that are wanted; as it is first, if at all."""
    ways: dict[Condition, list[Judged]] = defaultdict(list)
    ways[PLAIN] = []
    for j in judged:
        if wanted(j.condition):
            ways[j.condition].append(j)
    return {way: part for way, part in ways.items() if part}


def scores_by_file(judged: Iterable[Judged]) -> dict[str, float]:
    """The probability of everything that has one."""
    return {j.file: j.probability for j in judged if j.probability is not None}


def group(
    name: str, part: Sequence[Judged], reals: Sequence[Judged], *, intervals: bool = False
) -> dict[str, Any]:
    """A group's figures, by their names; `reals` are what it is held against if it has none.

    Without `intervals` no interval is computed, which takes time.
    """
    own = [j for j in part if not j.fake]
    fakes = [j for j in part if j.fake]
    verdicts = [j.verdict for j in part]
    scored = [j for j in part if j.probability is not None]
    against = [*fakes, *(own or reals)]
    same = {j.source for j in fakes}
    return {
        "name": name,
        "reals": len(own),
        "fakes": len(fakes),
        "scored": len(scored),
        "auc": _auc(against),
        "auc_interval": _auc_interval(against) if intervals else None,
        "auc_same_sources": _auc([*fakes, *(j for j in own or reals if j.source in same)]),
        "accuracy": mean(((j.probability or 0.0) >= 0.5) == j.fake for j in scored),
        "mean_probability": mean(j.probability for j in scored),
        "false_alarms": mean(j.verdict is Verdict.FAKE for j in own),
        "missed": mean(j.verdict is Verdict.REAL for j in fakes),
        "right": sum(j.right for j in part),
        "wrong": sum(j.decided and not j.right for j in part),
        "unsure": verdicts.count(Verdict.UNSURE),
        "no_face": verdicts.count(Verdict.NO_FACE),
        "unreadable": verdicts.count(Verdict.UNREADABLE),
    }


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None if none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def bounds(sources: Sequence[str], statistic: Statistic) -> Interval | None:
    """The interval over sources; None if there is none, or only one source."""
    if len(set(sources)) < 2:
        return None
    found = over_sources(sources, statistic)
    return None if math.isnan(found[0]) else found


def arrays(judged: Sequence[Judged]) -> tuple[Floats, Floats, list[str]]:
    """Labels, probabilities and sources of what has a probability, [n] each."""
    scored = [j for j in judged if j.probability is not None]
    labels = np.array([j.fake for j in scored], dtype=np.float64)
    return labels, np.array([j.probability for j in scored], np.float64), [j.source for j in scored]


def _auc(judged: Sequence[Judged]) -> float | None:
    labels, scores, _ = arrays(judged)
    value = auc(labels, scores)
    return None if math.isnan(value) else value


def _auc_interval(judged: Sequence[Judged]) -> Interval | None:
    labels, scores, sources = arrays(judged)
    return bounds(sources, lambda w: weighted_auc(labels, scores, w))


def _accuracy_interval(judged: Sequence[Judged]) -> Interval | None:
    labels, scores, sources = arrays(judged)
    right = (scores >= 0.5) == labels
    return bounds(sources, lambda w: weighted_mean(right, w))


def _loss(part: Sequence[Judged], plain: Mapping[str, float]) -> dict[str, Any]:
    """How much AUC a compression costs, on what has a score both ways."""
    both = [j for j in part if j.file in plain and j.probability is not None]
    labels, after, sources = arrays(both)
    before = np.array([plain[j.file] for j in both])

    def loss(weights: Floats) -> Floats:
        return weighted_auc(labels, before, weights) - weighted_auc(labels, after, weights)

    value = float(loss(np.ones(len(both))))
    if math.isnan(value):
        return {"auc_loss": None, "auc_loss_interval": None}
    return {"auc_loss": value, "auc_loss_interval": bounds(sources, loss)}


def _opinion(name: str, part: Sequence[Judged]) -> Opinion:
    decided = [j for j in part if j.decided]
    return Opinion(
        **group(name, part, (), intervals=True),
        decided=len(decided) / len(part),
        accuracy_when_decided=mean(j.right for j in decided),
        seconds=mean(j.seconds for j in part),
        memory=max((j.memory for j in part if j.memory is not None), default=None),
    )


def _above(fake: float, real: float) -> float:
    return float(fake > real) + 0.5 * (fake == real)
