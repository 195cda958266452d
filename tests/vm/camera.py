"""In the root: record through `edge.box.sources.picamera` what libcamera's virtual camera plays.

    camera.py nothing | scene | record

`nothing` finds no camera, `scene` puts a red card and a face before one, `record` does the rest.
What Picamera2 needs to get along with that camera is adapted here, and only here.
"""

from __future__ import annotations

import mmap
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.box.sources.camera import CameraError, CameraStuckError
from edge.box.sources.picamera import PiCamera
from edge.scan.faces.detector import load_detector
from edge.scan.media.client import open_clip
from edge.scan.media.sampling import Sampling
from edge.settings_schema import CameraSettings

WIDTH, HEIGHT = 1280, 720
RED = (200, 40, 40)
SECONDS, RATE = 3.0, 30
SETTINGS = CameraSettings(width=WIDTH, height=HEIGHT, frame_rate=RATE, deadline=2.0)
CLIP = Path("/run/clip.mp4")
MATERIALS = Path("/run/materials")
SCENE = Path("/run/scene")
DESCRIPTION = Path("/usr/share/libcamera/pipeline/virtual/virtual.yaml")
VIRTUAL = f"""%YAML 1.1
---
"Virtual0":
  supported_formats:
  - {{width: 640, height: 360, frame_rates: [{RATE}]}}
  - {{width: {WIDTH}, height: {HEIGHT}, frame_rates: [{RATE}]}}
  frames:
    path: "{SCENE}/"
  location: "CameraLocationFront"
  model: "a card and a face"
"""

H264: dict[str, Any] = {}
"""How a model of the Pi encodes."""

flowing = threading.Event()
"""The camera gives frames while this is set."""


class Mapping:
    """A frame's memory, seen for as long as someone looks at it: as with the Pi's own buffers."""

    def __init__(self, _allocator: object, buffer: Any, _write: bool) -> None:
        self._file = buffer.planes[0].fd

    def __enter__(self) -> mmap.mmap:
        return mmap.mmap(self._file, 0)

    def __exit__(self, *_: object) -> None:
        pass


def adapt() -> None:
    """Make Picamera2 and the virtual camera understand each other."""
    screen = mock.MagicMock()  # the binding of a screen that is not used
    sys.modules["kms"] = sys.modules["pykms"] = screen
    import libcamera
    import picamera2
    from picamera2 import encoders
    from picamera2.allocators import Allocator, LibcameraAllocator

    class ChipLike(encoders.LibavH264Encoder):  # type: ignore[misc]
        """Hands on bare H.264, as the encoder in a Pi 4 does."""

        def _send_streams(self, output: Any) -> None:
            output._add_stream("video", "h264", width=self.width, height=self.height)

        def outputframe(self, frame: bytes, *given: Any, timestamp: int, **_: object) -> None:
            super().outputframe(frame, *given, timestamp=timestamp)

    H264["Pi 4"], H264["Pi 5"] = ChipLike, encoders.LibavH264Encoder
    whole: Any = picamera2.Picamera2
    begin = whole.__init__

    def picture_modes(self: Any) -> list[dict[str, object]]:  # it has no raw stream to ask for
        role = libcamera.StreamRole.VideoRecording
        formats = self.camera.generate_configuration([role]).at(0).formats
        return [
            {"format": str(kind), "size": (size.width, size.height)}
            for kind in formats.pixel_formats
            for size in formats.sizes(kind)
        ]

    def keep_pace(_: object) -> None:  # it has none of its own
        time.sleep(1 / RATE)
        flowing.wait()

    def begin_adapted(self: Any, number: int = 0) -> None:
        begin(self, number, allocator=Allocator())
        self.allocator = LibcameraAllocator(self.camera)  # it wants buffers of its own, two planes
        self.allocator.sync = Mapping
        self.pre_callback = keep_pace

    whole._get_raw_modes = picture_modes
    whole.__init__ = begin_adapted


def nothing() -> None:
    """Ask for a camera where none is."""
    print("no camera:       ", _refusal(PiCamera(SETTINGS), "No camera found."))


