"""Runs the camera in a thread of its own, as the state machine wants it.

The last request counts. The camera is open while there is one and no longer; what it sees and
records is posted as events. One that hangs is closed and opened once more before it is reported as
missing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.atomic_write import delete_unfinished
from edge.box.events import CameraFailed, Event, FrameSeen, Recorded, RecordingProgressed
from edge.box.sources.camera import Camera, CameraError, CameraStuckError
from edge.box.views.camera import CameraImage, Framing
from edge.box.views.status import Trouble, TroubleKind
from edge.errors import TruelightError
from edge.finding import Box
from edge.language import N_
from edge.scan.faces.crops import measure
from edge.scan.faces.detector import load_detector
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.manifest import QualityLimits
from edge.settings import Settings

log = logging.getLogger("truelight")

VIEW_SECONDS = 0.1
"""Between two frames of the viewfinder; the display is no faster."""
PROGRESS_SECONDS = 0.2
"""Between two events about a recording."""
FOLDER = "recordings"

FindFaces = Callable[[NDArray[np.uint8]], Sequence[Box]]
"""The faces in a frame, uint8 RGB [h, w, 3]. May raise TruelightError."""


@dataclass(frozen=True, eq=False)
class _Request:
    """What the camera shall do: show, record for some seconds, or be released."""

    show: bool = False
    seconds: float | None = None
    over: threading.Event = field(default_factory=threading.Event)
    """Set when another request comes."""


class CameraWorker:
    """Carries out `OpenViewfinder`, `Record` and `CloseCamera`; no method waits for the camera."""

    def __init__(
        self,
        settings: Settings,
        camera: Camera,
        post: Callable[[Event], None],
        load_finder: Callable[[Settings], tuple[FindFaces, QualityLimits]] | None = None,
    ) -> None:
        """Start the thread. Recordings that a power cut left incomplete are deleted."""
        self._settings = settings
        self._camera = camera
        self._post = post
        self._framing = _FramingSearch(settings, load_finder or load_face_finder)
        self._changed = threading.Condition()
        self._request, self._taken = _Request(), True
        self._ended = False
        self._folder = settings.store_folder / FOLDER
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def view(self) -> None:
        """Post `FrameSeen` about ten times a second, until another request comes."""
        self._want(_Request(show=True))

    def record(self, seconds: float) -> None:
        """Post `RecordingProgressed` and, at the end, `Recorded`; the camera stays open."""
        self._want(_Request(seconds=seconds))

    def close(self) -> None:
        """Release the camera; an incomplete recording is deleted, nothing more is posted."""
        self._want(_Request())

    def end(self, patience: float = 1.0) -> None:
        """Close and end the thread; wait for it for at most `patience` seconds."""
        with self._changed:
            self._ended = True
        self.close()
        self._thread.join(patience)
        self._framing.end()

    def _want(self, request: _Request) -> None:
        with self._changed:
            self._request.over.set()
            self._request, self._taken = request, False
            self._changed.notify()

    def _run(self) -> None:
        if self._folder.is_dir():
            delete_unfinished(self._folder)
        while (request := self._next_request()) is not None:
            try:
                self._carry_out(request)
            except TruelightError as failure:
                self._fail(request, failure)
            except Exception as failure:
                log.exception("The camera failed.")
                self._fail(request, CameraError(N_("Camera failed."), str(failure)))
        self._camera.close()

    def _next_request(self) -> _Request | None:
        """Wait for a request that is not carried out yet; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or not self._taken)
            self._taken = True
            return None if self._ended else self._request

    def _carry_out(self, request: _Request) -> None:
        if not request.show and request.seconds is None:
            self._camera.close()
            return
        work = self._show if request.seconds is None else self._record
        try:
            work(request)
        except CameraStuckError:
            self._camera.close()
            if not request.over.is_set():
                log.warning("The camera does not answer; reopening it.")
                work(request)

    def _show(self, request: _Request) -> None:
        self._camera.open()
        self._framing.reset()
        while not request.over.is_set():
            began = time.monotonic()
            pixels = self._camera.frame()
            image = CameraImage(small_image(pixels), page_image(pixels))
            event = FrameSeen(image, self._framing.update(pixels))
            self._post_for(request, event)
            request.over.wait(max(0.0, began + VIEW_SECONDS - time.monotonic()))

    def _record(self, request: _Request) -> None:
        assert request.seconds is not None
        self._camera.open()
        self._folder.mkdir(parents=True, exist_ok=True)
        clip = self._folder / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%fZ}.mp4"
        posted = -PROGRESS_SECONDS

        def progress(fraction: float) -> None:
            nonlocal posted
            now = time.monotonic()
            if now - posted >= PROGRESS_SECONDS or fraction >= 1.0:
                posted = now
                self._post_for(request, RecordingProgressed(fraction))

        try:
            self._camera.record(request.seconds, clip, progress, request.over)
        except OSError as failure:
            raise CameraError(
                N_("Recording failed."), failure.strerror or str(failure)
            ) from failure
        if clip.exists() and not self._post_for(request, Recorded(clip)):
            clip.unlink()

    def _post_for(self, request: _Request, event: Event) -> bool:
        """Post an event about a request, unless there is another one by now."""
        with self._changed:
            current = request is self._request
            if current:
                self._post(event)
        return current

    def _fail(self, request: _Request, failure: TruelightError) -> None:
        self._camera.close()
        is_camera = isinstance(failure, CameraError)
        kind = TroubleKind.CAMERA_MISSING if is_camera else TroubleKind.MODEL_REFUSED
        log.warning("%s", failure, exc_info=failure.__cause__)
        self._post_for(request, CameraFailed(Trouble.of(kind, failure)))


