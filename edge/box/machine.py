"""The box as a state machine: what happens, in which phase, leads where. Pure.

`step` finds the rule in `TABLE`, where every phase and every event meet. What is shown follows
from the state alone: see `edge.box.state`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edge.box import events, rules, web_rules
from edge.box.scheduler import Now, Step, close_camera, leave, next_clip, open_viewfinder
from edge.box.state import Phase, State, brightness
from edge.box.views import Brightness
from edge.settings import Settings

Handler = Callable[[State, Any, Now], Step]


def step(state: State, event: events.Event, now: float, settings: Settings) -> Step:
    """What follows when `event` happens at `now` (seconds, monotonic)."""
    if isinstance(event, events.Pressed) and brightness(state, now, settings) is Brightness.OFF:
        # A press on a display that is off only wakes it.
        return Step(replace(state, touched=now))
    after = TABLE[type(event)][state.phase](state, event, Now(now, settings))
    if isinstance(event, events.Ticked) and after.state.phase == state.phase:
        return after
    return after._replace(state=replace(after.state, touched=now))


# ---- The table


def _row(otherwise: Handler, **given: Handler) -> dict[Phase, Handler]:
    return {phase: given.get(phase.name, otherwise) for phase in Phase}


def _always(act: Callable[[State, Now], Step]) -> Handler:
    """A rule that does the same whatever the event carries."""
    return lambda state, _, now: act(state, now)


def _effect(effect: events.Effect) -> Handler:
    """A rule that has one effect and leaves the state."""
    return lambda state, _, __: Step(state, (effect,))


def _leave(last: events.Effect) -> Handler:
    """A rule that stops what runs, then ends it all."""
    return lambda state, _, now: leave(state, now, last)


_OFF: dict[str, Handler] = {"LEAVING": rules.ignore, "HALTED": rules.ignore}

TABLE: dict[type, dict[Phase, Handler]] = {
    # The button
    events.Pressed: _row(
        rules.ignore,
        READY=_always(open_viewfinder),
        VIEWFINDER=rules.record,
        COUNTDOWN=rules.record,
        JUDGING=rules.request_camera,
        WRITING=rules.request_camera,
        SHOWING=rules.turn_page,
        TROUBLE=rules.clear,
    ),
    events.Held: _row(
        rules.ignore,
        VIEWFINDER=_always(close_camera),
        COUNTDOWN=_always(close_camera),
        RECORDING=_always(close_camera),
        JUDGING=rules.cancel_batch,
        SHOWING=rules.clear,
        TROUBLE=rules.clear,
    ),
    events.HeldLong: _row(_leave(events.PowerOff()), **_OFF),
    # The camera
    events.FrameSeen: _row(
        rules.ignore, VIEWFINDER=rules.frame, COUNTDOWN=rules.frame_in_countdown
    ),
    events.RecordingProgressed: _row(rules.ignore, RECORDING=rules.recording_progress),
    events.Recorded: _row(rules.discard_recording, RECORDING=rules.judge_recording),
    events.CameraFailed: _row(
        rules.ignore,
        VIEWFINDER=rules.camera_failed,
        COUNTDOWN=rules.camera_failed,
        RECORDING=rules.camera_failed,
    ),
    web_rules.CameraRequested: _row(
        rules.ignore,
        READY=_always(open_viewfinder),
        SHOWING=_always(open_viewfinder),
        TROUBLE=_always(open_viewfinder),
        VIEWFINDER=rules.record,
        COUNTDOWN=rules.record,
        JUDGING=web_rules.camera_requested,
        WRITING=web_rules.camera_requested,
    ),
    # Sticks, the inbox and uploads
    events.StickPlugged: _row(rules.stick_plugged, **_OFF),
    events.ClipsArrived: _row(
        rules.clips_arrived,
        READY=rules.clips_arrived_at_rest,
        SHOWING=web_rules.clips_arrived_at_results,
        **_OFF,
    ),
    web_rules.ScanWithdrawn: _row(
        web_rules.scan_withdrawn, JUDGING=web_rules.scan_withdrawn_while_judging, **_OFF
    ),
    events.StickUnusable: _row(rules.stick_unusable, READY=rules.stick_unusable_at_rest, **_OFF),
    events.StickPulled: _row(
        rules.stick_pulled,
        JUDGING=rules.stick_pulled_while_judging,
        WRITING=rules.stick_pulled_while_writing,
        TROUBLE=rules.stick_pulled_in_trouble,
        **_OFF,
    ),
    # Judging
    events.ModelReady: _row(rules.ignore, STARTING=rules.begin, REFUSED=rules.begin),
    events.Refused: _row(rules.refuse, **_OFF),
    events.ScanProgressed: _row(rules.ignore, JUDGING=rules.scan_progress),
    events.ClipJudged: _row(rules.ignore, JUDGING=rules.clip_judged),
    events.ClipSkipped: _row(rules.ignore, JUDGING=_always(next_clip)),
    events.ReportDone: _row(rules.ignore, WRITING=rules.report_done),
    # The box
    web_rules.PairingRequested: _row(web_rules.show_pairing, **_OFF),
    events.TroublesChanged: _row(rules.troubles_changed),
    events.Ticked: _row(
        rules.ignore,
        VIEWFINDER=rules.lose_patience,
        COUNTDOWN=rules.count_down,
        SHOWING=rules.make_room,
        TROUBLE=rules.make_room,
    ),
    events.Reloaded: _row(
        _effect(events.Reload()),
        **_OFF,
        READY=rules.reload,
        SHOWING=rules.reload,
        TROUBLE=rules.reload,
        REFUSED=rules.reload,
    ),
    events.Terminated: _row(_leave(events.Exit()), HALTED=_effect(events.Exit())),
    events.PowerMayGo: _row(rules.ignore, LEAVING=rules.halt),
}

assert set(TABLE) == set(events.Event.__subclasses__())
