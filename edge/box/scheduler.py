"""What the box does next when something ends: whose turn it is. Pure; the rules' common steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from edge.box.events import (
    CancelScan,
    CloseCamera,
    Effect,
    Ending,
    Finish,
    OpenViewfinder,
    Origin,
    Scan,
)
from edge.box.state import FILMING, Notice, Phase, Run, State
from edge.box.views.camera import Framing
from edge.box.views.status import Trouble, TroubleKind
from edge.language import N_
from edge.settings import Settings


@dataclass(frozen=True)
class Now:
    """When an event happens (`seconds`, monotonic), and under which settings."""

    seconds: float
    settings: Settings


class Step(NamedTuple):
    """What an event leads to."""

    state: State
    effects: tuple[Effect, ...] = ()

    def after(self, *effects: Effect) -> Step:
        """The same, with effects that come first: the camera is closed, a visit ended."""
        return self._replace(effects=(*effects, *self.effects))


def go_on(state: State, now: Now) -> Step:
    """The next thing: show a pending notice, film, judge, or be ready."""
    if state.pending:
        first, *rest = state.pending
        return Step(show_notice(replace(state, pending=tuple(rest)), first, now))
    if state.camera_next and now.settings.camera.kind != "none":
        return open_viewfinder(state, now)
    if not state.waiting:
        return Step(state.enter(Phase.READY, now.seconds))
    run, *later = state.waiting
    state = replace(state, run=run, waiting=tuple(later), shown=None, notice=None)
    if run.over:
        return finish(state, run, now)
    state = replace(state, clip_since=now.seconds, progress=None)
    return Step(state.enter(Phase.JUDGING, now.seconds), (Scan(run.batch, run.clip),))


def open_viewfinder(state: State, now: Now) -> Step:
    """Open the viewfinder, if there is a camera and room for a recording."""
    state = replace(state, camera_next=False)
    if now.settings.camera.kind == "none":
        return Step(state)
    full = next((one for one in state.troubles if one.kind is TroubleKind.DISK_FULL), None)
    if full:
        return Step(show_notice(state, Notice(full), now))
    state = replace(state, image=None, framing=Framing.NO_FACE, good_since=None)
    state = replace(state, shown=None, notice=None)
    return Step(state.enter(Phase.VIEWFINDER, now.seconds), (OpenViewfinder(),))


def close_camera(state: State, now: Now) -> Step:
    """Release the camera and go on with what waits."""
    return go_on(state, now).after(CloseCamera())


def next_clip(state: State, now: Now) -> Step:
    """A clip is done: finish its batch, or let the next batch have a turn."""
    assert state.run is not None
    spent = state.run.spent + now.seconds - state.clip_since
    run = replace(state.run, done=state.run.done + 1, spent=spent)
    if run.over:
        return finish(state, run, now)
    # Batches take turns clip by clip: a small stick does not wait for a large one.
    return go_on(replace(state, run=None, waiting=(*state.waiting, run)), now)


def finish(state: State, run: Run, now: Now) -> Step:
    """A batch is over: have its report made; show its results when that is done."""
    effect = Finish(run.batch, run.ending or Ending.COMPLETE)
    if run.ending is Ending.PULLED:
        pending = (*state.pending, pulled_notice(run))
        return go_on(replace(state, run=None, pending=pending), now).after(effect)
    if run.batch.origin is Origin.WEB and (state.waiting or state.pending or state.camera_next):
        # Uploads come one by one, and each would hold the next one up for as long as it is shown.
        return go_on(replace(state, run=None), now).after(effect)
    if run.batch.origin in (Origin.CAMERA, Origin.WEB):
        return Step(show_results(replace(state, run=None), run, now), (effect,))
    return Step(replace(state, run=run).enter(Phase.WRITING, now.seconds), (effect,))


def leave(state: State, now: Now, last: Effect) -> Step:
    """Stop what runs; `last` ends it all."""
    effects: list[Effect] = []
    if state.phase is Phase.JUDGING:
        effects.append(CancelScan())
    if state.phase in FILMING:
        effects.append(CloseCamera())
    return Step(state.enter(Phase.LEAVING, now.seconds), (*effects, last))


def show_results(state: State, run: Run, now: Now) -> State:
    """Show the results of a batch."""
    return replace(state, shown=run, page=0).enter(Phase.SHOWING, now.seconds)


def show_notice(state: State, notice: Notice, now: Now) -> State:
    """Show a trouble."""
    return replace(state, notice=notice, shown=None).enter(Phase.TROUBLE, now.seconds)


def pulled_notice(run: Run) -> Notice:
    """How far a batch was when its stick was pulled out."""
    judged = N_("{number} of {of} judged. Plug it in again.")
    judged = judged.format(number=len(run.results), of=len(run.batch.clips))
    trouble = Trouble(TroubleKind.STICK_PULLED, N_("Stick pulled out."), judged)
    return Notice(trouble)