def load_face_finder(settings: Settings) -> tuple[FindFaces, QualityLimits]:
    """The detector of the settings, and how good the model wants a face to be."""
    try:
        limits = read_bundle(settings.bundle_folder).manifest.quality
    except TruelightError:
        limits = QualityLimits()  # the scan worker reports a model that cannot be used
    detector = load_detector(settings.faces.detector)

    def find(pixels: NDArray[np.uint8]) -> list[Box]:
        least = settings.faces.least_score
        return [face.box for face in detector.detect(pixels) if face.score >= least]

    return find, limits


class _FramingSearch:
    """Finds faces in a thread, so that the viewfinder goes on while a slow detector works."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[Settings], tuple[FindFaces, QualityLimits]],
    ) -> None:
        self._settings = settings
        self._load = load
        self._finder: tuple[FindFaces, QualityLimits] | None = None
        self._pool = ThreadPoolExecutor(1, "framing")
        self._search: Future[Framing] | None = None
        self._framing = Framing.NO_FACE

    def reset(self) -> None:
        """Forget the last result: it may be of another person."""
        self._search, self._framing = None, Framing.NO_FACE

    def update(self, pixels: NDArray[np.uint8]) -> Framing:
        """The last result; `pixels` are searched next unless another search still runs."""
        if self._search is None or self._search.done():
            if self._search is not None:
                self._framing = self._search.result()
            self._search = self._pool.submit(self._judge, pixels)
        return self._framing

    def end(self) -> None:
        """Begin no other search."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _judge(self, pixels: NDArray[np.uint8]) -> Framing:
        self._finder = self._finder or self._load(self._settings)
        find, limits = self._finder
        return judge_framing(
            pixels, find(pixels), limits, self._settings.camera.width / pixels.shape[1]
        )


MARGIN = 1.25
"""How much better than the limits a face shall be: people move while they are recorded."""

IMAGE_WIDTH = 128
_LEAST_CONTRAST = 48


def judge_framing(
    pixels: NDArray[np.uint8], faces: Sequence[Box], limits: QualityLimits, scale: float
) -> Framing:
    """Whether the largest face is good enough for a verdict.

    `pixels` is the viewfinder's frame, RGB [h, w, 3], and `faces` are boxes in it; `scale` is the
    size of a recording relative to that of the frame.
    """
    if not faces:
        return Framing.NO_FACE
    quality = measure(pixels, max(faces, key=lambda face: min(face.width, face.height)))
    if quality.face_px * scale < limits.face_px * MARGIN:
        return Framing.CLOSER
    if quality.light < limits.light * MARGIN:
        return Framing.LIGHT
    return Framing.GOOD


def page_image(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame, RGB [h, w, 3], at most 480 wide."""
    wide = min(480, pixels.shape[1])
    size = wide, max(1, round(pixels.shape[0] * wide / pixels.shape[1]))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def small_image(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame, RGB [h, w, 3], as luma [h', 128] that keeps its shape in black and white dots.

    The darkest and the lightest 2 % become black and white, and adaptive equalization gives dark
    and light parts a contrast of their own, as a face before a window needs. An image that is
    almost even stays so: it would show noise.
    """
    height = max(1, round(pixels.shape[0] * IMAGE_WIDTH / pixels.shape[1]))
    small = cv2.resize(pixels, (IMAGE_WIDTH, height), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low, high = (float(value) for value in np.percentile(luma, (2, 98)))
    middle, contrast = (low + high) / 2, max(high - low, _LEAST_CONTRAST)
    black = min(max(middle - contrast / 2, 0.0), 255.0 - contrast)
    stretched = np.clip(np.round((luma - black) * (255.0 / contrast)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.createCLAHE(2.0, (4, 3)).apply(stretched), np.uint8)
