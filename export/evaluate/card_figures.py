"""The figures that a bundle and its card keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge.scan.model.manifest import MeasuredFigure
from export.evaluate.figures import (
    EQUAL_SOURCES,
    FALSE_NEGATIVES,
    FALSE_POSITIVES,
    REAL_METHOD,
    Figures,
    Interval,
    figure_rows,
)

if TYPE_CHECKING:
    from export.evaluate.calibrate import Fit

MOST_METHODS = 16
"""A card lists AUC by method for at most this many methods."""
FITTED = "each source scored by the others' fit"
"""In the data of a fit's figures."""


def fit_figures(found: Fit, data: str, command: str = "", models: str = "") -> list[MeasuredFigure]:
    """The rates as figures for a card; `models` says which models the rule is of."""
    fake, real = found.fake, found.real
    rows = [
        (FALSE_POSITIVES, fake.wrong, None),
        (f"false positive rate, {EQUAL_SOURCES}", fake.wrong_sources, fake.wrong_at_most),
        (FALSE_NEGATIVES, real.wrong, None),
        (f"false negative rate, {EQUAL_SOURCES}", real.wrong_sources, real.wrong_at_most),
        ("fake clips called FAKE", fake.right, None),
        ("real clips called REAL", real.right, None),
        ("UNSURE, share", found.unsure, None),
    ]
    suffix = f", {models}" if models else ""
    for condition, rates in found.others.items():
        rows += [
            (f"{FALSE_POSITIVES}, {condition}", rates.fake.wrong, None),
            (f"{FALSE_NEGATIVES}, {condition}", rates.real.wrong, None),
            (f"fake clips called FAKE, {condition}", rates.fake.right, None),
            (f"UNSURE, {condition}, share", rates.unsure, None),
        ]
    return [
        MeasuredFigure(
            name=name + suffix,
            value=value,
            low=None if high is None else 0.0,
            high=high,
            data=data,
            command=command,
        )
        for name, value, high in rows
    ]


def card_figures(m: Figures, data: str, command: str) -> list[MeasuredFigure]:
    """The figures that a bundle and its card keep.

    Those of single sources and data sets are left out, and of recompressed clips, numbers of frames
    and second opinions all but what they change: the page and the JSON have them.
    """
    on = f"{data}: {m.reals} real, {m.fakes} fake, {m.sources} sources"
    whole = [(row.name, row.value, row.interval) for row in figure_rows(m)]
    return [
        MeasuredFigure(name=name, value=value, low=low, high=high, data=on, command=command)
        for name, value, within in (
            *(*whole, *_by_condition(m), *_by_second_opinion(m), *_by_view(m)),
        )
        if value is not None
        for low, high in [within or (None, None)]
    ]


_CardRow = tuple[str, float | None, Interval | None]


def _by_condition(m: Figures) -> Iterator[_CardRow]:
    methods = [group for group in m.by_method if group.name not in (REAL_METHOD, "-")]
    for group in methods if len(methods) <= MOST_METHODS else []:
        yield f"AUC, {group.name} against all reals", group.auc, group.auc_interval
    for compression in m.by_compression[1:]:
        yield f"AUC, {compression.name}", compression.auc, compression.auc_interval
    for frames in m.by_frames:
        name = f"accuracy, {frames.name} frames judged"
        yield name, frames.accuracy, frames.accuracy_interval
        yield f"AUC, {frames.name} frames judged", frames.auc, frames.auc_interval


def _by_view(m: Figures) -> Iterator[_CardRow]:
    for group in m.by_view:
        yield f"AUC, {group.name}", group.auc, group.auc_interval
        name = f"false positive rate, {group.name}, {group.reals} real"
        yield name, group.false_alarms, group.false_alarms_interval


def _by_second_opinion(m: Figures) -> Iterator[_CardRow]:
    if m.second_opinion is None:
        return
    together = m.second_opinion.together
    yield "AUC, with a second opinion", together.auc, together.auc_interval
    within = together.false_alarms_interval
    yield "false positive rate, with a second opinion", together.false_alarms, within
    within = together.missed_interval
    yield "false negative rate, with a second opinion", together.missed, within
    for way in m.second_opinion.by_compression[1:]:
        what = f"{way.name}, with a second opinion"
        yield f"AUC, {what}", way.auc, way.auc_interval
        yield f"false positive rate, {what}", way.false_alarms, way.false_alarms_interval
        yield f"false negative rate, {what}", way.missed, way.missed_interval
    for frames in m.second_opinion.by_frames:
        what = f"{frames.name} frames judged, with a second opinion"
        yield f"accuracy, {what}", frames.accuracy, frames.accuracy_interval
        yield f"AUC, {what}", frames.auc, frames.auc_interval
    clips = together.reals + together.fakes
    yield "UNSURE, with a second opinion, share", together.unsure / clips, None
    for group in (m.second_opinion.alone, together):
        yield f"seconds for a clip, {group.name}", group.seconds, None
        yield f"peak memory in MB, {group.name}", group.memory, None
