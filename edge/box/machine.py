"""The box as a state machine: what happens, in which phase, leads where. Pure.

`step` looks the rule up in `TABLE`, where every phase and every event meet. What is shown follows
from the state alone: see `scenes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

from edge.box import rules
from edge.box.events import (
    Brought,
    CameraFailed,
    Down,
    Event,
    Filmed,
    Found,
    Held,
    HeldLong,
    ModelReady,
    Plugged,
    Pressed,
    Progressed,
    Pulled,
    Recorded,
    Refused,
    Reloaded,
    Reported,
    Skipped,
    Standing,
    Terminated,
    Ticked,
    Unusable,
    Viewed,
)
from edge.box.scheduler import Step
from edge.box.state import RESTING, Moment, Phase, State
from edge.settings import Settings

Rule = Callable[[State, Any, Moment], Step]


def step(state: State, event: Event, now: float, settings: Settings) -> Step:
    """What follows when `event` happens at `now` (seconds, monotonic)."""
    if isinstance(event, Pressed) and asleep(state, now, settings):
        return Step(replace(state, touched=now))
    after = TABLE[type(event)][state.phase](state, event, Moment(now, settings))
    if isinstance(event, Ticked) and after.state.phase == state.phase:
        return after
    return after._replace(state=replace(after.state, touched=now))


def asleep(state: State, now: float, settings: Settings) -> bool:
    """Whether the display is dark: a press then wakes it and does nothing else."""
    return state.phase in RESTING and now - state.touched >= settings.display.sleep_after


# ---- The table


def _row(otherwise: Rule, **given: Rule) -> dict[Phase, Rule]:
    return {phase: given.get(phase.name, otherwise) for phase in Phase}


_OFF: dict[str, Rule] = {"LEAVING": rules.ignore, "HALTED": rules.ignore}

TABLE: dict[type, dict[Phase, Rule]] = {
    # The button
    Pressed: _row(
        rules.ignore,
        READY=rules.aim,
        AIMING=rules.film,
        COUNTING=rules.film,
        WORKING=rules.ask,
        WRITING=rules.ask,
        SHOWING=rules.turn,
        TROUBLED=rules.clear,
    ),
    Held: _row(
        rules.ignore,
        AIMING=rules.put_camera_away,
        COUNTING=rules.put_camera_away,
        RECORDING=rules.put_camera_away,
        WORKING=rules.cancel,
        SHOWING=rules.clear,
        TROUBLED=rules.clear,
    ),
    HeldLong: _row(rules.switch_off, **_OFF),
    # The camera
    Viewed: _row(rules.ignore, AIMING=rules.look, COUNTING=rules.keep_looking),
    Filmed: _row(rules.ignore, RECORDING=rules.fill),
    Recorded: _row(rules.throw_away, RECORDING=rules.judge_recording),
    CameraFailed: _row(
        rules.ignore,
        AIMING=rules.miss_camera,
        COUNTING=rules.miss_camera,
        RECORDING=rules.miss_camera,
    ),
    # Sticks and the inbox
    Plugged: _row(rules.plug, **_OFF),
    Brought: _row(rules.bring, READY=rules.bring_now, **_OFF),
    Unusable: _row(rules.refuse_stick, READY=rules.refuse_stick_now, **_OFF),
    Pulled: _row(
        rules.lose,
        WORKING=rules.lose_while_working,
        WRITING=rules.lose_while_writing,
        TROUBLED=rules.lose_notice,
        **_OFF,
    ),
    # Judging
    ModelReady: _row(rules.ignore, STARTING=rules.begin, REFUSED=rules.begin),
    Refused: _row(rules.refuse, **_OFF),
    Progressed: _row(rules.ignore, WORKING=rules.follow),
    Found: _row(rules.ignore, WORKING=rules.take),
    Skipped: _row(rules.ignore, WORKING=rules.pass_over),
    Reported: _row(rules.ignore, WRITING=rules.report),
    # The box
    Standing: _row(rules.note),
    Ticked: _row(
        rules.ignore,
        AIMING=rules.lose_patience,
        COUNTING=rules.count,
        SHOWING=rules.give_way,
        TROUBLED=rules.give_way,
    ),
    Reloaded: _row(
        rules.reload_later,
        **_OFF,
        READY=rules.reload,
        SHOWING=rules.reload,
        TROUBLED=rules.reload,
        REFUSED=rules.reload,
    ),
    Terminated: _row(rules.leave, HALTED=rules.end),
    Down: _row(rules.ignore, LEAVING=rules.halt),
}

assert set(TABLE) == set(get_args(Event))
