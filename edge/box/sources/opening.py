"""Which camera, by the settings."""

from __future__ import annotations

from pathlib import Path

from edge.box.sources.camera import Camera, CameraError
from edge.settings import Settings


def open_camera(settings: Settings) -> Camera | None:
    """The camera that the settings name, not opened yet; None if the box shall have none.

    Raises CameraError if a file shall be played and none is named.
    """
    chosen = settings.camera
    if chosen.kind == "none":
        return None
    if chosen.kind == "file":
        from edge.box.sources.playback import Playback

        if chosen.file is None:
            raise CameraError("No file to play", "Set camera.file.")
        return Playback(Path(chosen.file).expanduser(), chosen)
    from edge.box.sources.picamera import PiCamera

    return PiCamera(chosen)
