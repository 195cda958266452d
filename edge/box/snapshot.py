"""The box's state as the socket sends it: screen, lamps, queue, viewfinder."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2

from edge.box.state import FILMING, Phase, Run, State, clip_fraction, clip_seconds_left
from edge.box.views import Scene, drawn
from edge.box.views.camera import CameraImage
from edge.box.views.canvas import Canvas
from edge.box.views.status import Pairing
from edge.language import LANGUAGES, speaking
from edge.settings import Settings
from edge.socket_messages import (
    BoxState,
    ClipAnswer,
    Queued,
    Screen,
    TroubleMessage,
    Working,
)

MOST_RESULTS = 100
"""Of a batch: the state is sent at every step, and a batch may have ten thousand clips."""
_JPEG_QUALITY = 70


@dataclass(frozen=True)
class Moment:
    """What the event loop knows after an event. Times are monotonic, in seconds."""

    state: State
    scene: Scene
    settings: Settings
    now: float
    view_since: float
    """When the view's subject began."""


def snapshot(moment: Moment, now: float) -> BoxState:
    """The state at `now`, seconds on the moment's clock."""
    state = moment.state
    made = BoxState(
        revision="",
        phase=state.phase.value,
        screen=_screen(moment, now),
        queue=tuple(_queue(state, now)),
        troubles=tuple(
            TroubleMessage(kind=each.kind, message=each.message, remedy=each.remedy)
            for each in state.troubles
        ),
        camera=moment.settings.camera.kind != "none",
        viewfinder=_viewfinder(state.image) if state.phase in FILMING and state.image else None,
    )
    digest = hashlib.sha256(made.model_dump_json().encode()).hexdigest()[:16]
    return made.model_copy(update={"revision": digest})


def _screen(moment: Moment, now: float) -> Screen:
    scene = moment.scene
    if isinstance(scene.view, Pairing):
        # The code is for those who stand before the box: a page that is paired need not know it.
        scene = replace(scene, view=Pairing("", ""))
    canvas = drawn(scene, now - moment.view_since, Canvas())
    file = io.BytesIO()
    canvas.image().save(file, "PNG")
    lamps = scene.view.lamps
    return Screen(
        picture=base64.b64encode(file.getvalue()).decode(),
        words=tuple(canvas.words),
        status=scene.status,
        statuses={language: _status(scene, language) for language in LANGUAGES},
        language=scene.language,
        green=lamps.green,
        red=lamps.red,
        lamps=lamps.words,
    )


def _status(scene: Scene, language: str) -> str:
    with speaking(language):
        return scene.status


def _queue(state: State, now: float) -> Iterator[Queued]:
    """The batch that is judged, then those that wait, each with the time until it is done."""
    runs = [*((state.run,) if state.run else ()), *state.waiting]
    judged = sum(run.done for run in runs)
    mean = sum(run.spent for run in runs) / judged if judged else None
    left: float | None = 0.0
    for run in runs:
        current = run is state.run
        working = _working(state, run) if current and state.phase is Phase.JUDGING else None
        rest = len(run.batch.clips) - run.done
        if current and working and rest == 1:
            own = working.seconds_left
        else:
            own = None if mean is None else mean * rest
        left = None if left is None or own is None else left + own
        yield Queued(
            key=run.batch.key,
            origin=run.batch.origin.value,
            name=run.batch.name,
            clips=len(run.batch.clips),
            judged=len(run.results),
            results=tuple(
                ClipAnswer(
                    name=one.name, verdict=one.verdict, fake_probability=one.fake_probability
                )
                for one in run.results[-MOST_RESULTS:]
            ),
            working=working,
            seconds_left=left,
        )


def _working(state: State, run: Run) -> Working | None:
    if run.over:
        return None
    return Working(
        name=run.batch.name_of(run.clip),
        number=run.done + 1,
        stage=state.progress.stage if state.progress else "opening",
        fraction=clip_fraction(state),
        seconds_left=clip_seconds_left(state),
    )


@lru_cache(maxsize=2)
def _viewfinder(image: CameraImage) -> str:
    """The frame as JPEG: in colour where the camera gives it."""
    pixels = image.pixels if image.colour is None else cv2.cvtColor(image.colour, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert encoded, "any picture can be a JPEG"
    return base64.b64encode(data.tobytes()).decode()
