"""What each event means: the rules that the appliance's table names. Pure.

A rule takes the state, the event and the moment; it gives the next state and what is to be done.
"""

from __future__ import annotations

from dataclasses import replace

from edge.box.events import (
    Brought,
    CameraFailed,
    CancelScan,
    CloseCamera,
    Down,
    Ending,
    Exit,
    Filmed,
    Finish,
    Found,
    Held,
    HeldLong,
    ModelReady,
    Plugged,
    PowerOff,
    Pressed,
    Progressed,
    Pulled,
    Record,
    Recorded,
    Refused,
    Reload,
    Reloaded,
    Reported,
    Skipped,
    Standing,
    Terminated,
    Ticked,
    Unusable,
    Viewed,
)
from edge.box.scheduler import (
    Step,
    done_reading,
    film_someone,
    go_on,
    having_first,
    leave_with,
    noticed,
    pulled_out,
    recording,
    showing,
    taken_out,
    turn_over,
)
from edge.box.state import FILMING, Moment, Notice, Phase, Run, State
from edge.box.views import Aim, Kind, Trouble

STEADY_SECONDS = 1.0
"""A face must look good for this long before the countdown begins."""
COUNTDOWN_SECONDS = 3.0
LEAST_SHOWN_SECONDS = 8.0
"""A result stands at least this long before other work takes the display."""


# ---- The camera


def aim(state: State, _: object, at: Moment) -> Step:
    """Open the viewfinder."""
    return film_someone(state, at)


def look(state: State, event: Viewed, at: Moment) -> Step:
    """Show what the viewfinder sees; begin to count when it has been good for a while."""
    state = _seen(state, event, at)
    if state.good_since is not None and at.now - state.good_since >= STEADY_SECONDS:
        return Step(state.enter(Phase.COUNTING, at.now))
    return Step(state)


def keep_looking(state: State, event: Viewed, at: Moment) -> Step:
    """Go on counting, unless the face is gone."""
    state = _seen(state, event, at)
    if event.aim is Aim.NOBODY:
        return Step(state.enter(Phase.AIMING, at.now))
    return count(state, event, at)


def count(state: State, _: object, at: Moment) -> Step:
    """Record when the countdown is over."""
    over = at.now - state.since >= COUNTDOWN_SECONDS
    return film(state, _, at) if over else Step(state)


def film(state: State, _: object, at: Moment) -> Step:
    """Record now."""
    state = replace(state.enter(Phase.RECORDING, at.now), filmed=0.0)
    return Step(state, (Record(at.settings.camera.seconds),))


def lose_patience(state: State, _: object, at: Moment) -> Step:
    """Close the viewfinder if nobody is to be seen for long."""
    late = at.now - state.since >= at.settings.camera.patience
    return put_camera_away(state, _, at) if late else Step(state)


def put_camera_away(state: State, _: object, at: Moment) -> Step:
    """Leave the camera and go on with what waits."""
    return having_first(go_on(state, at), CloseCamera())


def fill(state: State, event: Filmed, _: Moment) -> Step:
    """Note how much is recorded."""
    return Step(replace(state, filmed=event.fraction))


def judge_recording(state: State, event: Recorded, at: Moment) -> Step:
    """The recording goes before all that waits."""
    state = replace(state, waiting=(Run(recording(event)), *state.waiting))
    return having_first(go_on(state, at), CloseCamera())


def throw_away(state: State, event: Recorded, _: Moment) -> Step:
    """A recording that came after it was cancelled."""
    return Step(state, (Finish(recording(event), Ending.CANCELLED),))


def miss_camera(state: State, event: CameraFailed, at: Moment) -> Step:
    """Name what is wrong with the camera."""
    return Step(noticed(state, Notice(event.trouble), at), (CloseCamera(),))


def _seen(state: State, event: Viewed, at: Moment) -> State:
    since = at.now if state.good_since is None else state.good_since
    good_since = since if event.aim is Aim.GOOD else None
    return replace(state, picture=event.picture, aim=event.aim, good_since=good_since)


# ---- Sticks and the inbox


def plug(state: State, event: Plugged, _: Moment) -> Step:
    """A stick is being looked through."""
    return Step(replace(state, reading=(*state.reading, (event.key, event.name))))


def bring(state: State, event: Brought, _: Moment) -> Step:
    """Clips wait until it is their turn."""
    run = Run(event.batch)
    return Step(replace(done_reading(state, event.batch.key), waiting=(*state.waiting, run)))


def bring_now(state: State, event: Brought, at: Moment) -> Step:
    """Clips came while nothing runs."""
    return go_on(bring(state, event, at).state, at)


def refuse_stick(state: State, event: Unusable, _: Moment) -> Step:
    """A stick cannot be read; that is said when its turn comes."""
    notice = Notice(event.trouble, event.key)
    return Step(replace(done_reading(state, event.key), pending=(*state.pending, notice)))


def refuse_stick_now(state: State, event: Unusable, at: Moment) -> Step:
    """A stick cannot be read, and nothing else runs."""
    return go_on(refuse_stick(state, event, at).state, at)


def lose(state: State, event: Pulled, _: Moment) -> Step:
    """A stick is gone: what of it waits is over, what was said of it goes with it."""
    key = event.key
    lost = [run for run in state.waiting if run.batch.key == key]
    notices = tuple(notice for notice in state.pending if notice.key != key)
    state = replace(
        done_reading(state, key),
        waiting=tuple(run for run in state.waiting if run.batch.key != key),
        pending=(*notices, *(pulled_out(run) for run in lost)),
        shown=taken_out(state.shown, key),
    )
    return Step(state, tuple(Finish(run.batch, Ending.PULLED) for run in lost))


