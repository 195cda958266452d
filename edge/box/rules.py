"""What each event means: the rules that the table of `edge.box.machine` names. Pure.

A rule takes the state, the event, and when it happens under which settings; it returns a step.
"""

from __future__ import annotations

from dataclasses import replace

from edge.box import events
from edge.box.recordings import recording_batch
from edge.box.scheduler import (
    Now,
    Step,
    close_camera,
    go_on,
    next_clip,
    open_viewfinder,
    pulled_notice,
    show_notice,
    show_results,
)
from edge.box.state import COUNTDOWN_SECONDS, FILMING, Notice, Phase, Run, State
from edge.box.views.camera import Framing
from edge.box.views.status import Trouble, TroubleKind
from edge.language import N_

STEADY_SECONDS = 1.0
"""A face must be well framed for this long before the countdown begins."""
LEAST_SHOWN_SECONDS = 8.0
"""A result stays at least this long before other work takes the display."""


# ---- The camera


def frame(state: State, event: events.FrameSeen, now: Now) -> Step:
    """Show the frame; begin the countdown when the face has been well framed for a while."""
    state = _with_frame(state, event, now)
    if state.good_since is not None and now.seconds - state.good_since >= STEADY_SECONDS:
        return Step(state.enter(Phase.COUNTDOWN, now.seconds))
    return Step(state)


def frame_in_countdown(state: State, event: events.FrameSeen, now: Now) -> Step:
    """Continue the countdown, unless the face is gone."""
    state = _with_frame(state, event, now)
    if event.framing is Framing.NO_FACE:
        return Step(state.enter(Phase.VIEWFINDER, now.seconds))
    return count_down(state, event, now)


def count_down(state: State, event: object, now: Now) -> Step:
    """Record when the countdown is over."""
    over = now.seconds - state.since >= COUNTDOWN_SECONDS
    return record(state, event, now) if over else Step(state)


def record(state: State, _: object, now: Now) -> Step:
    """Record now."""
    state = replace(state.enter(Phase.RECORDING, now.seconds), recorded=0.0)
    return Step(state, (events.Record(now.settings.camera.seconds),))


def lose_patience(state: State, _: object, now: Now) -> Step:
    """Close the viewfinder if nobody comes for long."""
    late = now.seconds - state.since >= now.settings.camera.patience
    return close_camera(state, now) if late else Step(state)


def recording_progress(state: State, event: events.RecordingProgressed, _: Now) -> Step:
    """Note how much is recorded."""
    return Step(replace(state, recorded=event.fraction))


def judge_recording(state: State, event: events.Recorded, now: Now) -> Step:
    """Judge the recording before everything that waits."""
    run = Run(recording_batch(event.clip))
    return close_camera(replace(state, waiting=(run, *state.waiting)), now)


def discard_recording(state: State, event: events.Recorded, _: Now) -> Step:
    """Delete a recording that came after it was cancelled."""
    batch = recording_batch(event.clip)
    return Step(state, (events.Finish(batch, events.Ending.CANCELLED),))


def camera_failed(state: State, event: events.CameraFailed, now: Now) -> Step:
    """Show what is wrong with the camera."""
    return Step(show_notice(state, Notice(event.trouble), now), (events.CloseCamera(),))


def _with_frame(state: State, event: events.FrameSeen, now: Now) -> State:
    since = now.seconds if state.good_since is None else state.good_since
    good_since = since if event.framing is Framing.GOOD else None
    return replace(state, image=event.image, framing=event.framing, good_since=good_since)


# ---- Sticks and the inbox


def stick_plugged(state: State, event: events.StickPlugged, _: Now) -> Step:
    """A stick is being searched."""
    return Step(replace(state, listing=(*state.listing, (event.key, event.name))))


def clips_arrived(state: State, event: events.ClipsArrived, _: Now) -> Step:
    """The clips wait for their turn."""
    waiting = (*state.waiting, Run(event.batch))
    return Step(replace(_listed(state, event.batch.key), waiting=waiting))


def clips_arrived_at_rest(state: State, event: events.ClipsArrived, now: Now) -> Step:
    """Clips came while nothing runs."""
    return go_on(clips_arrived(state, event, now).state, now)


def stick_unusable(state: State, event: events.StickUnusable, _: Now) -> Step:
    """A stick cannot be read; the notice waits for its turn."""
    notice = Notice(event.trouble, event.key)
    return Step(replace(_listed(state, event.key), pending=(*state.pending, notice)))


def stick_unusable_at_rest(state: State, event: events.StickUnusable, now: Now) -> Step:
    """A stick cannot be read, and nothing else runs."""
    return go_on(stick_unusable(state, event, now).state, now)


def stick_pulled(state: State, event: events.StickPulled, _: Now) -> Step:
    """Its waiting clips are over, and notices about it go with it."""
    key, shown = event.key, state.shown
    lost = [run for run in state.waiting if run.batch.key == key]
    notices = tuple(notice for notice in state.pending if notice.key != key)
    if shown and shown.batch.key == key:
        shown = replace(shown, note=N_("Stick removed."))  # instead of "Safe to remove."
    state = replace(
        _listed(state, key),
        waiting=tuple(run for run in state.waiting if run.batch.key != key),
        pending=(*notices, *(pulled_notice(run) for run in lost)),
        shown=shown,
    )
    return Step(state, tuple(events.Finish(run.batch, events.Ending.PULLED) for run in lost))


