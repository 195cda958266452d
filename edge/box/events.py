"""What can happen to the box, and what it may do about it. All of it values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge.box.views import Aim, Picture, Trouble
from edge.finding import Verdict
from edge.scan.progress import Progress


class Origin(StrEnum):
    """Where clips come from."""

    CAMERA = "camera"
    STICK = "stick"
    INBOX = "inbox"


@dataclass(frozen=True)
class Batch:
    """Clips that came together. `key` tells it from every other, `name` is for people."""

    origin: Origin
    key: str
    name: str
    clips: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    """What is remembered of one clip's finding while its batch is shown."""

    name: str
    verdict: Verdict
    fake_probability: float | None
    reason: str


# ---- Events


@dataclass(frozen=True)
class Pressed:
    """The button was pressed and let go."""


@dataclass(frozen=True)
class Held:
    """The button has been down for 2 s."""


@dataclass(frozen=True)
class HeldLong:
    """The button has been down for 6 s."""


@dataclass(frozen=True)
class ModelReady:
    """Clips can be judged."""


@dataclass(frozen=True)
class Refused:
    """No clip can be judged: the model or the settings are not usable."""

    trouble: Trouble


@dataclass(frozen=True)
class Plugged:
    """A stick was plugged in; what is on it is not known yet."""

    key: str
    name: str


@dataclass(frozen=True)
class Brought:
    """Clips came, by stick or inbox. None is an answer too."""

    batch: Batch


@dataclass(frozen=True)
class Unusable:
    """A stick that cannot be read."""

    key: str
    trouble: Trouble


@dataclass(frozen=True)
class Pulled:
    """A stick is gone."""

    key: str


@dataclass(frozen=True)
class Viewed:
    """The viewfinder saw this."""

    picture: Picture
    aim: Aim


@dataclass(frozen=True)
class Filmed:
    """This much of the recording is made, 0 to 1."""

    fraction: float


@dataclass(frozen=True)
class Recorded:
    """A recording lies there, whole."""

    clip: Path


@dataclass(frozen=True)
class CameraFailed:
    """There is no camera, it locks up, or another program has it."""

    trouble: Trouble


@dataclass(frozen=True)
class Progressed:
    """The clip that is being judged goes on."""

    clip: Path
    progress: Progress


@dataclass(frozen=True)
class Found:
    """A clip is judged and its finding is in the history."""

    clip: Path
    outcome: Outcome


@dataclass(frozen=True)
class Skipped:
    """A clip is not judged, since that was asked for."""

    clip: Path


@dataclass(frozen=True)
class Reported:
    """The report of a batch is where it shall be, or why it is not. `note` says so to people."""

    key: str
    written: bool
    note: str


@dataclass(frozen=True)
class Standing:
    """What is wrong for the time being: heat, voltage, disk, board. Replaces what was."""

    troubles: tuple[Trouble, ...]


@dataclass(frozen=True)
class Ticked:
    """Time went by. Comes several times a second."""


@dataclass(frozen=True)
class Reloaded:
    """The settings were read anew: the model is being loaded again."""


@dataclass(frozen=True)
class Terminated:
    """The system wants the program to end."""


@dataclass(frozen=True)
class Down:
    """Everything is written, the power may go."""


Event = (
    Pressed
    | Held
    | HeldLong
    | ModelReady
    | Refused
    | Plugged
    | Brought
    | Unusable
    | Pulled
    | Viewed
    | Filmed
    | Recorded
    | CameraFailed
    | Progressed
    | Found
    | Skipped
    | Reported
    | Standing
    | Ticked
    | Reloaded
    | Terminated
    | Down
)


# ---- Effects


@dataclass(frozen=True)
class OpenViewfinder:
    """Open the camera and say what it sees, as `Viewed`, until told otherwise."""


@dataclass(frozen=True)
class Record:
    """Record for so many seconds: `Filmed` now and then, `Recorded` at the end."""

    seconds: float


@dataclass(frozen=True)
class CloseCamera:
    """Leave the camera to others; half a recording is deleted."""


@dataclass(frozen=True)
class Scan:
    """Judge a clip of this batch: `Progressed` now and then, `Found` or `Skipped` at the end."""

    batch: Batch
    clip: Path


@dataclass(frozen=True)
class CancelScan:
    """Give up the clip that is being judged; `Skipped` follows (or `Found`, if it was done)."""


class Ending(StrEnum):
    """How the work on a batch ended."""

    COMPLETE = "complete"
    CANCELLED = "cancelled"
    PULLED = "pulled out"


@dataclass(frozen=True)
class Finish:
    """A batch is over: close it in the history, put its report where its clips came from.

    `Reported` follows.
    """

    batch: Batch
    ending: Ending


@dataclass(frozen=True)
class Reload:
    """Read the settings and load the model anew: `ModelReady` or `Refused` follows."""


@dataclass(frozen=True)
class PowerOff:
    """Ask the system to switch itself off. `Down` follows where nothing else will say so."""


@dataclass(frozen=True)
class Exit:
    """End the program; all is written."""


Effect = (
    OpenViewfinder | Record | CloseCamera | Scan | CancelScan | Finish | Reload | PowerOff | Exit
)