def lose_while_working(state: State, event: Pulled, at: Moment) -> Step:
    """A stick is gone, perhaps with the clip that is being judged."""
    if state.run is None or state.run.batch.key != event.key:
        return lose(state, event, at)
    return Step(replace(state, run=replace(state.run, ending=Ending.PULLED)), (CancelScan(),))


def lose_while_writing(state: State, event: Pulled, at: Moment) -> Step:
    """A stick is gone, perhaps the one that the report was meant for."""
    if state.run is None or state.run.batch.key != event.key:
        return lose(state, event, at)
    return go_on(replace(state, run=None, pending=(*state.pending, pulled_out(state.run))), at)


def lose_notice(state: State, event: Pulled, at: Moment) -> Step:
    """A stick is gone: what stands on the display may be about it."""
    after = lose(state, event, at)
    if state.notice and state.notice.key == event.key:
        return having_first(go_on(replace(after.state, notice=None), at), *after.effects)
    return after


# ---- Judging


def follow(state: State, event: Progressed, _: Moment) -> Step:
    """The clip gets on."""
    return Step(replace(state, progress=event.progress))


def take(state: State, event: Found, at: Moment) -> Step:
    """A clip is judged: to the next one, of another batch if one waits."""
    assert state.run is not None
    run = replace(state.run, outcomes=(*state.run.outcomes, event.outcome))
    return turn_over(replace(state, run=run), at)


def pass_over(state: State, _: Skipped, at: Moment) -> Step:
    """A clip was not judged, as was asked for."""
    return turn_over(state, at)


def cancel(state: State, _: Held, at: Moment) -> Step:
    """Give up the batch that is being judged."""
    assert state.run is not None
    if state.run.ending:
        return Step(state)
    return Step(replace(state, run=replace(state.run, ending=Ending.CANCELLED)), (CancelScan(),))


def ask(state: State, _: Pressed, at: Moment) -> Step:
    """The camera goes next. Asked twice, it does not."""
    return Step(replace(state, asked=not state.asked and at.settings.camera.kind != "none"))


def report(state: State, event: Reported, at: Moment) -> Step:
    """A report is where it shall be: show what came out."""
    run = state.run
    if run is None or run.batch.key != event.key:
        return Step(state)
    state = replace(state, run=None)
    if not run.batch.clips:
        nothing = Trouble(Kind.NOTHING_TO_SCAN, f"No clips on {run.batch.name}", event.note)
        return Step(noticed(state, Notice(nothing, run.batch.key), at))
    return Step(showing(state, replace(run, note=event.note), at))


# ---- What is shown


def turn(state: State, _: Pressed, at: Moment) -> Step:
    """To the next of several results; after a single one, the camera again."""
    assert state.shown is not None
    if len(state.shown.outcomes) < 2:
        return film_someone(state, at)
    pages = len(state.shown.outcomes) + 1
    return Step(replace(state, page=(state.page + 1) % pages, since=at.now))


def clear(state: State, _: object, at: Moment) -> Step:
    """Take away what is shown."""
    return go_on(replace(state, shown=None, notice=None), at)


def give_way(state: State, _: Ticked, at: Moment) -> Step:
    """What stands long enough makes room for what waits."""
    waits = state.waiting or state.pending or state.reading or state.asked
    if waits and at.now - state.since >= LEAST_SHOWN_SECONDS:
        return go_on(replace(state, shown=None, notice=None), at)
    return Step(state)


# ---- The whole box


def ignore(state: State, _: object, __: Moment) -> Step:
    """It means nothing now."""
    return Step(state)


def begin(state: State, _: ModelReady, at: Moment) -> Step:
    """Clips can be judged: go on with what came meanwhile."""
    return go_on(replace(state, notice=None), at)


def refuse(state: State, event: Refused, at: Moment) -> Step:
    """Nothing can be judged; what was under way waits."""
    waiting = (state.run, *state.waiting) if state.run else state.waiting
    effects = (CloseCamera(),) if state.phase in FILMING else ()
    state = replace(state, run=None, waiting=waiting, notice=Notice(event.trouble), shown=None)
    return Step(state.enter(Phase.REFUSED, at.now), effects)


def reload(state: State, _: Reloaded, at: Moment) -> Step:
    """Begin anew with other settings; what waits goes on waiting."""
    return Step(replace(state, shown=None, notice=None).enter(Phase.STARTING, at.now), (Reload(),))


def reload_later(state: State, _: Reloaded, __: Moment) -> Step:
    """Have the settings read when the running work allows it."""
    return Step(state, (Reload(),))


def note(state: State, event: Standing, _: Moment) -> Step:
    """Note what is wrong for the time being."""
    return Step(replace(state, standing=event.troubles))


def switch_off(state: State, _: HeldLong, at: Moment) -> Step:
    """Stop what runs, then have the power switched off."""
    return leave_with(state, at, PowerOff())


def leave(state: State, _: Terminated, at: Moment) -> Step:
    """Stop what runs, then end."""
    return leave_with(state, at, Exit())


def end(state: State, _: Terminated, __: Moment) -> Step:
    """End the program; that the plug may be pulled stays true."""
    return Step(state, (Exit(),))


def halt(state: State, _: Down, at: Moment) -> Step:
    """The plug may be pulled."""
    return Step(state.enter(Phase.HALTED, at.now))
