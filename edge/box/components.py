"""The parts of the box: opened as the settings want them, looked after, closed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from edge.box import paths as places
from edge.box.camera_worker import Recorder
from edge.box.events import Batch, CameraFailed, Event, Origin, Reported
from edge.box.health import HealthWatch
from edge.box.panel.opening import open_panel
from edge.box.panel.panel import Panel
from edge.box.scan_worker import Worker
from edge.box.sources.camera import CameraError, open_camera
from edge.box.sources.inbox import Inbox, write_results
from edge.box.sources.usb_stick import Sticks
from edge.box.views import Kind, Trouble
from edge.errors import TruelightError
from edge.scan.collect import clips_within
from edge.scan.faces.detector import Detection, FaceDetector, Pixels, load_detector
from edge.scan.model.bundle import read_manifest
from edge.scan.model.manifest import QualityLimits
from edge.settings import Settings

if TYPE_CHECKING:
    from edge.history.report import Report
    from edge.history.writer import Entry

Post = Callable[[Event], None]
OpenPanel = Callable[[Settings, Post], Panel]

WORK_SECONDS: Final = 3.0
"""To give up what is being judged. systemd wants the whole program to end within five."""

_CONCERNS: Final = {
    "panel": ("panel", "button", "lamps", "display"),
    "recorder": ("camera", "faces", "model"),
    "inbox": ("inbox",),
}
"""By which sections of the settings a part is made: when they change, it is made anew."""

_log = logging.getLogger("truelight")


class Parts:
    """Everything that works beside the event loop. All of it posts to the loop's queue."""

    def __init__(self, settings: Settings, post: Post, open_panel: OpenPanel = open_panel) -> None:
        """Open what the settings want; the model is not loaded yet.

        Raises:
            TruelightError: there is no such panel.
        """
        self._post = post
        self._settings = settings
        self._open_panel = open_panel
        self.panel = open_panel(settings, post)
        self.worker = Worker(settings.store_folder, post, self._deliver)
        self._recorder = self._open_recorder()
        self._health = HealthWatch(settings)
        self._inbox = self._open_inbox()
        self._sticks = Sticks(places.STICKS, clips_within, post, reports=places.REPORTS)

    def adopt(self, settings: Settings) -> None:
        """Go over to other settings; a part that they do not concern stays as it is."""
        before, self._settings = self._settings, settings
        self._health.settings = settings
        if _differ("panel", before, settings):
            self.panel.close()
            self.panel = self._open_panel(settings, self._post)
        if _differ("recorder", before, settings):
            self._end_recorder()
            self._recorder = self._open_recorder()
            self._miss_camera("Camera settings changed", "Press again.")
        if _differ("inbox", before, settings):
            self._end_inbox()
            self._inbox = self._open_inbox()

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong for the time being."""
        inbox = (self._inbox,) if isinstance(self._inbox, Trouble) else ()
        return (*self.panel.troubles(), *inbox, *self._health.troubles)

    def view(self) -> None:
        """Open the viewfinder; `CameraFailed` says why there is none."""
        if isinstance(self._recorder, Recorder):
            self._recorder.view()
        elif self._recorder:
            self._miss_camera(self._recorder.message, self._recorder.remedy)

    def record(self, seconds: float) -> None:
        """Record for so many seconds."""
        if isinstance(self._recorder, Recorder):
            self._recorder.record(seconds)

    def close_camera(self) -> None:
        """Leave the camera to others."""
        if isinstance(self._recorder, Recorder):
            self._recorder.close()

    def close(self) -> bool:
        """End all of it; False if what is being judged could not be given up in time."""
        self._sticks.close()
        self._end_inbox()
        self._end_recorder()
        self._health.close()
        ended = self.worker.close(WORK_SECONDS)
        self.panel.close()
        return ended

    def _open_recorder(self) -> Recorder | CameraError | None:
        settings = self._settings
        try:
            camera = open_camera(settings)
        except CameraError as failure:
            return failure
        if camera is None:
            return None
        return Recorder(settings, camera, _Finder(settings), self._post, _limits(settings))

    def _miss_camera(self, message: str, remedy: str) -> None:
        self._post(CameraFailed(Trouble(Kind.CAMERA_MISSING, message, remedy)))

    def _end_recorder(self) -> None:
        if isinstance(self._recorder, Recorder):
            self._recorder.end()

    def _open_inbox(self) -> Inbox | Trouble:
        try:
            return Inbox(self._settings.inbox_folder, self._post)
        except TruelightError as failure:
            _log.error("%s", failure)
            return Trouble(Kind.SETTINGS_WRONG, failure.message, failure.remedy)

    def _end_inbox(self) -> None:
        if isinstance(self._inbox, Inbox):
            self._inbox.close()

    def _deliver(self, batch: Batch, entries: list[Entry], report: Report) -> None:
        """Put what was found where the clips came from; `Reported` is posted at once or later."""
        if batch.origin is Origin.STICK:
            self._sticks.write_report(batch.key, report)
            return
        try:
            write_results(self._settings.inbox_folder, entries, report)
        except TruelightError as failure:
            _log.error("%s", failure)
            self._post(Reported(batch.key, False, failure.message))
        else:
            self._post(Reported(batch.key, True, "Results lie beside the clips."))


class _Finder:
    """Finds faces for the viewfinder; the detector is loaded when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.faces
        self._detector: FaceDetector | None = None

    def __call__(self, pixels: Pixels) -> Sequence[Detection]:
        if self._detector is None:
            self._detector = load_detector(self._settings.detector)
        faces = self._detector.detect(pixels)
        return [face for face in faces if face.score >= self._settings.least_score]


def _limits(settings: Settings) -> QualityLimits | None:
    """How good the model wants a face to be; that it cannot be used is said elsewhere."""
    try:
        manifest, _ = read_manifest(settings.bundle_folder)
    except TruelightError:
        return None
    return manifest.quality


def _differ(part: str, before: Settings, after: Settings) -> bool:
    return any(getattr(before, name) != getattr(after, name) for name in _CONCERNS[part])
