"""What is measured, as it is printed by `--json`: stable keys, which docs/evaluation.md explains.

Shares are 0 to 1. An interval is of 95 %, bootstrapped over sources; null where there is none.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Interval = tuple[float, float]


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
    missed: float | None
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
    """Clips of which a certain number of frames was asked for."""

    frames: int
    spread: bool
    """Whether they are spread over the clip; else they are its first."""
    looked_at: float
    """Frames in which a face was scored, the mean over clips: short clips have fewer."""
    accuracy_interval: Interval | None


class Opinion(Group):
    """Clips judged by the bundle alone, or with a second opinion."""

    decided: float
    accuracy_when_decided: float | None
    seconds: float | None
    """For a clip, the mean."""
    memory: float | None
    """The most that the program held in memory while it judged, MB."""


class SecondOpinion(_Part):
    """What a second opinion changes."""

    asked: float
    """The share of clips for which it was asked."""
    seconds_when_asked: float | None
    """For a clip for which it was asked, the mean, all included."""
    alone: Opinion
    together: Opinion


class Reliability(_Part):
    """Probabilities next to each other: what was said, and how many were fakes."""

    count: int
    low: float
    high: float
    mean_probability: float
    fakes: float
    fakes_interval: Interval
    """Of as many independent clips (Wilson)."""


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
    """The share of fakes found at this share of false alarms."""
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
    """For a clip, the mean."""
    by_source: tuple[Group, ...]
    by_method: tuple[Group, ...]
    by_dataset: tuple[Group, ...]
    by_compression: tuple[Compression, ...]
    by_frames: tuple[Frames, ...]
    second_opinion: SecondOpinion | None
