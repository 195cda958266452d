"""The camera as the box knows it, and the choice of one by the settings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from edge.settings import Settings

VIEW_WIDTH = 640
"""Pixels: what the viewfinder needs to find faces in."""


class CameraError(TruelightError):
    """There is no camera, another program has it, or it failed. Two lines for a small display."""


class CameraStuckError(CameraError):
    """The camera does not answer in time. Opened anew it may."""

    def __init__(self, remedy: str = "Check its cable.") -> None:
        super().__init__("Camera does not answer", remedy)


class Camera(Protocol):
    """Used by one thread at a time; opened only while it is needed, since others may want it."""

    def open(self) -> None:
        """Take the camera; nothing if it is taken already.

        Raises CameraError: there is none, or another program has it.
        """
        ...

    def frame(self) -> NDArray[np.uint8]:
        """What it sees now: RGB [h, w, 3], upright, at most `VIEW_WIDTH` wide.

        Raises CameraStuckError when none comes within the deadline that is set.
        """
        ...

    def record(
        self,
        seconds: float,
        path: Path,
        tell: Callable[[float], None],
        stopped: threading.Event,
    ) -> None:
        """Record a clip; `tell` hears what fraction is made. The clip is whole or not there.

        When `stopped` is set before the end it returns soon and leaves nothing. Raises
        CameraError, and OSError when the clip cannot be written.
        """
        ...

    def close(self) -> None:
        """Leave the camera to others. May be called again, and when it is not open."""
        ...


def view_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the viewfinder's frames for a recording's: even, no larger."""
    wide = min(VIEW_WIDTH, width)
    return wide, max(2, round(height * wide / width / 2) * 2)


def open_camera(settings: Settings) -> Camera | None:
    """The camera that the settings name, not opened yet; None if the box shall have none.

    Raises CameraError if a file shall be played and none is named.
    """
    chosen = settings.camera
    if chosen.kind == "none":
        return None
    if chosen.kind == "file":
        from edge.box.sources.file_camera import Playback

        if chosen.file is None:
            raise CameraError("No file to play", "Set camera.file.")
        return Playback(Path(chosen.file).expanduser(), chosen)
    from edge.box.sources.picamera import PiCamera

    return PiCamera(chosen)
