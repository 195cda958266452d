"""What the page's requests bring about, as events."""

from __future__ import annotations

from edge.box.events import Event


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
