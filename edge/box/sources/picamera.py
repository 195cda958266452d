"""The Pi's camera, by Picamera2.

Picamera2 waits for its camera without end in many places, so every call has a deadline.
"""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.atomic_write import publish, unfinished_file
from edge.box.sources import Answer, call_within
from edge.box.sources.camera import CameraError, CameraStuckError, view_size
from edge.language import N_
from edge.settings_schema import CameraSettings

if TYPE_CHECKING:
    from picamera2 import Picamera2
    from picamera2.encoders import Encoder

_OPENING_SECONDS = 15.0
"""libcamera searches for all cameras at the first use."""

_BITS_A_PIXEL = 0.25
"""Of H.264: far more than the eye needs, since compression wipes out traces of forgery."""
_MOST_BITS = 25_000_000
_H264_PIXELS = 1920 * 1088
"""The limit of the Pi 4's encoder, and of the Pi 5's processor, which has no encoder."""

_TO_RGB = {"YUV420": cv2.COLOR_YUV2RGB_I420, "NV12": cv2.COLOR_YUV2RGB_NV12}


class PiCamera:
    """A `Camera`. The first one that libcamera knows."""

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._camera: Picamera2 | None = None
        self._stuck: threading.Thread | None = None

    def open(self) -> None:
        """Take and start the camera. Raises CameraError."""
        if self._camera is not None:
            return
        if self._stuck is not None and self._stuck.is_alive():
            raise CameraStuckError(N_("Switch the box off and on."))
        self._camera = self._ask(self._start, _OPENING_SECONDS, _put_away)

    def frame(self) -> NDArray[np.uint8]:
        """What it sees now: RGB [h, w, 3]. Raises CameraError."""
        camera = self._opened()
        pixels = self._ask(lambda: camera.capture_array("lores"), self._settings.deadline)
        stream = camera.camera_configuration()["lores"]
        return to_rgb(pixels, stream["format"], stream["size"])

    def record(
        self,
        seconds: float,
        path: Path,
        progress: Callable[[float], None],
        stopped: threading.Event,
    ) -> None:
        """Record a clip as H.264, or as Motion JPEG if it is large. Raises CameraError, OSError."""
        with unfinished_file(path) as half:
            with self._encoding(half) as encoder:
                self._wait_until(encoder, 1)
                began = time.monotonic()
                while (made := (time.monotonic() - began) / seconds) < 1:
                    if stopped.is_set():
                        return
                    progress(made)
                    self._wait_until(encoder, encoder.frames_encoded + 1)
            if not is_whole_mp4(half):
                raise CameraError(N_("Recording failed."), N_("Check the room on the disk."))
            progress(1.0)
            publish(half, path)

    def close(self) -> None:
        """Release the camera; a call that hangs is left behind."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        with contextlib.suppress(CameraError):
            self._ask(lambda: _put_away(camera), self._settings.deadline)
            self._stuck = None

    def _opened(self) -> Picamera2:
        self.open()
        assert self._camera is not None
        return self._camera

    def _start(self) -> Picamera2:
        try:
            from libcamera import Transform, controls
            from picamera2 import Picamera2
        except ModuleNotFoundError as missing:
            raise CameraError(N_("Picamera2 is missing."), N_("Run setup.sh install.")) from missing
        if not Picamera2.global_camera_info():
            raise CameraError(N_("No camera found."), N_("Switch off, check its cable."))
        camera = Picamera2(0)
        try:
            chosen, turned = self._settings, self._settings.upside_down
            size = (chosen.width & ~1, chosen.height & ~1)
            configuration = camera.create_video_configuration(
                main={"size": size, "format": "YUV420"},
                lores={"size": view_size(*size), "format": "YUV420"},
                transform=Transform(hflip=turned, vflip=turned),
                controls={"FrameRate": chosen.frame_rate},
            )
            camera.configure(configuration)
            if "AfMode" in camera.camera_controls:
                # By default a lens that can move stays where it is.
                camera.set_controls({"AfMode": controls.AfModeEnum.Continuous})
            camera.start()
        except BaseException:
            camera.close()
            raise
        return camera

    @contextlib.contextmanager
    def _encoding(self, path: Path) -> Iterator[Encoder]:
        """Encode the camera's frames into a file, within this context."""
        from picamera2.encoders import H264Encoder, MJPEGEncoder
        from picamera2.outputs import PyavOutput

        camera, rate = self._opened(), self._settings.frame_rate
        width, height = camera.camera_configuration()["main"]["size"]
        encoder: Encoder
        if width * height <= _H264_PIXELS:
            bits = min(int(width * height * rate * _BITS_A_PIXEL), _MOST_BITS)
            encoder = H264Encoder(bitrate=bits, iperiod=rate, framerate=rate)
        else:
            encoder = MJPEGEncoder(bitrate=8 * _MOST_BITS)
        output = PyavOutput(str(path), format="mp4")
        failures: list[Exception] = []
        output.error_callback = failures.append  # without it, failures are silent
        limit = self._settings.deadline
        self._ask(lambda: camera.start_encoder(encoder, output), limit)
        try:
            yield encoder
        finally:
            self._ask(lambda: camera.stop_encoder(encoder), limit)
        if failures:
            raise CameraError(N_("Recording failed."), N_("Check the room on the disk."))

    def _wait_until(self, encoder: Encoder, frames: int) -> None:
        """Wait until `frames` are encoded. Raises CameraStuckError at the deadline."""
        until = time.monotonic() + self._settings.deadline
        while encoder.frames_encoded < frames:
            if time.monotonic() > until:
                raise CameraStuckError
            time.sleep(0.01)

    def _ask(
        self,
        call: Callable[[], Answer],
        limit: float,
        late: Callable[[Answer], None] | None = None,
    ) -> Answer:
        """The result of a call into Picamera2. Raises CameraError, within `limit` seconds."""
        try:
            return call_within(limit, call, late)
        except TimeoutError as stuck:
            (self._stuck,) = stuck.args
            raise CameraStuckError from None
        except Exception as failure:
            raise _named(failure) from failure


