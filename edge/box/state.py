"""Where the box stands: one immutable value, which the appliance alone makes anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from edge.box.events import Batch, Ending, Outcome
from edge.box.views import Aim, Picture, Trouble
from edge.scan.progress import Progress
from edge.settings import Settings


class Phase(StrEnum):
    """What the box does, and thereby what its display shows."""

    STARTING = "starting"
    READY = "ready"
    AIMING = "aiming"
    COUNTING = "counting"
    RECORDING = "recording"
    WORKING = "working"
    WRITING = "writing"
    SHOWING = "showing"
    TROUBLED = "troubled"
    REFUSED = "refused"
    LEAVING = "leaving"
    HALTED = "halted"


RESTING = frozenset({Phase.READY, Phase.SHOWING, Phase.TROUBLED, Phase.REFUSED})
"""Phases in which nothing runs: the display may dim and sleep."""

FILMING = frozenset({Phase.AIMING, Phase.COUNTING, Phase.RECORDING})
"""Phases in which the camera is open."""


@dataclass(frozen=True)
class Run:
    """A batch and how far its judging is. `spent`: seconds that its clips took so far."""

    batch: Batch
    done: int = 0
    outcomes: tuple[Outcome, ...] = ()
    spent: float = 0.0
    ending: Ending | None = None
    note: str = ""

    @property
    def clip(self) -> Path:
        """The clip that is judged, or is to be judged next."""
        return self.batch.clips[self.done]

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.ending is not None or self.done == len(self.batch.clips)


@dataclass(frozen=True)
class Notice:
    """A trouble to be shown. `key` names the stick that it is about; it goes with the stick."""

    trouble: Trouble
    key: str = ""


@dataclass(frozen=True)
class State:
    """Everything the appliance knows. Times are those of `time.monotonic`, in seconds."""

    phase: Phase = Phase.STARTING
    since: float = 0.0
    """When the phase began."""
    touched: float = 0.0
    """When something of interest happened last."""
    run: Run | None = None
    """What is being judged or reported."""
    clip_since: float = 0.0
    progress: Progress | None = None
    waiting: tuple[Run, ...] = ()
    asked: bool = False
    """Someone wants the camera as soon as the running clip is judged."""
    reading: tuple[tuple[str, str], ...] = ()
    """Sticks that are being looked through: keys and names."""
    picture: Picture | None = None
    aim: Aim = Aim.NOBODY
    good_since: float | None = None
    filmed: float = 0.0
    shown: Run | None = None
    page: int = 0
    """Which of the shown results: 0 is the summary."""
    notice: Notice | None = None
    pending: tuple[Notice, ...] = field(default=())
    standing: tuple[Trouble, ...] = ()
    sticks: bool = True
    """Whether sticks are heard of at all; not so where nothing mounts them."""

    def enter(self, phase: Phase, now: float) -> State:
        """The same in another phase, begun now."""
        return replace(self, phase=phase, since=now)


@dataclass(frozen=True)
class Moment:
    """When something happens, and under which settings."""

    now: float
    settings: Settings
