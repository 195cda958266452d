"""Whose turn it is: what the box does next when something ends. Pure; the rules' common steps."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from edge.box.events import (
    Batch,
    CancelScan,
    CloseCamera,
    Effect,
    Ending,
    Finish,
    OpenViewfinder,
    Origin,
    Recorded,
    Scan,
)
from edge.box.state import FILMING, Moment, Notice, Phase, Run, State
from edge.box.views import Aim, Kind, Trouble


class Step(NamedTuple):
    """What an event leads to."""

    state: State
    effects: tuple[Effect, ...] = ()


def go_on(state: State, at: Moment) -> Step:
    """What is to be done next: say what is pending, film, judge, or be ready."""
    if state.pending:
        first, *rest = state.pending
        return Step(noticed(replace(state, pending=tuple(rest)), first, at))
    if state.asked and at.settings.camera.kind != "none":
        return film_someone(state, at)
    if not state.waiting:
        return Step(state.enter(Phase.READY, at.now))
    run, *later = state.waiting
    state = replace(state, run=run, waiting=tuple(later), shown=None, notice=None)
    if run.over:
        return finish(state, run, at)
    state = replace(state, clip_since=at.now, progress=None)
    return Step(state.enter(Phase.WORKING, at.now), (Scan(run.batch, run.clip),))


def film_someone(state: State, at: Moment) -> Step:
    """Open the viewfinder, if there is a camera and room for a recording."""
    state = replace(state, asked=False)
    if at.settings.camera.kind == "none":
        return Step(state)
    full = next((one for one in state.standing if one.kind is Kind.DISK_FULL), None)
    if full:
        return Step(noticed(state, Notice(full), at))
    state = replace(state, picture=None, aim=Aim.NOBODY, good_since=None, shown=None, notice=None)
    return Step(state.enter(Phase.AIMING, at.now), (OpenViewfinder(),))


def turn_over(state: State, at: Moment) -> Step:
    """A clip is done with: finish its batch, or let the others have their turn first."""
    assert state.run is not None
    spent = state.run.spent + at.now - state.clip_since
    run = replace(state.run, done=state.run.done + 1, spent=spent)
    if run.over:
        return finish(state, run, at)
    # Whoever waits gets a clip between: a small stick does not wait for a large one.
    return go_on(replace(state, run=None, waiting=(*state.waiting, run)), at)


def finish(state: State, run: Run, at: Moment) -> Step:
    """A batch is over: have its report made; show it when that is done."""
    finish = Finish(run.batch, run.ending or Ending.COMPLETE)
    if run.ending is Ending.PULLED:
        pending = (*state.pending, pulled_out(run))
        return having_first(go_on(replace(state, run=None, pending=pending), at), finish)
    if run.batch.origin is Origin.CAMERA:
        return Step(showing(replace(state, run=None), run, at), (finish,))
    return Step(replace(state, run=run).enter(Phase.WRITING, at.now), (finish,))


def leave_with(state: State, at: Moment, last: Effect) -> Step:
    """Stop what runs; `last` is what ends it all."""
    effects: list[Effect] = []
    if state.phase is Phase.WORKING:
        effects.append(CancelScan())
    if state.phase in FILMING:
        effects.append(CloseCamera())
    return Step(state.enter(Phase.LEAVING, at.now), (*effects, last))


def showing(state: State, run: Run, at: Moment) -> State:
    """What came out of a batch stands on the display."""
    return replace(state, shown=run, page=0).enter(Phase.SHOWING, at.now)


def noticed(state: State, notice: Notice, at: Moment) -> State:
    """A trouble stands on the display."""
    return replace(state, notice=notice, shown=None).enter(Phase.TROUBLED, at.now)


def done_reading(state: State, key: str) -> State:
    """A stick is no longer being looked through."""
    return replace(state, reading=tuple(one for one in state.reading if one[0] != key))


def recording(event: Recorded) -> Batch:
    """A recording as the batch that it is."""
    return Batch(Origin.CAMERA, str(event.clip), "Recording", (event.clip,))


def pulled_out(run: Run) -> Notice:
    """How far a batch was when its stick went."""
    judged = f"{len(run.outcomes)} of {len(run.batch.clips)} judged."
    return Notice(Trouble(Kind.STICK_PULLED, "Stick pulled out", f"{judged} Plug in again."))


def taken_out(run: Run | None, key: str) -> Run | None:
    """What is shown of a stick stays; that it may be taken out is no longer true."""
    return replace(run, note="Stick taken out") if run and run.batch.key == key else run


def having_first(first: Step, *effects: Effect) -> Step:
    """The camera is closed, a visit ended, before what comes next is begun."""
    return first._replace(effects=(*effects, *first.effects))
