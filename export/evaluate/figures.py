"""Everything that is measured, as `--json` prints it, and the rows that people are shown.

docs/evaluation.md explains the keys, which are stable. Shares are 0 to 1. An interval is of 95 %,
bootstrapped over sources; null where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

Interval = tuple[float, float]

REAL_METHOD = "(real)"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Group(_Part):
    """Figures of a part of the data; those from `right` to `unreadable` are counts."""

    name: str
    reals: int
    fakes: int
    scored: int
    auc: float | None
    """Of its fakes against its reals; a method or data set of fakes only against all reals."""
    auc_interval: Interval | None
    auc_same_sources: float | None
    """The same against the reals of those sources that its fakes are of."""
    accuracy: float | None
    """If forced at 0.5."""
    mean_probability: float | None
    false_alarms: float | None
    false_alarms_interval: Interval | None = None
    """By clip, as is the next."""
    missed: float | None
    missed_interval: Interval | None = None
    right: int
    wrong: int
    unsure: int
    no_face: int
    unreadable: int


class Compression(Group):
    """Clips or crops as they are, or recompressed."""

    auc_loss: float | None
    """AUC as they are less the AUC recompressed, of those that have a score both ways."""
    auc_loss_interval: Interval | None


class Frames(Group):
    """Clips scanned with a given number of frames."""

    frames: int
    spread: bool
    """Whether they are spread over the clip; else they are its first."""
    looked_at: float
    """Frames in which a face was scored, the mean over clips: short clips have fewer."""
    accuracy_interval: Interval | None


class OpinionGroup(Group):
    """Clips judged by the bundle alone, or with a second opinion."""

    decided: float
    accuracy_when_decided: float | None
    seconds: float | None
    """Mean for a clip."""
    memory: float | None
    """Peak of the program, MB."""


class SecondOpinion(_Part):
    """What a second opinion changes."""

    asked: float
    """Share of the clips for which it was asked."""
    seconds_when_asked: float | None
    """Mean for such a clip, all included."""
    alone: OpinionGroup
    together: OpinionGroup
    by_compression: tuple[Compression, ...] = ()
    """By both models, `as is` first."""
    by_frames: tuple[Frames, ...] = ()
    """By both models, as are the next two."""
    by_method: tuple[Group, ...] = ()
    by_dataset: tuple[Group, ...] = ()


class Reliability(_Part):
    """A bin of a reliability diagram."""

    count: int
    low: float
    high: float
    mean_probability: float
    fakes: float
    fakes_interval: Interval
    """Wilson, `count` taken as independent."""


class Pairs(_Part):
    """Fakes beside the original that they were made from."""

    pairs: int
    """Fakes whose original has a score, too."""
    above: float | None
    """The share that is scored above it; equal scores count half."""
    above_interval: Interval | None


class Figures(_Part):
    """Everything that was measured."""

    clips: int
    reals: int
    fakes: int
    sources: int
    auc: float
    auc_interval: Interval
    auc_sources: float
    auc_sources_interval: Interval
    accuracy: float
    accuracy_interval: Interval
    at_false_alarms: dict[str, float]
    """By false positive rate: the share of fakes found."""
    at_false_alarms_interval: dict[str, Interval]
    decided: float
    accuracy_when_decided: float | None
    false_alarms: float
    false_alarms_interval: Interval
    missed: float
    missed_interval: Interval
    calibration_error: float
    brier: float
    reliability: tuple[Reliability, ...]
    unsure: float
    no_face: float
    unreadable: float
    pairs: Pairs
    seconds: float | None
    """Mean for a clip."""
    by_source: tuple[Group, ...]
    by_method: tuple[Group, ...]
    by_dataset: tuple[Group, ...]
    by_compression: tuple[Compression, ...]
    by_frames: tuple[Frames, ...]
    by_view: tuple[Group, ...]
    second_opinion: SecondOpinion | None


@dataclass(frozen=True)
class FigureRow:
    """A figure of the whole, for people."""

    name: str
    value: float
    interval: Interval | None = None
    kind: Literal["number", "share"] = "share"


FALSE_POSITIVES = "false positive rate (real clips called FAKE)"
EQUAL_SOURCES = "every source weighing the same"
FALSE_NEGATIVES = "false negative rate (fake clips called REAL)"


def figure_rows(m: Figures) -> list[FigureRow]:
    """The figures of the whole that are known, the most important first."""
    rows: list[tuple[str, float | None, Interval | None, Literal["number", "share"]]] = [
        ("AUC", m.auc, m.auc_interval, "number"),
        (f"AUC, {EQUAL_SOURCES}", m.auc_sources, m.auc_sources_interval, "number"),
        ("accuracy if forced at 0.5", m.accuracy, m.accuracy_interval, "share"),
        *(
            (
                f"fakes found at a false positive rate of {100 * float(rate):g} %",
                found,
                m.at_false_alarms_interval[rate],
                "share",
            )
            for rate, found in m.at_false_alarms.items()
        ),
        ("fakes scored above their own original", m.pairs.above, m.pairs.above_interval, "share"),
        ("share decided (REAL or FAKE)", m.decided, None, "share"),
        ("accuracy where decided", m.accuracy_when_decided, None, "share"),
        (FALSE_POSITIVES, m.false_alarms, m.false_alarms_interval, "share"),
        (FALSE_NEGATIVES, m.missed, m.missed_interval, "share"),
        ("calibration error", m.calibration_error, None, "number"),
        ("Brier score", m.brier, None, "number"),
        ("UNSURE, share", m.unsure, None, "share"),
        ("NO_FACE, share", m.no_face, None, "share"),
        ("UNREADABLE, share", m.unreadable, None, "share"),
        ("seconds for a clip", m.seconds, None, "number"),
    ]
    return [
        FigureRow(n, value, within, kind) for n, value, within, kind in rows if value is not None
    ]
