"""The state machine's whole table, and what never happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from living import BAD_MODEL, BROKEN, HOT, NO_CAMERA, PICTURE, SETTINGS, Box, result, stick

from edge.box.events import (
    CameraFailed,
    ClipJudged,
    ClipsArrived,
    ClipSkipped,
    CloseCamera,
    Event,
    FrameSeen,
    Held,
    HeldLong,
    ModelReady,
    OpenViewfinder,
    PowerMayGo,
    Pressed,
    Recorded,
    RecordingProgressed,
    Refused,
    Reloaded,
    ReportDone,
    Scan,
    ScanProgressed,
    StickPlugged,
    StickPulled,
    StickUnusable,
    Terminated,
    Ticked,
    TroublesChanged,
)
from edge.box.machine import TABLE, step
from edge.box.state import FILMING, Notice, Phase, Run, State, scene
from edge.box.views.camera import Framing
from edge.box.web_rules import CameraRequested, PairingRequested, ScanWithdrawn
from edge.finding import Verdict
from edge.scan.progress import Progress

CODES = {
    "s": Phase.STARTING,
    "r": Phase.READY,
    "a": Phase.VIEWFINDER,
    "c": Phase.COUNTDOWN,
    "o": Phase.RECORDING,
    "w": Phase.JUDGING,
    "W": Phase.WRITING,
    "S": Phase.SHOWING,
    "t": Phase.TROUBLE,
    "x": Phase.REFUSED,
    "l": Phase.LEAVING,
    "h": Phase.HALTED,
}
LEADS_TO: list[tuple[Event, str]] = [
    # in the phases:       s r a c o w W S t x l h
    (Pressed(), "           s a o o o w W S r x l h"),
    (Held(), "              s r r r r w W r r x l h"),
    (HeldLong(), "          l l l l l l l l l l l h"),
    (FrameSeen(PICTURE, Framing.GOOD), "s r c c o w W S t x l h"),
    (FrameSeen(PICTURE, Framing.NO_FACE), "s r a a o w W S t x l h"),
    (RecordingProgressed(0.5), "         s r a c o w W S t x l h"),
    (Recorded(Path("r.mp4")), "s r a c w w W S t x l h"),
    (CameraFailed(NO_CAMERA), "s r t t t w W S t x l h"),
    (StickPlugged("b", "b"), "   s r a c o w W S t x l h"),
    (ClipsArrived(stick("b", "1")), "s w a c o w W S t x l h"),
    (ClipsArrived(stick("b")), " s W a c o w W S t x l h"),
    (StickUnusable("b", BROKEN), "s t a c o w W S t x l h"),
    (StickPulled("a"), "         s r a c o w t S t x l h"),
    (ModelReady(), "        r r a c o w W S t r l h"),
    (Refused(BAD_MODEL), "  x x x x x x x x x x l h"),
    (ScanProgressed(Path("a/1"), Progress("looking")), "s r a c o w W S t x l h"),
    (ClipJudged(Path("a/1"), result(Verdict.REAL)), "s r a c o w W S t x l h"),
    (ClipSkipped(Path("a/1")), "s r a c o w W S t x l h"),
    (ReportDone("a", True, "Safe to remove"), "s r a c o w S S t x l h"),
    (TroublesChanged((HOT,)), "    s r a c o w W S t x l h"),
    (Ticked(), "            s r a c o w W S t x l h"),
    (Reloaded(), "          s s a c o w W s s s l h"),
    (Terminated(), "        l l l l l l l l l l l h"),
    (PowerMayGo(), "              s r a c o w W S t x h h"),
    (CameraRequested(), "   s a o o o w W a a x l h"),
    (ScanWithdrawn("a"), "  s r a c o w W S t x l h"),
    (PairingRequested("2718 2818", "", 60.0), "s r a c o w W S t x l h"),
]


def in_phase(phase: Phase) -> State:
    """A state that the phase can well have: stick "a" with three clips, one of them judged."""
    run = Run(stick("a", "0", "1", "2"), done=1, results=(result(Verdict.REAL),))
    whole = replace(run, done=3, results=3 * run.results)
    return State(
        phase=phase,
        run=run if phase is Phase.JUDGING else whole if phase is Phase.WRITING else None,
        shown=whole if phase is Phase.SHOWING else None,
        notice=Notice(BROKEN) if phase in (Phase.TROUBLE, Phase.REFUSED) else None,
        good_since=-2.0 if phase is Phase.VIEWFINDER else None,
    )


@pytest.mark.parametrize(("event", "codes"), LEADS_TO)
def test_where_every_event_leads_from_every_phase(event: Event, codes: str) -> None:
    for phase, code in zip(CODES.values(), codes.split(), strict=True):
        after = step(in_phase(phase), event, 0.5, SETTINGS)
        assert after.state.phase is CODES[code], f"{phase} {event}"
        assert scene(after.state, 0.5, SETTINGS).view is not None


def test_every_phase_and_every_event_meet() -> None:
    assert {type(event) for event, _ in LEADS_TO} == set(TABLE)
    assert all(set(row) == set(Phase) for row in TABLE.values())


# ---- What never happens

BATCHES = [stick("a", "1", "2"), stick("b", "1"), stick("c")]
ANY_EVENT = st.sampled_from(
    [event for event, _ in LEADS_TO] + [ClipsArrived(one) for one in BATCHES]
)


@given(st.lists(st.tuples(ANY_EVENT, st.floats(0, 20)), max_size=60))
def test_one_thing_at_a_time_and_nothing_lost(story: list[tuple[Event, float]]) -> None:
    box = Box()
    scanning = filming = False
    for event, seconds in story:
        box.now += seconds
        scanning = scanning and not isinstance(event, ClipJudged | ClipSkipped | Refused)
        filming = filming and not isinstance(event, CameraFailed)
        for effect in box.on(event):
            match effect:
                case Scan():
                    assert not scanning and not filming
                    scanning = True
                case OpenViewfinder():
                    assert not scanning and not filming
                    filming = True
                case CloseCamera():
                    filming = False
        if box.state.phase not in (Phase.LEAVING, Phase.HALTED):
            assert scanning == (box.state.phase is Phase.JUDGING)
            assert filming == (box.state.phase in FILMING)
        assert box.scene().view is not None
        run = box.state.run
        assert run is None or len(run.results) <= run.done <= len(run.batch.clips)
