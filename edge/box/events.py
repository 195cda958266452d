"""What can happen to the box, and what it may do about it. All of it values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, dataclass_transform

from edge.box.views.camera import CameraImage, Framing
from edge.box.views.status import Trouble
from edge.finding import Finding, Verdict
from edge.language import N_
from edge.scan.progress import Progress
from edge.skipped import NOTHING_SKIPPED, Skipped
from edge.socket_messages import scan_page
from edge.text import name_text, path_text


class Origin(StrEnum):
    """Where clips come from."""

    CAMERA = "camera"
    STICK = "stick"
    INBOX = "inbox"
    WEB = "web"


class Ending(StrEnum):
    """How the work on a batch ended."""

    COMPLETE = "complete"
    CANCELLED = "cancelled"
    PULLED = "pulled out"


DELIVERED: Final = N_("Results are beside the clips.")
"""Noted of a batch of the inbox whose results and report were written."""


@dataclass(frozen=True)
class Batch:
    """Clips that came together. `key` is unique, `name` is for people.

    Of an upload, `name` is the clip's name: its file is called by its number. `skipped`: what was
    found with them and is not judged. `folder`: beneath it lie the clips, and no link on the way
    from there is followed. `first`: judge only the first frames; None: as the settings say.
    """

    origin: Origin
    key: str
    name: str
    clips: tuple[Path, ...]
    skipped: Skipped = NOTHING_SKIPPED
    folder: Path | None = None
    first: int | None = None

    def beneath(self, clip: Path) -> Path:
        """The folder beneath which a clip is opened."""
        return self.folder or clip.parent

    def path_of(self, clip: Path) -> Path:
        """A clip's path as findings name it: of an upload, the name that it came with."""
        return Path(self.name) if self.origin is Origin.WEB else clip

    def named(self, clip: Path, finding: Finding) -> Finding:
        """A finding that names the clip so."""
        return finding.replaced(path=path_text(self.path_of(clip)))

    @property
    def page(self) -> str:
        """Where an upload's finding is shown; empty for other batches."""
        return scan_page(self.key) if self.origin is Origin.WEB else ""

    def name_of(self, clip: Path) -> str:
        """A clip's name for people."""
        return name_text(self.path_of(clip))


@dataclass(frozen=True)
class ClipResult:
    """The part of a clip's finding that is shown."""

    name: str
    verdict: Verdict
    fake_probability: float | None
    reason: str


def clip_result(clip: Path, finding: Finding) -> ClipResult:
    """The part of a finding that is shown."""
    reason = finding.reasons[0].text if finding.reasons else ""
    if finding.model.shipped is False and finding.clip:
        reason += " " + N_("The model is not from Truelight.")
    return ClipResult(name_text(clip), finding.verdict, finding.fake_probability, reason)


@dataclass_transform(frozen_default=True)
class _Value:
    """Makes each subclass a frozen dataclass."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)


class Event(_Value):
    """Something that has happened."""


class Effect(_Value):
    """Something that the box does then."""


# ---- Events


class Pressed(Event):
    """The button was pressed and released."""


class Held(Event):
    """The button has been down for 2 s."""


class HeldLong(Event):
    """The button has been down for 6 s."""


class ModelReady(Event):
    """Clips can be judged."""


class Refused(Event):
    """No clip can be judged: the model or the settings are not usable."""

    trouble: Trouble


class StickPlugged(Event):
    """A stick was plugged in; its clips are not known yet."""

    key: str
    name: str


class ClipsArrived(Event):
    """A stick or the inbox was searched. The batch may be empty."""

    batch: Batch


class StickUnusable(Event):
    """A stick cannot be read."""

    key: str
    trouble: Trouble


class StickPulled(Event):
    """A stick was pulled out."""

    key: str


class FrameSeen(Event):
    """The viewfinder has a new frame."""

    image: CameraImage
    framing: Framing


class RecordingProgressed(Event):
    """`fraction` of the recording is made, 0 to 1."""

    fraction: float


class Recorded(Event):
    """A recording is complete."""

    clip: Path


class CameraFailed(Event):
    """There is no camera, it hangs, or another program has it."""

    trouble: Trouble


class ScanProgressed(Event):
    """The clip that is being judged makes progress."""

    clip: Path
    progress: Progress


class ClipJudged(Event):
    """A clip is judged and its finding is in the history."""

    clip: Path
    result: ClipResult


class ClipSkipped(Event):
    """A clip is not judged: it was cancelled, or is gone."""

    clip: Path


class ReportDone(Event):
    """A batch's report was written, or could not be. `note` is for people."""

    key: str
    written: bool
    note: str


class TroublesChanged(Event):
    """What is wrong at present: heat, voltage, disk, board. Replaces the troubles before."""

    troubles: tuple[Trouble, ...]


class Ticked(Event):
    """Time has passed. Comes several times a second."""


class Reloaded(Event):
    """The settings shall be read again."""


class Terminated(Event):
    """The program shall end."""


class PowerMayGo(Event):
    """Everything is written, the power may go."""


# ---- Effects


class OpenViewfinder(Effect):
    """Open the camera and post `FrameSeen` until something else is wanted of it."""


class Record(Effect):
    """Record for `seconds`: `RecordingProgressed` now and then, `Recorded` at the end."""

    seconds: float


class CloseCamera(Effect):
    """Release the camera; an incomplete recording is deleted."""


class Scan(Effect):
    """Judge a clip: `ScanProgressed` now and then, `ClipJudged` or `ClipSkipped` at the end."""

    batch: Batch
    clip: Path


class CancelScan(Effect):
    """Cancel the running scan; `ClipSkipped` follows (or `ClipJudged`, if it was done)."""


class Finish(Effect):
    """Close a batch in the history and deliver its report. `ReportDone` follows."""

    batch: Batch
    ending: Ending


class Reload(Effect):
    """Read the settings and load the model again: `ModelReady` or `Refused` follows."""


class PowerOff(Effect):
    """Ask the system to switch itself off. `PowerMayGo` follows where there is no such system."""


class Exit(Effect):
    """End the program; all is written."""
