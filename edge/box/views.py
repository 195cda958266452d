"""What the box tells people: a closed set of values that the appliance makes and a panel shows.

The appliance does not know how a view is drawn, and a panel does not know why it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from edge.finding import Verdict


class Aim(StrEnum):
    """What the viewfinder asks of the person before it."""

    NOBODY = "nobody"
    CLOSER = "closer"
    LIGHT = "more light"
    GOOD = "good"


class Kind(StrEnum):
    """What can be wrong with the box or with what it was given."""

    NOTHING_TO_SCAN = "nothing-to-scan"
    STICK_UNREADABLE = "stick-unreadable"
    STICK_PULLED = "stick-pulled"
    CAMERA_MISSING = "camera-missing"
    MODEL_REFUSED = "model-refused"
    SETTINGS_WRONG = "settings-wrong"
    TOO_HOT = "too-hot"
    UNDER_VOLTAGE = "under-voltage"
    DISK_FULL = "disk-full"
    UNKNOWN_BOARD = "unknown-board"


@dataclass(frozen=True)
class Trouble:
    """Something that a person can mend: what it is, in a line, and what to do, in a line."""

    kind: Kind
    message: str
    remedy: str


@dataclass(frozen=True, eq=False)
class Picture:
    """What the camera sees, small: uint8 luma `[height, width]`. Equal only to itself."""

    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Starting:
    """The model is being loaded."""


@dataclass(frozen=True)
class Ready:
    """Nothing runs: press the button, plug in a stick, drop in a file.

    A box without a camera has no `camera`; where root mounts no sticks there are no `sticks`.
    """

    camera: bool = True
    sticks: bool = True


@dataclass(frozen=True)
class Reading:
    """A stick was plugged in and is being looked through."""

    name: str


@dataclass(frozen=True)
class Aiming:
    """The viewfinder; `countdown` in whole seconds once all is well."""

    picture: Picture | None
    aim: Aim
    countdown: int | None = None


@dataclass(frozen=True)
class Recording:
    """The camera records."""

    fraction: float
    seconds_left: float


@dataclass(frozen=True)
class Working:
    """Clip `number` of `of` is judged. `source` names the stick, or is empty for the camera."""

    name: str
    number: int
    of: int
    fraction: float
    seconds_left: float | None
    source: str = ""
    camera_next: bool = False
    cancelling: bool = False


@dataclass(frozen=True)
class Writing:
    """The report goes onto the stick, which must stay where it is."""

    name: str


@dataclass(frozen=True)
class Judged:
    """One clip's verdict. `number` and `of` tell its place where there are several.

    `note` says where the report is and if the stick may go.
    """

    verdict: Verdict
    fake_probability: float | None
    name: str
    reason: str
    number: int = 1
    of: int = 1
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class Summary:
    """What came out of many clips. `note` says where the report is and if the stick may go."""

    name: str
    real: int
    fake: int
    unsure: int
    no_face: int
    unreadable: int
    skipped: int
    note: str

    @property
    def worst(self) -> Verdict:
        """The verdict that matters most: what the lamps show."""
        counts = (
            (self.fake, Verdict.FAKE),
            (self.unsure, Verdict.UNSURE),
            (self.unreadable, Verdict.UNREADABLE),
            (self.real, Verdict.REAL),
        )
        return next((verdict for count, verdict in counts if count), Verdict.NO_FACE)


@dataclass(frozen=True)
class Stopped:
    """Work was cancelled; `note` says what became of what was done until then."""

    note: str


@dataclass(frozen=True)
class ShuttingDown:
    """The box is about to switch itself off: the plug must stay in."""


@dataclass(frozen=True)
class Halted:
    """Everything is written: the plug may be pulled."""


View = (
    Starting
    | Ready
    | Reading
    | Aiming
    | Recording
    | Working
    | Writing
    | Judged
    | Summary
    | Stopped
    | Trouble
    | ShuttingDown
    | Halted
)


class Brightness(StrEnum):
    """How bright the display is."""

    FULL = "full"
    DIM = "dim"
    OFF = "off"


@dataclass(frozen=True)
class Scene:
    """A view, with what stands beside it: `marks` are troubles that last while others matter."""

    view: View
    marks: tuple[Kind, ...] = ()
    brightness: Brightness = Brightness.FULL