def stick_pulled_while_judging(state: State, event: events.StickPulled, now: Now) -> Step:
    """Cancel the scan if it is that stick's clip."""
    if state.run is None or state.run.batch.key != event.key:
        return stick_pulled(state, event, now)
    run = replace(state.run, ending=events.Ending.PULLED)
    return Step(replace(state, run=run), (events.CancelScan(),))


def stick_pulled_while_writing(state: State, event: events.StickPulled, now: Now) -> Step:
    """The report may have been meant for that stick."""
    if state.run is None or state.run.batch.key != event.key:
        return stick_pulled(state, event, now)
    pending = (*state.pending, pulled_notice(state.run))
    return go_on(replace(state, run=None, pending=pending), now)


def stick_pulled_in_trouble(state: State, event: events.StickPulled, now: Now) -> Step:
    """The trouble on the display may be about that stick."""
    after = stick_pulled(state, event, now)
    if state.notice and state.notice.key == event.key:
        return go_on(replace(after.state, notice=None), now).after(*after.effects)
    return after


def _listed(state: State, key: str) -> State:
    """A stick is no longer being searched."""
    return replace(state, listing=tuple(one for one in state.listing if one[0] != key))


# ---- Judging


def scan_progress(state: State, event: events.ScanProgressed, _: Now) -> Step:
    """Note the progress."""
    return Step(replace(state, progress=event.progress))


def clip_judged(state: State, event: events.ClipJudged, now: Now) -> Step:
    """Keep the result; go on with the next clip, of another batch if one waits."""
    assert state.run is not None
    run = replace(state.run, results=(*state.run.results, event.result))
    return next_clip(replace(state, run=run), now)


def cancel_batch(state: State, _: events.Held, now: Now) -> Step:
    """Cancel the batch that is being judged."""
    assert state.run is not None
    if state.run.ending:
        return Step(state)
    run = replace(state.run, ending=events.Ending.CANCELLED)
    return Step(replace(state, run=run), (events.CancelScan(),))


def request_camera(state: State, _: events.Pressed, now: Now) -> Step:
    """The camera goes next; a second press takes that back."""
    wanted = not state.camera_next and now.settings.camera.kind != "none"
    return Step(replace(state, camera_next=wanted))


def report_done(state: State, event: events.ReportDone, now: Now) -> Step:
    """Show the results."""
    run = state.run
    if run is None or run.batch.key != event.key:
        return Step(state)
    state = replace(state, run=None)
    if not run.batch.clips:
        skipped = run.batch.skipped.summary()
        message = N_("Nothing judged on {stick}.") if skipped else N_("No clips on {stick}.")
        message = message.format(stick=run.batch.name)
        note = f"{skipped} {event.note}".strip()
        nothing = Trouble(TroubleKind.NOTHING_TO_SCAN, message, note)
        return Step(show_notice(state, Notice(nothing, run.batch.key), now))
    return Step(show_results(state, replace(run, note=event.note), now))


# ---- What is shown


def turn_page(state: State, _: events.Pressed, now: Now) -> Step:
    """Show the next of several results; after a single one, the camera."""
    assert state.shown is not None
    if len(state.shown.results) < 2:
        return open_viewfinder(state, now)
    pages = len(state.shown.results) + 1
    return Step(replace(state, page=(state.page + 1) % pages, since=now.seconds))


def clear(state: State, _: object, now: Now) -> Step:
    """Take away what is shown."""
    return go_on(replace(state, shown=None, notice=None), now)


def make_room(state: State, event: events.Ticked, now: Now) -> Step:
    """What was shown long enough makes room for what waits."""
    waits = state.waiting or state.pending or state.listing or state.camera_next
    if waits and now.seconds - state.since >= LEAST_SHOWN_SECONDS:
        return clear(state, event, now)
    return Step(state)


# ---- The whole box


def ignore(state: State, _: object, __: Now) -> Step:
    """No effect in this phase."""
    return Step(state)


def begin(state: State, _: events.ModelReady, now: Now) -> Step:
    """Clips can be judged: go on with what came meanwhile."""
    return go_on(replace(state, notice=None), now)


def refuse(state: State, event: events.Refused, now: Now) -> Step:
    """Nothing can be judged; what was under way waits."""
    waiting = (state.run, *state.waiting) if state.run else state.waiting
    effects = (events.CloseCamera(),) if state.phase in FILMING else ()
    state = replace(state, run=None, waiting=waiting, notice=Notice(event.trouble), shown=None)
    return Step(state.enter(Phase.REFUSED, now.seconds), effects)


def reload(state: State, _: events.Reloaded, now: Now) -> Step:
    """Start again with other settings; what waits goes on waiting."""
    state = replace(state, shown=None, notice=None).enter(Phase.STARTING, now.seconds)
    return Step(state, (events.Reload(),))


def troubles_changed(state: State, event: events.TroublesChanged, _: Now) -> Step:
    """Note what is wrong at present."""
    return Step(replace(state, troubles=event.troubles))


def halt(state: State, _: events.PowerMayGo, now: Now) -> Step:
    """The plug may be pulled."""
    return Step(state.enter(Phase.HALTED, now.seconds))
