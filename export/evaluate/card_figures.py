"""Figures for a bundle's card: few enough that people still read it."""

from __future__ import annotations

from collections.abc import Iterator

from edge.scan.model.manifest import MeasuredFigure
from export.evaluate.figures import Figures, Group, Interval
from export.evaluate.groups import REAL_METHOD

Told = tuple[str, float | None, Interval | None]

MOST_METHODS = 16
"""A card lists the methods if there are no more than so many."""


def recorded(measured: Figures, data: str, command: str) -> list[MeasuredFigure]:
    """The figures that a bundle carries in `bundle.json` and its card; shares are 0 to 1.

    Those of single sources and data sets stay out, and of recompressed clips and numbers of frames
    only what they change: all of them are on the page and in the JSON.
    """
    on = f"{data}: {measured.reals} real, {measured.fakes} fake, {measured.sources} sources"
    return [
        MeasuredFigure(name=name, value=value, low=low, high=high, data=on, command=command)
        for name, value, within in (*_whole(measured), *_parts(measured), *_second(measured))
        if value is not None
        for low, high in [within or (None, None)]
    ]


def _whole(m: Figures) -> Iterator[Told]:
    yield "AUC", m.auc, m.auc_interval
    yield "AUC, every source weighing the same", m.auc_sources, m.auc_sources_interval
    yield "accuracy if forced at 0.5", m.accuracy, m.accuracy_interval
    for share, found in m.at_false_alarms.items():
        within = m.at_false_alarms_interval[share]
        yield f"fakes found at {100 * float(share):g} % false alarms", found, within
    yield "fakes scored above their own original", m.pairs.above, m.pairs.above_interval
    yield "share decided (REAL or FAKE)", m.decided, None
    yield "accuracy where decided", m.accuracy_when_decided, None
    yield "false alarms (FAKE said of a real)", m.false_alarms, m.false_alarms_interval
    yield "missed (REAL said of a fake)", m.missed, m.missed_interval
    yield "calibration error", m.calibration_error, None
    yield "Brier score", m.brier, None
    yield "UNSURE, share", m.unsure, None
    yield "NO_FACE, share", m.no_face, None
    yield "UNREADABLE, share", m.unreadable or None, None


def _parts(m: Figures) -> Iterator[Told]:
    methods = [each for each in m.by_method if each.name not in (REAL_METHOD, "-")]
    for each in methods if len(methods) <= MOST_METHODS else []:
        yield f"AUC, {each.name} against all reals", each.auc, each.auc_interval
    for way in m.by_compression[1:]:
        yield f"AUC, {way.name}", way.auc, way.auc_interval
    for part in m.by_frames:
        yield f"accuracy, {_frames(part)} judged", part.accuracy, part.accuracy_interval


def _frames(part: Group) -> str:
    return f"{part.name} frames"


def _second(m: Figures) -> Iterator[Told]:
    if m.second_opinion is None:
        return
    alone, together = m.second_opinion.alone, m.second_opinion.together
    yield "AUC, with a second opinion", together.auc, together.auc_interval
    yield "false alarms, with a second opinion", together.false_alarms, None
    yield "missed, with a second opinion", together.missed, None
    clips = together.reals + together.fakes
    yield "UNSURE, with a second opinion, share", together.unsure / clips, None
    for name, part in (("alone", alone), ("with a second opinion", together)):
        yield f"seconds for a clip, {name}", part.seconds, None
        yield f"memory in MB at most, {name}", part.memory, None
