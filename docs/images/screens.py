"""Draws docs/images/screens/*.png, the same in de/, and docs/screens.md: what the box shows.

Every screen comes from the state machine, after events like those of a box at work; every sentence
on it is made by the part of the program that makes it on the box.

.venv/bin/python docs/images/screens.py
"""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from gpiozero import BadPinFactory
from PIL import Image

from edge.box import events, web_events
from edge.box.events import Batch, ClipResult, Event, Origin
from edge.box.health import HealthReading, Throttled, diagnose
from edge.box.machine import step
from edge.box.panel.hardware import unknown_board
from edge.box.sources.camera import CameraStuckError
from edge.box.state import State, scene
from edge.box.views import Scene, draw, drawn
from edge.box.views.camera import CameraImage, Framing
from edge.box.views.canvas import Canvas
from edge.box.views.status import Trouble, TroubleKind
from edge.errors import TruelightError
from edge.finding import Box, Face, Finding, Model, Quality, Verdict, WindowScore
from edge.language import ENGLISH
from edge.scan.media.protocol import FAULTS, Fault
from edge.scan.model.bundle_info import read_bundle
from edge.scan.progress import Progress
from edge.scan.verdict import ClipContext, judge
from edge.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "images" / "screens"
TABLE = ROOT / "docs" / "screens.md"
GERMAN = "de"
BEGIN, END = "<!-- screens -->", "<!-- /screens -->"

ZOOM, BEZEL = 4, 16
DARK, LIGHT = (9, 14, 20), (190, 232, 255)


Story = tuple[Event | float, ...]


class Row(NamedTuple):
    """A line of the table: a state with its name, an example of it, and what to do."""

    state: str
    story: Story
    todo: str

    @property
    def file(self) -> str:
        """Its image's name."""
        return self.state.lower().replace(" ", "-") + ".png"

    @property
    def scene(self) -> Scene:
        """What a box shows after all this."""
        return self.in_language(ENGLISH)

    def in_language(self, language: str) -> Scene:
        """The same in another language."""
        settings = SETTINGS.changed("here", {"language.display": language})
        state, now = State(), 0.0
        for event in self.story:
            if isinstance(event, float):
                now += event
            else:
                state, _ = step(state, event, now, settings)
        return scene(state, now, settings)


# ---- What happens to a box

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


