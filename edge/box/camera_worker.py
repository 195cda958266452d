"""The camera at work: a thread that carries out what the appliance wants of it.

The last wish counts. The camera is open while there is one and no longer; what it sees and makes
is posted as events. One that locks up is closed and opened once more before it is named as missing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.atomic_write import sweep
from edge.box.events import CameraFailed, Event, Filmed, Recorded, Viewed
from edge.box.sources.camera import Camera, CameraError, CameraStuckError
from edge.box.views import Aim, Kind, Picture, Trouble
from edge.errors import TruelightError
from edge.finding import Box
from edge.scan.faces.crops import measure
from edge.scan.model.manifest import QualityLimits
from edge.settings import Settings

log = logging.getLogger("truelight")

VIEW_SECONDS = 0.1
"""Between two pictures of the viewfinder; the display takes no more."""
TELL_SECONDS = 0.2
"""Between two words of how far a recording is."""
FOLDER = "recordings"


class Sighting(Protocol):
    """A face as a detector tells of it."""

    @property
    def box(self) -> Box:
        """Where it is, in pixels of the frame."""
        ...


Find = Callable[[NDArray[np.uint8]], Sequence[Sighting]]
"""The faces in a frame, uint8 RGB [h, w, 3]. May raise TruelightError."""


@dataclass(frozen=True, eq=False)
class _Wish:
    """What the camera shall do: be seen through, record for so many seconds, or be left alone."""

    viewed: bool = False
    seconds: float | None = None
    over: threading.Event = field(default_factory=threading.Event)
    """Set when something else is wished."""


class Recorder:
    """Carries out `OpenViewfinder`, `Record` and `CloseCamera`; no method waits for the camera."""

    def __init__(
        self,
        settings: Settings,
        camera: Camera,
        find: Find,
        post: Callable[[Event], None],
        limits: QualityLimits | None = None,
    ) -> None:
        """Start the thread. What was half recorded when the power went is deleted."""
        self.limits = limits or QualityLimits()
        """How good a face has to be; may be set anew at any time."""
        self._settings = settings
        self._camera = camera
        self._post = post
        self._lookout = _Lookout(find)
        self._changed = threading.Condition()
        self._wish, self._taken = _Wish(), True
        self._ended = False
        self._folder = settings.store_folder / FOLDER
        if self._folder.is_dir():
            sweep(self._folder)
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def view(self) -> None:
        """Post `Viewed` about ten times a second, until something else is wished."""
        self._want(_Wish(viewed=True))

    def record(self, seconds: float) -> None:
        """Post `Filmed` now and then and `Recorded` at the end; the camera stays open."""
        self._want(_Wish(seconds=seconds))

    def close(self) -> None:
        """Leave the camera to others; half a recording is deleted, and nothing more is posted."""
        self._want(_Wish())

    def end(self, patience: float = 1.0) -> None:
        """Close and end the thread; wait for it for at most so many seconds."""
        with self._changed:
            self._ended = True
        self.close()
        self._thread.join(patience)
        self._lookout.end()

    def _want(self, wish: _Wish) -> None:
        with self._changed:
            self._wish.over.set()
            self._wish, self._taken = wish, False
            self._changed.notify()

    def _run(self) -> None:
        while (wish := self._next_wish()) is not None:
            try:
                self._carry_out(wish)
            except TruelightError as failure:
                self._fail(wish, failure)
            except Exception as failure:
                log.exception("The camera failed.")
                self._fail(wish, CameraError("Camera failed", str(failure)))
        self._camera.close()

    def _next_wish(self) -> _Wish | None:
        """Wait for a wish that is not carried out yet; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or not self._taken)
            self._taken = True
            return None if self._ended else self._wish

    def _carry_out(self, wish: _Wish) -> None:
        if not wish.viewed and wish.seconds is None:
            self._camera.close()
            return
        work = self._show if wish.seconds is None else self._film
        try:
            work(wish)
        except CameraStuckError:
            self._camera.close()
            if not wish.over.is_set():
                log.warning("The camera does not answer; it is opened anew.")
                work(wish)

    def _show(self, wish: _Wish) -> None:
        self._camera.open()
        self._lookout.forget()
        while not wish.over.is_set():
            began = time.monotonic()
            pixels = self._camera.frame()
            scale = self._settings.camera.width / pixels.shape[1]
            aim = self._lookout.look(pixels, self.limits, scale)
            self._tell(wish, Viewed(Picture(small_picture(pixels)), aim))
            wish.over.wait(max(0.0, began + VIEW_SECONDS - time.monotonic()))

    def _film(self, wish: _Wish) -> None:
        assert wish.seconds is not None
        self._camera.open()
        self._folder.mkdir(parents=True, exist_ok=True)
        clip = self._folder / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%fZ}.mp4"
        told = -TELL_SECONDS

        def tell(fraction: float) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= TELL_SECONDS or fraction >= 1.0:
                told = now
                self._tell(wish, Filmed(fraction))

        try:
            self._camera.record(wish.seconds, clip, tell, wish.over)
        except OSError as failure:
            raise CameraError("Recording failed", failure.strerror or str(failure)) from failure
        if clip.exists() and not self._tell(wish, Recorded(clip)):
            clip.unlink()

    def _tell(self, wish: _Wish, event: Event) -> bool:
        """Post what concerns a wish, unless something else is wished by now."""
        with self._changed:
            wanted = wish is self._wish
            if wanted:
                self._post(event)
        return wanted

    def _fail(self, wish: _Wish, failure: TruelightError) -> None:
        self._camera.close()
        kind = Kind.CAMERA_MISSING if isinstance(failure, CameraError) else Kind.MODEL_REFUSED
        log.warning("%s", failure, exc_info=failure.__cause__)
        self._tell(wish, CameraFailed(Trouble(kind, failure.message, failure.remedy)))