def _put_away(camera: Picamera2) -> None:
    # A job that waits for a frame would hold up the one that stops the camera.
    camera.cancel_all_and_flush()
    camera.close()


def to_rgb(pixels: NDArray[np.uint8], name: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One of Picamera2's arrays as RGB [height, width, 3]; its rows may be padded.

    Its format names read from right to left: "RGB888" is blue, green, red in memory.
    """
    width, height = size
    if name in _TO_RGB:
        return np.asarray(cv2.cvtColor(pixels, _TO_RGB[name])[:height, :width], np.uint8)
    if name in ("RGB888", "XRGB8888"):
        return np.ascontiguousarray(pixels[:height, :width, 2::-1])
    if name in ("BGR888", "XBGR8888"):
        return np.ascontiguousarray(pixels[:height, :width, :3])
    raise CameraError(N_("Unknown camera format."), N_("It gives {format}.").format(format=name))


def is_whole_mp4(path: Path) -> bool:
    """Whether an MP4 file has its index and ends where it should: PyAV's muxer may fail unheard."""
    kinds = []
    with path.open("rb") as file:
        end = path.stat().st_size
        at = 0
        while at + 8 <= end:
            file.seek(at)
            size, kind = struct.unpack(">I4s", file.read(8))
            if size == 1:
                (size,) = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))
            if size < 8:
                return False
            kinds.append(kind)
            at += size
    return at == end and b"moov" in kinds


def _named(failure: BaseException) -> CameraError:
    """A failure of Picamera2 in plain words."""
    if isinstance(failure, CameraError):
        return failure
    texts = []
    cause: BaseException | None = failure
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    text = " ".join(texts).lower()
    if "busy" in text or "acquire" in text:
        return CameraError(N_("Another program has the camera."), N_("End it, press again."))
    return CameraError(N_("Camera failed."), texts[-1] or type(failure).__name__)