PROGRESS = events.ScanProgressed(Path(NAMES[2]), Progress("looking", 34, 100))
NOT_PROOF = "Press for the next. A verdict is a measurement, not proof."
ROWS = (
    Row("Starting", story(), "Wait: the model is loaded and checked."),
    Row(
        "Ready",
        story(events.ModelReady()),
        "Press the button to film a face, plug in a stick, or drop files.",
    ),
    Row(
        "Viewfinder",
        story(*FILMING, events.FrameSeen(SEEN, Framing.CLOSER)),
        "Follow the hint; press to record at once.",
    ),
    Row(
        "Countdown",
        story(*FILMING, FRAMED, 1.0, FRAMED),
        "Hold still: the recording is about to begin.",
    ),
    Row(
        "Recording",
        story(*FILMING, events.Pressed(), events.RecordingProgressed(0.4)),
        "Look at the camera. Hold 2 s to cancel.",
    ),
    Row(
        "Searching a stick",
        story(events.ModelReady(), events.StickPlugged("sda1", STICK.name)),
        "Leave the stick in.",
    ),
    Row(
        "Judging",
        story(*STARTED, 20.0, *ALL_JUDGED[:2], 10.0, PROGRESS, events.Pressed()),
        "Wait. A press puts the camera next; hold 2 s to stop.",
    ),
    Row("Writing the report", story(*STARTED, *ALL_JUDGED), "Leave the stick in."),
    Row("Real", judged(RESULTS[0]), NOT_PROOF),
    Row(
        "Fake",
        story(*STARTED, *ALL_JUDGED, REPORTED, *(3 * [events.Pressed()])),
        NOT_PROOF,
    ),
    Row("Unsure", judged(RESULTS[3]), "Film again, closer and with more light."),
    Row("No face", judged(result("landscape.mp4")), "Only faces are judged."),
    Row("Unreadable", judged(unreadable()), "Copy the file again, or save it as MP4."),
    Row(
        "Summary",
        story(*STARTED, *ALL_JUDGED, REPORTED),
        "Press to step through the results. The lamps show the worst.",
    ),
    Row(
        "Stopped",
        story(*STARTED, events.Held(), events.ClipSkipped(Path(NAMES[0])), REPORTED),
        "Press to go on.",
    ),
    Row(
        "Nothing to scan",
        story(
            events.ModelReady(),
            events.ClipsArrived(Batch(Origin.STICK, "sda1", "HOLIDAY", ())),
            REPORTED,
        ),
        "Put clips on the stick.",
    ),
    Row("Stick not readable", unusable_stick(), "Try another stick, or format this one as exFAT."),
    Row(
        "Stick pulled out too early",
        story(*STARTED, ALL_JUDGED[0], events.StickPulled("sda1"), ALL_JUDGED[1]),
        "Plug it in again and wait for “Safe to remove”.",
    ),
    Row(
        "Camera missing",
        camera_missing(),
        "Check the camera's cable, end other programs that use it.",
    ),
    Row("Too hot", wrong(HealthReading(celsius=84.0)), "Give it air, or a fan."),
    Row(
        "Under-voltage",
        wrong(HealthReading(throttled=Throttled.UNDER_VOLTAGE)),
        "Use the Pi's own supply and cable.",
    ),
    Row(
        "Disk full",
        wrong(HealthReading(free_megabytes=180)),
        "Delete recordings, or use a larger card.",
    ),
    Row("Model refused", damaged_bundle(), "Run `setup.sh install` again."),
    Row(
        "Settings wrong",
        wrong_settings(),
        "Correct the line; `truelight config check` names every mistake.",
    ),
    Row(
        "Board not known",
        board_unknown(),
        "Sticks and files are judged all the same. Run `sudo truelight doctor`.",
    ),
    Row(
        "Pairing",
        story(
            events.ModelReady(),
            web_events.PairingRequested("2718 2818", ":".join(["A1", "B2", "C3", "D4"] * 8), 300.0),
        ),
        "Type the code on the page; compare the certificate there.",
    ),
    Row("Shutting down", story(events.ModelReady(), events.HeldLong()), "Leave the plug in."),
    Row(
        "Halted",
        story(events.ModelReady(), events.HeldLong(), events.PowerMayGo()),
        "Pull the plug.",
    ),
)


# ---- Drawing


def picture(shown: Scene) -> Image.Image:
    """The screen as an OLED shows it: enlarged, each point by itself, on black glass."""
    points = np.asarray(draw(shown, 0.0), np.bool_)
    one = np.zeros((ZOOM, ZOOM), np.bool_)
    one[: ZOOM - 1, : ZOOM - 1] = True
    glass = np.pad(np.kron(points, one), BEZEL)
    image = Image.fromarray(glass.astype(np.uint8), "P")
    image.putpalette([*DARK, *LIGHT])
    return image


def table() -> str:
    """The table in Markdown."""
    lines = ["| state | screen | in German | lamps | what to do |", f"|{' --- |' * 5}"]
    for row in ROWS:
        images = f"{_image(row, ENGLISH)} | {_image(row, GERMAN)}"
        lines.append(f"| {row.state} | {images} | {row.scene.view.lamps.words} | {row.todo} |")
    return "\n".join(lines)


def _image(row: Row, language: str) -> str:
    words = " / ".join(drawn(row.in_language(language), 0.0, Canvas()).words).replace('"', "'")
    folder = "images/screens" if language == ENGLISH else f"images/screens/{language}"
    return f'<img src="{folder}/{row.file}" width="272" alt="{words}">'


def with_table(text: str) -> str:
    """docs/screens.md with the table in its place."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> None:
    """Draw, write."""
    for language, folder in ((ENGLISH, FOLDER), (GERMAN, FOLDER / GERMAN)):
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.png"):
            old.unlink()
        for row in ROWS:
            picture(row.in_language(language)).save(folder / row.file, optimize=True, bits=1)
    TABLE.write_text(with_table(TABLE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
