"""A box to live with: the state machine, a clock, and what it asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.box.events import (
    Batch,
    ClipJudged,
    ClipResult,
    Effect,
    Event,
    ModelReady,
    Origin,
    Pressed,
    Recorded,
    RecordingProgressed,
    Ticked,
)
from edge.box.machine import step
from edge.box.state import State, scene
from edge.box.views import Scene
from edge.box.views.camera import CameraImage
from edge.box.views.status import Trouble, TroubleKind
from edge.finding import Verdict
from edge.settings import Settings

SETTINGS = Settings()
PICTURE = CameraImage(np.zeros((72, 128), np.uint8))
HOT = Trouble(TroubleKind.TOO_HOT, "Too hot: 85 °C.", "Give it air.")
FULL = Trouble(TroubleKind.DISK_FULL, "The card is full", "Delete recordings.")
NO_CAMERA = Trouble(TroubleKind.CAMERA_MISSING, "No camera", "Check the ribbon.")
BROKEN = Trouble(TroubleKind.STICK_UNREADABLE, "The stick cannot be read.", "Format it as exFAT.")
BAD_MODEL = Trouble(TroubleKind.MODEL_REFUSED, "The model was changed", "Install it again.")


def stick(key: str, *names: str) -> Batch:
    return Batch(Origin.STICK, key, f"stick {key}", tuple(Path(key) / name for name in names))


def result(verdict: Verdict, name: str = "a.mp4") -> ClipResult:
    return ClipResult(name, verdict, 0.5, "A reason.")


class Box:
    """A box to live with: takes events, keeps the time, notes what is to be done."""

    def __init__(self, *, ready: bool = True, settings: Settings = SETTINGS) -> None:
        self.state, self.now, self.settings = State(), 0.0, settings
        self.effects: list[Effect] = []
        if ready:
            self.on(ModelReady())

    def on(self, *events: Event) -> tuple[Effect, ...]:
        """What the last of the events led to."""
        done: tuple[Effect, ...] = ()
        for event in events:
            self.state, done = step(self.state, event, self.now, self.settings)
            self.effects += done
        return done

    def wait(self, seconds: float) -> tuple[Effect, ...]:
        self.now += seconds
        return self.on(Ticked())

    def scene(self) -> Scene:
        return scene(self.state, self.now, self.settings)

    def view(self) -> object:
        return self.scene().view

    def judge(self, *verdicts: Verdict) -> tuple[Effect, ...]:
        """Every clip that is asked for is judged as said."""
        done: tuple[Effect, ...] = ()
        for verdict in verdicts:
            assert self.state.run is not None
            clip = self.state.run.clip
            self.now += 2.0
            done = self.on(ClipJudged(clip, result(verdict, clip.name)))
        return done

    def record(self) -> tuple[Effect, ...]:
        self.on(Pressed(), Pressed(), RecordingProgressed(1.0))
        return self.on(Recorded(Path("recording.mp4")))
