"""Examples for the pictures of docs/screens.md: what the program makes of clips and failures."""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gpiozero import BadPinFactory

from edge.box import events
from edge.box.events import Batch, ClipResult, Event, Origin
from edge.box.health import HealthReading, diagnose
from edge.box.panel.hardware import unknown_board
from edge.box.sources.camera import CameraStuckError
from edge.box.views.camera import CameraImage, Framing
from edge.box.views.status import Trouble, TroubleKind
from edge.errors import TruelightError
from edge.finding import Box, Face, Finding, Model, Quality, Verdict, WindowScore
from edge.scan.media.protocol import FAULTS, Fault
from edge.scan.model.bundle_info import read_bundle
from edge.scan.verdict import ClipContext, judge
from edge.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]

Story = tuple[Event | float, ...]


SETTINGS = Settings()
# The thresholds of both models together: a box has the second model too.
_BESIDE = read_bundle(ROOT / "models" / "thorough").manifest.beside
assert _BESIDE is not None
MANIFEST = read_bundle(ROOT / "models" / "truelight").manifest.model_copy(
    update={"thresholds": _BESIDE.thresholds}
)
NAMES = ("beach.mp4", "Käthes Geburtstag.mp4", "interview.mp4", "garden.mp4", "dinner.mov")
STICK = Batch(Origin.STICK, "sda1", "HOLIDAY", tuple(Path(f"{name}") for name in NAMES))


def somebody() -> CameraImage:
    """A person before a curtain, drawn: `[360, 640]`."""
    down, across = np.mgrid[0:360, 0:640].astype(np.float64)

    def within(x: float, y: float, wide: float, high: float) -> np.ndarray:
        return ((across - x) / wide) ** 2 + ((down - y) / high) ** 2 < 1

    grey = 70 + 35 * np.sin(across / 24) + down / 8
    grey[within(320, 420, 210, 160)] = 45
    grey[within(320, 290, 45, 70)] = 165
    head = within(320, 180, 82, 112)
    grey[within(320, 150, 96, 108)] = 20
    grey[head] = (215 - (across - 320) * 0.5)[head]
    grey[within(320, 60, 88, 44)] = 20
    for eye in (286, 354):
        grey[within(eye, 165, 15, 8)] = 25
        grey[within(eye, 145, 21, 5)] = 70
    grey[within(320, 200, 9, 20)] = 150
    grey[within(320, 242, 32, 8)] = 80
    return CameraImage(np.clip(grey, 0, 255).astype(np.uint8))


SEEN = somebody()
FRAMED = events.FrameSeen(SEEN, Framing.GOOD)
FILMING = (events.ModelReady(), events.Pressed())


def story(*happened: Event | float) -> Story:
    """What happens to a box; a number is time that passes, seconds."""
    return happened


def result(name: str, *probabilities: float) -> ClipResult:
    """What the shipped models' thresholds make of the probabilities of a clip's faces."""
    line = MANIFEST.calibration
    logits = [(math.log(p / (1 - p)) - line.offset) / line.scale for p in probabilities]
    faces = tuple(
        Face(
            id=number,
            first_second=0.0,
            last_second=4.0,
            frames=16,
            box=Box(x=0, y=0, width=200, height=200),
            quality=Quality(face_px=200, light=120, sharpness=100),
            counted=False,
            fake_probability=None,
            windows=(WindowScore(start=0.0, end=4.0, logit=logit, fake_probability=0.5),),
        )
        for number, logit in enumerate(logits, start=1)
    )
    finding = Finding(
        path=name,
        sha256=None,
        verdict=Verdict.UNREADABLE,
        fake_probability=None,
        reasons=(),
        faces=faces,
        model=Model(name=MANIFEST.name, version=MANIFEST.version, sha256=""),
        thresholds=MANIFEST.thresholds,
    )
    found = judge(finding, MANIFEST, ClipContext(frames=16, step=0.25))
    return ClipResult(name, found.verdict, found.fake_probability, found.reasons[0].text)


def judged(clip: ClipResult) -> Story:
    """A clip alone in the inbox, judged."""
    batch = Batch(Origin.INBOX, "inbox 1", "Inbox", (Path(clip.name),))
    judged = events.ClipJudged(batch.clips[0], clip)
    done = events.ReportDone(batch.key, True, "")
    return story(events.ModelReady(), events.ClipsArrived(batch), judged, done)


def unreadable() -> ClipResult:
    """What the decoder process answers about a broken file."""
    return ClipResult("broken.mp4", Verdict.UNREADABLE, None, FAULTS[Fault.BROKEN][0])


RESULTS = (
    result(NAMES[0], 0.03),
    result(NAMES[1], 0.02),
    result(NAMES[2], 0.02, 0.97),
    result(NAMES[3], 0.55),
    ClipResult(NAMES[4], Verdict.NO_FACE, None, result("landscape.mp4").reason),
)
STARTED = (events.ModelReady(), events.ClipsArrived(STICK))
ALL_JUDGED = tuple(events.ClipJudged(Path(one.name), one) for one in RESULTS)


@contextlib.contextmanager
def root_script() -> Iterator[None]:
    """Import what root runs for sticks, which is no part of the package."""
    sys.path.insert(0, str(ROOT / "systemd" / "stick"))
    try:
        yield
    finally:
        sys.path.pop(0)


with root_script():
    import report as root_report
    from device import Stick, UnusableError
    from mounting import mount_read_only

REPORTED = events.ReportDone(STICK.key, True, root_report.NOTES["written"])


def unusable_stick() -> Story:
    """A stick with a file system of another system."""
    nowhere = Path("/nowhere")
    try:
        mount_read_only(Stick("sda1", nowhere, nowhere, nowhere), {"TYPE": "apfs"})
    except UnusableError as failure:
        trouble = Trouble.of(TroubleKind.STICK_UNREADABLE, failure)
    return story(events.ModelReady(), events.StickUnusable("sda1", trouble))


def wrong(reading: HealthReading, *before: HealthReading) -> Story:
    """A box at rest that is not well."""
    troubles = diagnose((*before, reading), SETTINGS)
    return story(events.ModelReady(), events.TroublesChanged(troubles))


def refused(kind: TroubleKind, failure: TruelightError) -> Story:
    """A box that cannot judge."""
    trouble = Trouble.of(kind, failure)
    return story(events.Refused(trouble))


def damaged_bundle() -> Story:
    """A bundle whose manifest is empty."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("truelight").mkdir()
        Path("truelight/bundle.json").write_text("{}", encoding="utf-8")
        try:
            read_bundle(Path("truelight"))
        except TruelightError as failure:
            return refused(TroubleKind.MODEL_REFUSED, failure)
    raise AssertionError("a damaged bundle was read")


def wrong_settings() -> Story:
    """A settings file with a number that is not allowed."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        file = Path("truelight.yaml")
        file.write_text("# Pins\nlamps:\n  green: 99\n", encoding="utf-8")
        try:
            load_settings(file)
        except TruelightError as failure:
            return refused(TroubleKind.SETTINGS_WRONG, failure)
    raise AssertionError("wrong settings were read")


def camera_missing() -> Story:
    """A camera that hangs."""
    stuck = CameraStuckError()
    trouble = Trouble.of(TroubleKind.CAMERA_MISSING, stuck)
    return story(*FILMING, events.CameraFailed(trouble))


def board_unknown() -> Story:
    """Lamps and button on a board that gpiozero does not know."""
    trouble = unknown_board(BadPinFactory())
    return story(events.ModelReady(), events.TroublesChanged((trouble,)))
