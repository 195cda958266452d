"""The camera: what the box wants of one, and the registry of its kinds."""

from __future__ import annotations

import pkgutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from edge.language import N_
from edge.settings import Settings
from edge.settings_schema import CameraSettings

VIEW_WIDTH = 640
"""Pixels: enough for the viewfinder to find faces."""

KINDS: Final = {
    "picamera2": "edge.box.sources.picamera:PiCamera",
    "file": "edge.box.sources.file_camera:FileCamera",
    "none": "edge.box.sources.camera:NoCamera",
}
"""What opens a camera by its settings, by `camera.kind`. A new kind adds a line here."""


class CameraError(TruelightError):
    """There is no camera, another program has it, or it failed. Two lines for a small display."""


class CameraStuckError(CameraError):
    """The camera does not answer in time. It may after it was opened again."""

    def __init__(self, remedy: str = N_("Check its cable.")) -> None:
        super().__init__(N_("Camera does not answer."), remedy)


class Camera(Protocol):
    """Used by one thread at a time; opened only while it is needed, since others may want it."""

    def open(self) -> None:
        """Take the camera; nothing if it is taken already.

        Raises CameraError: there is none, or another program has it.
        """

    def frame(self) -> NDArray[np.uint8]:
        """What it sees now: RGB [h, w, 3], upright, at most `VIEW_WIDTH` wide.

        Raises CameraStuckError when none comes within the deadline that is set.
        """

    def record(
        self,
        seconds: float,
        path: Path,
        progress: Callable[[float], None],
        stopped: threading.Event,
    ) -> None:
        """Record a clip; `progress` gets the fraction made. The clip is whole or not there.

        When `stopped` is set before the end it returns soon and leaves nothing. Raises
        CameraError, and OSError when the clip cannot be written.
        """

    def close(self) -> None:
        """Release the camera. May be called again, and when it is not open."""


class NoCamera(Camera):
    """A `Camera` for a box without one: whatever is wanted of it fails."""

    def __init__(self, _: CameraSettings) -> None:
        """Need nothing."""

    def open(self) -> None:
        """Raises CameraError."""
        raise CameraError(N_("This box has no camera."), N_("Set camera.kind."))

    def frame(self) -> NDArray[np.uint8]:
        """Raises CameraError."""
        raise CameraError(N_("This box has no camera."), N_("Set camera.kind."))

    def record(self, *_: object) -> None:
        """Raises CameraError."""
        self.open()

    def close(self) -> None:
        """Nothing to release."""


def view_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the viewfinder's frames for a recording's: even, no larger."""
    wide = min(VIEW_WIDTH, width)
    return wide, max(2, round(height * wide / width / 2) * 2)


def open_camera(settings: Settings) -> Camera:
    """The camera that the settings name; it is opened when it is used, and fails then."""
    chosen = settings.camera
    camera: Camera = pkgutil.resolve_name(KINDS[chosen.kind])(chosen)
    return camera
