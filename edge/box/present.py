"""What is shown in a state: a function of the state and the time. Pure."""

from __future__ import annotations

from math import ceil

from edge.box.events import Ending, Origin
from edge.box.rules import COUNTDOWN_SECONDS
from edge.box.state import RESTING, Phase, Run, State
from edge.box.views import (
    Aiming,
    Brightness,
    Halted,
    Judged,
    Reading,
    Ready,
    Recording,
    Scene,
    ShuttingDown,
    Starting,
    Stopped,
    Summary,
    Trouble,
    View,
    Working,
    Writing,
)
from edge.finding import Verdict
from edge.settings import Settings


def scene(state: State, now: float, settings: Settings) -> Scene:
    """What people see now (`now` in seconds, monotonic)."""
    shown = view(state, now, settings)
    marks = tuple(one.kind for one in state.standing if one is not shown)
    return Scene(shown, marks, brightness(state, now, settings))


def brightness(state: State, now: float, settings: Settings) -> Brightness:
    """Full while anything runs; afterwards the display dims, then sleeps."""
    idle = now - state.touched if state.phase in RESTING else 0.0
    if idle >= settings.display.sleep_after:
        return Brightness.OFF
    return Brightness.DIM if idle >= settings.display.dim_after else Brightness.FULL


def view(state: State, now: float, settings: Settings) -> View:  # noqa: PLR0911
    """The view of a phase."""
    match state.phase:
        case Phase.STARTING:
            return Starting()
        case Phase.READY:
            return _ready(state, settings)
        case Phase.AIMING:
            return Aiming(state.picture, state.aim)
        case Phase.COUNTING:
            left = COUNTDOWN_SECONDS - (now - state.since)
            return Aiming(state.picture, state.aim, countdown=max(1, ceil(left)))
        case Phase.RECORDING:
            return Recording(state.filmed, (1 - state.filmed) * settings.camera.seconds)
        case Phase.WORKING | Phase.WRITING:
            return _working(state, now)
        case Phase.SHOWING:
            return _outcome(state)
        case Phase.TROUBLED | Phase.REFUSED:
            assert state.notice is not None
            return state.notice.trouble
        case Phase.LEAVING:
            return ShuttingDown()
        case Phase.HALTED:
            return Halted()


def _ready(state: State, settings: Settings) -> View:
    if state.reading:
        return Reading(state.reading[0][1])
    if state.standing:
        return state.standing[0]
    return Ready(camera=settings.camera.kind != "none", sticks=state.sticks)


def _working(state: State, now: float) -> View:
    run = state.run
    assert run is not None
    if state.phase is Phase.WRITING and run.batch.origin is Origin.STICK:
        return Writing(run.batch.name)
    of = len(run.batch.clips)
    clip = run.batch.clips[min(run.done, of - 1)] if of else None
    fraction = 1.0 if state.phase is Phase.WRITING else _fraction(state)
    return Working(
        name=clip.name if clip and run.batch.origin is not Origin.CAMERA else "",
        number=min(run.done + 1, of),
        of=of,
        fraction=fraction,
        seconds_left=None if state.phase is Phase.WRITING else _seconds_left(state, run, now),
        source="" if run.batch.origin is Origin.CAMERA else run.batch.name,
        camera_next=state.asked,
        cancelling=run.ending is Ending.CANCELLED,
    )


def _fraction(state: State) -> float:
    """How much of the running clip has been looked at."""
    progress = state.progress
    if progress is None or not progress.frames_expected:
        return 0.0
    return min(1.0, progress.frames_done / progress.frames_expected)


def _seconds_left(state: State, run: Run, now: float) -> float | None:
    """Of the whole batch: as fast as its clips were until now."""
    rest = len(run.batch.clips) - run.done
    fraction = _fraction(state)
    judged = run.done + fraction
    if rest == 1 and state.progress:
        return state.progress.seconds_left
    if not judged:
        return None
    return (run.spent + now - state.clip_since) / judged * (rest - fraction)


def _outcome(state: State) -> View:
    """The summary, or one of the results."""
    run = state.shown
    assert run is not None
    outcomes, of = run.outcomes, len(run.outcomes)
    if not outcomes:
        return Stopped(run.note)
    single = of == 1 and run.ending is None
    if state.page == 0 and not single:
        return _summary(run)
    one = outcomes[max(0, state.page - 1)]
    camera = run.batch.origin is Origin.CAMERA
    return Judged(
        verdict=one.verdict,
        fake_probability=one.fake_probability,
        name="" if camera else one.name,
        reason=one.reason,
        number=max(1, state.page),
        of=of,
        source="" if camera else run.batch.name,
        note=run.note,
    )


def _summary(run: Run) -> Summary:
    verdicts = [one.verdict for one in run.outcomes]
    return Summary(
        name=run.batch.name,
        real=verdicts.count(Verdict.REAL),
        fake=verdicts.count(Verdict.FAKE),
        unsure=verdicts.count(Verdict.UNSURE),
        no_face=verdicts.count(Verdict.NO_FACE),
        unreadable=verdicts.count(Verdict.UNREADABLE),
        skipped=len(run.batch.clips) - len(verdicts),
        note=run.note,
    )


_PLAIN = {
    Starting: "Starting",
    Ready: "Ready",
    Aiming: "The viewfinder is open",
    Recording: "Recording",
    Stopped: "Cancelled",
    Summary: "All clips are judged",
    ShuttingDown: "Ending",
    Halted: "Ended: the power may go",
}


def status(scene: Scene) -> str:
    """The line for a scene; it stays the same while the same thing goes on."""
    marks = f" ({', '.join(scene.marks)})" if scene.marks else ""
    return _line(scene.view) + marks


def _line(view: View) -> str:
    match view:
        case Working():
            name = view.name or "a recording"
            place = f"{view.number} of {view.of}: " if view.of > 1 else ""
            return f"Judging {place}{name}"
        case Reading():
            return f"Reading {view.name}"
        case Writing():
            return f"Writing the report on {view.name}"
        case Judged():
            return f"{view.verdict}: {view.name or 'the recording'}"
        case Trouble():
            return f"{view.message.rstrip('.')}. {view.remedy}"
    return _PLAIN[type(view)]