class _Lookout:
    """Looks for faces beside the viewfinder, which goes on while a slow detector works."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._pool = ThreadPoolExecutor(1, "lookout")
        self._search: Future[Aim] | None = None
        self._aim = Aim.NOBODY

    def forget(self) -> None:
        """Someone else may stand before the camera."""
        self._search, self._aim = None, Aim.NOBODY

    def look(self, pixels: NDArray[np.uint8], limits: QualityLimits, scale: float) -> Aim:
        """What was found last; begin to look at `pixels` unless another search still runs."""
        if self._search is None or self._search.done():
            if self._search is not None:
                self._aim = self._search.result()
            self._search = self._pool.submit(self._judge, pixels, limits, scale)
        return self._aim

    def end(self) -> None:
        """Begin no other search."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _judge(self, pixels: NDArray[np.uint8], limits: QualityLimits, scale: float) -> Aim:
        return judge_aim(pixels, [face.box for face in self._find(pixels)], limits, scale)


MARGIN = 1.25
"""How much better than just good enough it shall be: people move while they are recorded."""

PICTURE_WIDTH = 128
_LEAST_CONTRAST = 48


def judge_aim(
    pixels: NDArray[np.uint8], faces: Sequence[Box], limits: QualityLimits, scale: float
) -> Aim:
    """Say if the largest face is good enough for a verdict.

    `pixels` is the viewfinder's frame, RGB [h, w, 3], and `faces` are boxes in it; `scale` is how
    many pixels of a recording are one of the viewfinder.
    """
    if not faces:
        return Aim.NOBODY
    quality = measure(pixels, max(faces, key=lambda face: min(face.width, face.height)))
    if quality.face_px * scale < limits.face_px * MARGIN:
        return Aim.CLOSER
    if quality.light < limits.light * MARGIN:
        return Aim.LIGHT
    return Aim.GOOD


def small_picture(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame, RGB [h, w, 3], as luma [h', 128] that keeps its shape in black and white dots.

    The darkest and the lightest fiftieth become black and white, and parts that are all dark or
    all light get some contrast of their own: a face before a window is seen to be one. A picture
    that is almost even stays so, for its noise is not worth showing.
    """
    height = max(1, round(pixels.shape[0] * PICTURE_WIDTH / pixels.shape[1]))
    small = cv2.resize(pixels, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low, high = (float(value) for value in np.percentile(luma, (2, 98)))
    middle, contrast = (low + high) / 2, max(high - low, _LEAST_CONTRAST)
    black = min(max(middle - contrast / 2, 0.0), 255.0 - contrast)
    stretched = np.clip(np.round((luma - black) * (255.0 / contrast)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.createCLAHE(2.0, (4, 3)).apply(stretched), np.uint8)
