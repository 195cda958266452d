"""The figures that a bundle and its card keep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from edge.scan.model.manifest import MeasuredFigure
from export.evaluate.figures import (
    EQUAL_SOURCES,
    FALSE_NEGATIVES,
    FALSE_POSITIVES,
    REAL_METHOD,
    Figures,
    Frames,
    Group,
    Interval,
    figure_rows,
)
from export.metrics import wilson

if TYPE_CHECKING:
    from export.evaluate.calibrate import Fit

MOST_GROUPS = 16
"""A card lists figures by method for at most this many methods, those with the most clips; by
data set, which is where cameras are told apart, likewise."""
FITTED = "each source scored by the others' fit"
"""In the data of a fit's figures."""


def fit_figures(found: Fit, data: str, command: str = "", models: str = "") -> list[MeasuredFigure]:
    """The rates as figures for a card; `models` says which models the rule is of."""
    fake, real = found.fake, found.real
    rows: list[_CardRow] = [
        (FALSE_POSITIVES, fake.wrong, fake.wrong_interval),
        (f"false positive rate, {EQUAL_SOURCES}", fake.wrong_sources, (0.0, fake.wrong_at_most)),
        (FALSE_NEGATIVES, real.wrong, real.wrong_interval),
        (f"false negative rate, {EQUAL_SOURCES}", real.wrong_sources, (0.0, real.wrong_at_most)),
        ("fake clips called FAKE", fake.right, fake.right_interval),
        ("real clips called REAL", real.right, real.right_interval),
        ("UNSURE, share", found.unsure, wilson(found.unsure, found.clips)),
    ]
    for condition, rates in found.others.items():
        fake, real = rates.fake, rates.real
        rows += [
            (f"{FALSE_POSITIVES}, {condition}", fake.wrong, fake.wrong_interval),
            (f"{FALSE_NEGATIVES}, {condition}", real.wrong, real.wrong_interval),
            (f"fake clips called FAKE, {condition}", fake.right, fake.right_interval),
            (f"real clips called REAL, {condition}", real.right, real.right_interval),
            (f"UNSURE, {condition}, share", rates.unsure, wilson(rates.unsure, rates.clips)),
        ]
    suffix = f", {models}" if models else ""
    named = ((name + suffix, value, within) for name, value, within in rows)
    return _measured(named, data, command)


def card_figures(m: Figures, data: str, command: str) -> list[MeasuredFigure]:
    """The figures that a bundle and its card keep.

    Those of single sources are left out, and of data sets, recompressed clips and numbers of
    frames all but AUC, accuracy and both errors: the page and the JSON have them.
    """
    whole = [(row.name, row.value, row.interval) for row in figure_rows(m)]
    rows = (*whole, *_by_condition(m), *_by_second_opinion(m), *_by_view(m))
    return _measured(rows, _on(m, data), command)


def second_figures(m: Figures, data: str, command: str) -> list[MeasuredFigure]:
    """Those of them that the bundle for second opinions keeps; none if it was not measured."""
    if m.second_opinion is None:
        return []
    return _measured((*_by_second_opinion(m), *_by_view(m)), _on(m, data), command)


def _on(m: Figures, data: str) -> str:
    return f"{data}: {m.reals} real, {m.fakes} fake, {m.sources} sources"


def _measured(rows: Iterable[_CardRow], data: str, command: str) -> list[MeasuredFigure]:
    """Those that are known, as a bundle keeps them."""
    return [
        MeasuredFigure(name=name, value=value, low=low, high=high, data=data, command=command)
        for name, value, within in rows
        if value is not None and not math.isnan(value)
        for low, high in [within or (None, None)]
    ]


_CardRow = tuple[str, float | None, Interval | None]


def _by_condition(m: Figures) -> Iterator[_CardRow]:
    """By the bundle alone; its errors only if no second opinion was asked for beside it."""
    yield from _by_method(m.by_method, "")
    errors = m.second_opinion is None
    if errors:
        yield from _by_dataset(m.by_dataset, "")
    for compression in m.by_compression[1:]:
        yield from _errors(compression, compression.name, errors=errors)
    for frames in m.by_frames:
        yield from _by_frames(frames, "", errors=errors)


def _by_method(groups: Sequence[Group], suffix: str) -> Iterator[_CardRow]:
    methods = [group for group in groups if group.name not in (REAL_METHOD, "-")]
    for group in _largest(methods):
        yield f"AUC, {group.name} against all reals{suffix}", group.auc, group.auc_interval
        if suffix:
            what = f"false negative rate, {group.name}, {group.fakes} fake{suffix}"
            yield what, group.missed, group.missed_interval


def _by_dataset(groups: Sequence[Group], suffix: str) -> Iterator[_CardRow]:
    for group in _largest(groups):
        yield from _counted(group, f"data set {group.name}", suffix)


def _largest(groups: Sequence[Group]) -> list[Group]:
    """The groups with the most clips, in their order."""
    by_size = sorted(groups, key=lambda group: group.reals + group.fakes, reverse=True)
    kept = by_size[:MOST_GROUPS]
    return [group for group in groups if group in kept]


def _counted(group: Group, what: str, suffix: str = "") -> Iterator[_CardRow]:
    """Its AUC and errors, with the number of clips in the name."""
    yield f"AUC, {what}{suffix}", group.auc, group.auc_interval
    name = f"false positive rate, {what}, {group.reals} real{suffix}"
    yield name, group.false_alarms, group.false_alarms_interval
    name = f"false negative rate, {what}, {group.fakes} fake{suffix}"
    yield name, group.missed, group.missed_interval


def _errors(group: Group, what: str, *, errors: bool = True) -> Iterator[_CardRow]:
    yield f"AUC, {what}", group.auc, group.auc_interval
    if not errors:
        return
    yield f"false positive rate, {what}", group.false_alarms, group.false_alarms_interval
    yield f"false negative rate, {what}", group.missed, group.missed_interval


def _by_frames(frames: Frames, suffix: str, *, errors: bool = True) -> Iterator[_CardRow]:
    what = f"{frames.name} frames judged{suffix}"
    yield f"accuracy, {what}", frames.accuracy, frames.accuracy_interval
    yield from _errors(frames, what, errors=errors)


def _by_view(m: Figures) -> Iterator[_CardRow]:
    for group in m.by_view:
        yield from _counted(group, group.name)


def _by_second_opinion(m: Figures) -> Iterator[_CardRow]:
    if m.second_opinion is None:
        return
    together, suffix = m.second_opinion.together, ", with a second opinion"
    yield from _errors(together, suffix.removeprefix(", "))
    yield from _by_method(m.second_opinion.by_method, suffix)
    yield from _by_dataset(m.second_opinion.by_dataset, suffix)
    for way in m.second_opinion.by_compression[1:]:
        yield from _errors(way, way.name + suffix)
    for frames in m.second_opinion.by_frames:
        yield from _by_frames(frames, suffix)
    clips = together.reals + together.fakes
    share = together.unsure / clips
    yield f"UNSURE{suffix}, share", share, wilson(share, clips)
    for group in (m.second_opinion.alone, together):
        yield f"seconds for a clip, {group.name}", group.seconds, None
        yield f"peak memory in MB, {group.name}", group.memory, None
