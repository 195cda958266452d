"""The state of the box, one immutable value, and what is shown in it. Pure.

No rule decides what is shown: `scene` derives it from the state and the time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from pathlib import Path

from edge.box.events import Batch, ClipResult, Ending, Origin
from edge.box.views import Brightness, Scene, View
from edge.box.views.camera import CameraImage, Framing, Recording, Viewfinder
from edge.box.views.clips import (
    BatchSummary,
    ClipVerdict,
    Judging,
    StickListing,
    Stopped,
    WritingReport,
)
from edge.box.views.status import Halted, Pairing, Ready, ShuttingDown, Starting, Trouble
from edge.language import _, speaking, translated
from edge.scan.progress import Progress
from edge.settings import Settings

COUNTDOWN_SECONDS = 3.0


class Phase(StrEnum):
    """What the box does."""

    STARTING = "starting"
    READY = "ready"
    VIEWFINDER = "viewfinder"
    COUNTDOWN = "countdown"
    RECORDING = "recording"
    JUDGING = "judging"
    WRITING = "writing"
    SHOWING = "showing"
    TROUBLE = "trouble"
    REFUSED = "refused"
    LEAVING = "leaving"
    HALTED = "halted"


RESTING = frozenset({Phase.READY, Phase.SHOWING, Phase.TROUBLE, Phase.REFUSED})
"""Phases in which nothing runs: the display may dim and sleep."""

FILMING = frozenset({Phase.VIEWFINDER, Phase.COUNTDOWN, Phase.RECORDING})
"""Phases in which the camera is open."""


@dataclass(frozen=True)
class Run:
    """A batch and its progress. `spent`: seconds that its clips took so far."""

    batch: Batch
    done: int = 0
    results: tuple[ClipResult, ...] = ()
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
class PairingCode:
    """The code of a device that wants to be paired, shown `until` then; see `PairingRequested`."""

    code: str
    fingerprint: str
    until: float


@dataclass(frozen=True)
class State:
    """Everything the state machine knows. Times are those of `time.monotonic`, in seconds."""

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
    camera_next: bool = False
    """Someone wants the camera as soon as the running clip is judged."""
    listing: tuple[tuple[str, str], ...] = ()
    """Sticks that are being searched for clips: keys and names."""
    image: CameraImage | None = None
    framing: Framing = Framing.NO_FACE
    good_since: float | None = None
    recorded: float = 0.0
    """How much of the recording is made, 0 to 1."""
    shown: Run | None = None
    page: int = 0
    """Which of the shown results: 0 is the summary."""
    notice: Notice | None = None
    pending: tuple[Notice, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    """What is wrong at present: shown at rest, marked at work."""
    sticks: bool = True
    """Whether anything mounts sticks."""
    pairing: PairingCode | None = None

    def enter(self, phase: Phase, now: float) -> State:
        """The same in another phase, which begins now."""
        return replace(self, phase=phase, since=now)


# ---- What is shown


def scene(state: State, now: float, settings: Settings) -> Scene:
    """What people see now (`now` in seconds, monotonic)."""
    language = settings.language.display
    with speaking(language):
        shown = view(state, now, settings)
    marks = [str(trouble.kind) for trouble in state.troubles if trouble is not shown]
    if settings.camera.kind == "file":
        marks.append("simulated-camera")
    if settings.panel.kind == "none":
        marks.append("simulated-panel")
    return Scene(shown, tuple(marks), brightness(state, now, settings), language)


def brightness(state: State, now: float, settings: Settings) -> Brightness:
    """Full while anything runs; afterwards the display dims, then sleeps."""
    idle = now - state.touched if state.phase in RESTING else 0.0
    if idle >= settings.display.sleep_after:
        return Brightness.OFF
    return Brightness.DIM if idle >= settings.display.dim_after else Brightness.FULL


def view(state: State, now: float, settings: Settings) -> View:  # noqa: PLR0911
    """The view of a phase; a code to be read off goes first, except before the camera."""
    pairing = state.pairing
    if pairing and now < pairing.until and state.phase in (*RESTING, Phase.JUDGING, Phase.WRITING):
        return Pairing(pairing.code, pairing.fingerprint)
    match state.phase:
        case Phase.STARTING:
            return Starting()
        case Phase.READY:
            return _ready(state, settings)
        case Phase.VIEWFINDER:
            return Viewfinder(state.image, state.framing)
        case Phase.COUNTDOWN:
            left = COUNTDOWN_SECONDS - (now - state.since)
            return Viewfinder(state.image, state.framing, countdown=max(1, ceil(left)))
        case Phase.RECORDING:
            return Recording(state.recorded, (1 - state.recorded) * settings.camera.seconds)
        case Phase.JUDGING | Phase.WRITING:
            return _judging(state, now)
        case Phase.SHOWING:
            return _result(state)
        case Phase.TROUBLE | Phase.REFUSED:
            assert state.notice is not None
            return state.notice.trouble
        case Phase.LEAVING:
            return ShuttingDown()
        case Phase.HALTED:
            return Halted()


def _ready(state: State, settings: Settings) -> View:
    if state.listing:
        return StickListing(state.listing[0][1])
    if state.troubles:
        return state.troubles[0]
    return Ready(camera=settings.camera.kind != "none", sticks=state.sticks)


def _judging(state: State, now: float) -> View:
    run = state.run
    assert run is not None
    if state.phase is Phase.WRITING and run.batch.origin is Origin.STICK:
        return WritingReport(run.batch.name)
    of = len(run.batch.clips)
    clip = run.batch.clips[min(run.done, of - 1)] if of else None
    fraction = 1.0 if state.phase is Phase.WRITING else clip_fraction(state)
    is_camera = run.batch.origin is Origin.CAMERA
    return Judging(
        name=run.batch.name_of(clip) if clip and not is_camera else "",
        number=min(run.done + 1, of),
        of=of,
        fraction=fraction,
        seconds_left=None if state.phase is Phase.WRITING else _seconds_left(state, run, now),
        source=_source(run.batch),
        camera_next=state.camera_next,
        cancelling=run.ending is Ending.CANCELLED,
        so_far=state.progress.fake_probability if state.progress else None,
    )


def clip_fraction(state: State) -> float:
    """How much of the running clip is judged."""
    return state.progress.fraction if state.progress else 0.0


def clip_seconds_left(state: State) -> float | None:
    """Of the running clip; None while it is not known."""
    return state.progress.seconds_left if state.progress else None


def _seconds_left(state: State, run: Run, now: float) -> float | None:
    """Of the whole batch, at the speed of its clips so far."""
    rest = len(run.batch.clips) - run.done
    fraction = clip_fraction(state)
    judged = run.done + fraction
    if rest == 1 and state.progress:
        return clip_seconds_left(state)
    if not judged:
        return None
    return (run.spent + now - state.clip_since) / judged * (rest - fraction)


def _result(state: State) -> View:
    """The summary, or one of the results."""
    run = state.shown
    assert run is not None
    results, of = run.results, len(run.results)
    if not results:
        return Stopped(translated(run.note))
    if state.page == 0 and (of > 1 or run.ending is not None):
        counts = Counter(one.verdict for one in results)
        skipped = len(run.batch.clips) - of + run.batch.skipped.total
        name = _source(run.batch) if run.batch.origin is Origin.INBOX else run.batch.name
        return BatchSummary(name, counts, skipped, _note(run))
    one = results[max(0, state.page - 1)]
    is_camera = run.batch.origin is Origin.CAMERA
    return ClipVerdict(
        verdict=one.verdict,
        fake_probability=one.fake_probability,
        name="" if is_camera else one.name,
        reason=one.reason,
        number=max(1, state.page),
        of=of,
        source=_source(run.batch),
        note=_note(run),
    )


def _note(run: Run) -> str:
    """Where the report is, and what was not judged."""
    return f"{translated(run.note)} {run.batch.skipped.summary()}".strip()


def _source(batch: Batch) -> str:
    """Where a batch came from; empty for the camera."""
    match batch.origin:
        case Origin.WEB:
            return _("Upload")
        case Origin.INBOX:
            return _("Inbox")
        case Origin.CAMERA:
            return ""
    return batch.name
