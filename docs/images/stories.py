"""What happens to a box, for the pictures of docs/screens.md: a story for each of its states.

Events are like those of a box at work; every sentence is made by the part of the program that
makes it on the box.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from examples import (
    ALL_JUDGED,
    FILMING,
    FRAMED,
    NAMES,
    REPORTED,
    RESULTS,
    SEEN,
    SETTINGS,
    STARTED,
    STICK,
    Story,
    board_unknown,
    camera_missing,
    damaged_bundle,
    judged,
    result,
    story,
    unreadable,
    unusable_stick,
    wrong,
    wrong_settings,
)

from edge.box import events, web_rules
from edge.box.events import Batch, Origin
from edge.box.health import HealthReading, Throttled
from edge.box.machine import step
from edge.box.sources.inbox import CROWDED
from edge.box.state import State, scene
from edge.box.views import Scene
from edge.box.views.camera import Framing
from edge.language import ENGLISH
from edge.scan.progress import Progress


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
    Row("Too hot", wrong(HealthReading(celsius=84.0)), "Improve the airflow, or add a fan."),
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
        "Inbox full",
        story(events.ModelReady(), events.TroublesChanged((CROWDED,))),
        "Take files out of the inbox.",
    ),
    Row(
        "Pairing",
        story(
            events.ModelReady(),
            web_rules.PairingRequested("2718 2818", ":".join(["A1", "B2", "C3", "D4"] * 8), 300.0),
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
