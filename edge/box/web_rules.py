"""What the page's requests are, as events, and what they mean: uploads, the camera from afar, a
device to be paired. Pure.
"""

from __future__ import annotations

from dataclasses import replace

from edge.box import events, rules
from edge.box.events import Event
from edge.box.scheduler import Now, Step
from edge.box.state import PairingCode, State


class ScanWithdrawn(Event):
    """Someone deleted an upload, by the key of its batch, that is not judged yet."""

    key: str


class CameraRequested(Event):
    """Someone asks for the camera, or to record at once where it is open, from afar."""


class PairingRequested(Event):
    """A device wants to be paired: show its code; an empty one ends that.

    `fingerprint` is that of the page's certificate, empty without one.
    """

    code: str
    fingerprint: str
    seconds: float


def clips_arrived_at_results(state: State, event: events.ClipsArrived, now: Now) -> Step:
    """Clips came while results are shown: those of an upload make room for the next at once."""
    after = rules.clips_arrived(state, event, now)
    uploads = event.batch.origin is events.Origin.WEB
    if uploads and state.shown and state.shown.batch.origin is events.Origin.WEB:
        return rules.clear(after.state, event, now)
    return after


def scan_withdrawn(state: State, event: ScanWithdrawn, _: Now) -> Step:
    """A waiting upload is over."""
    lost = [run for run in state.waiting if run.batch.key == event.key]
    kept = tuple(run for run in state.waiting if run.batch.key != event.key)
    cancelled = events.Ending.CANCELLED
    effects = tuple(events.Finish(run.batch, cancelled) for run in lost)
    return Step(replace(state, waiting=kept), effects)


def scan_withdrawn_while_judging(state: State, event: ScanWithdrawn, now: Now) -> Step:
    """Cancel the scan if it is that upload."""
    if state.run is None or state.run.batch.key != event.key:
        return scan_withdrawn(state, event, now)
    run = replace(state.run, ending=events.Ending.CANCELLED)
    return Step(replace(state, run=run), (events.CancelScan(),))


def camera_requested(state: State, _: CameraRequested, now: Now) -> Step:
    """The camera goes next, as someone asked from afar; a second request changes nothing."""
    return Step(replace(state, camera_next=now.settings.camera.kind != "none"))


def show_pairing(state: State, event: PairingRequested, now: Now) -> Step:
    """Show the code of a device that wants to be paired, or no longer."""
    until = now.seconds + event.seconds
    pairing = PairingCode(event.code, event.fingerprint, until) if event.code else None
    return Step(replace(state, pairing=pairing))