def scene() -> None:
    """Paint what stands before the camera."""
    from faces import fetch_faces

    face = cv2.imread(str(fetch_faces(MATERIALS)["obama"]))
    assert face is not None
    pixels = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    pixels[60:660, 80:560] = RED[::-1]
    pixels[60:660, 720:1200] = cv2.resize(face, (480, 600))
    SCENE.mkdir()
    cv2.imwrite(str(SCENE / "0.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 98])
    DESCRIPTION.parent.mkdir(parents=True, exist_ok=True)
    DESCRIPTION.write_text(VIRTUAL, encoding="utf-8")


def record() -> None:
    """View, record, be refused, hang and come back."""
    flowing.set()
    camera = PiCamera(SETTINGS)
    began = time.monotonic()
    camera.open()
    print(f"opened:           {time.monotonic() - began:.2f} s")
    _view(camera)
    print("two at a time:   ", _refusal(PiCamera(SETTINGS), "Another program has the camera."))
    for model in H264:
        _record(camera, model)
    _stop_recording(camera)
    _hang(camera)
    camera.close()
    camera.open()
    camera.close()
    print("opened again:     yes")


def _view(camera: PiCamera) -> None:
    began = time.monotonic()
    for _ in range(10):
        frame = camera.frame()
    rate = 10 / (time.monotonic() - began)
    height, width = frame.shape[:2]
    card, faces = _card(frame), _faces(frame)
    print(f"viewfinder:       {width} x {height}, {rate:.0f} a second, card {card}, {faces} face")
    assert (width, height, faces) == (640, 360, 1)
    assert _is_red(card)


def _record(camera: PiCamera, model: str) -> None:
    from picamera2 import encoders

    encoders.H264Encoder = H264[model]
    heard: list[float] = []
    began = time.monotonic()
    camera.record(SECONDS, CLIP, heard.append, threading.Event())
    took = time.monotonic() - began
    with open_clip(CLIP, Sampling(1, RATE, 1, first=10_000)) as opened:
        clip, count = opened.clip, 0
        for count, frame in enumerate(opened.frames(), 1):
            if count == 30:
                card, faces = _card(frame.pixels), _faces(frame.pixels)
    size = CLIP.stat().st_size / 1e6
    print(f"as a {model} does:   {took:.2f} s for {SECONDS:.0f} s, {size:.1f} MB")
    print(f"                  {clip.container} {clip.codec} {clip.width} x {clip.height}, ", end="")
    print(f"{clip.seconds:.2f} s, {count} frames, card {card}, {faces} face")
    assert (clip.codec, clip.width, clip.height, faces) == ("h264", WIDTH, HEIGHT, 1)
    # The last frame is waited for, and a busy machine has few.
    assert abs(clip.seconds - SECONDS) < 0.2 + 2 * clip.seconds / count
    assert _is_red(card)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def _stop_recording(camera: PiCamera) -> None:
    stopped, path = threading.Event(), CLIP.with_name("stopped.mp4")
    camera.record(SECONDS, path, lambda made: stopped.set() if made > 0.2 else None, stopped)
    assert list(path.parent.glob("*.mp4")) == [CLIP]
    assert list(path.parent.glob(".*.mp4")) == []
    print("stopped:          nothing left")


def _hang(camera: PiCamera) -> None:
    flowing.clear()
    began = time.monotonic()
    try:
        while True:
            camera.frame()
    except CameraStuckError as stuck:
        print(f"hangs:            {stuck} After {time.monotonic() - began:.1f} s.")
    camera.close()
    print(f"closed:           after {time.monotonic() - began:.1f} s, hanging")
    flowing.set()
    time.sleep(0.5)
    camera.open()
    assert _is_red(_card(camera.frame()))
    print("back:             yes")


def _refusal(camera: PiCamera, wanted: str) -> CameraError:
    try:
        camera.open()
    except CameraError as refusal:
        assert refusal.message == wanted, refusal
        return refusal
    raise AssertionError(f"expected: {wanted}")


def _card(pixels: NDArray[np.uint8]) -> tuple[int, ...]:
    """The card's colour, RGB."""
    height, width = pixels.shape[:2]
    middle = pixels[height // 4 : height // 2, width // 8 : width * 3 // 8]
    return tuple(round(value) for value in middle.mean(axis=(0, 1)))


def _is_red(colour: tuple[int, ...]) -> bool:
    # Shades differ: this camera gives JPEG's YUV whatever colour space it is asked for.
    return all(abs(got - put) < 35 for got, put in zip(colour, RED, strict=True))


def _faces(pixels: NDArray[np.uint8]) -> int:
    from edge.scan.faces.detector import fetch_detector_models

    fetch_detector_models(MATERIALS)
    return len(load_detector().detect(pixels))


if __name__ == "__main__":
    adapt()
    {"nothing": nothing, "scene": scene, "record": record}[sys.argv[1]]()
