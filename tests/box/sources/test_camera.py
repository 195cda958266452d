"""The Pi's camera, with a small stand-in for the library that speaks to it.

That the real one does as the stand-in: `tests/vm/run camera`.
"""

import sys
import threading
import time
import types
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import CARD, card, write_clip

from edge.box.sources.camera import CameraError, CameraStuckError, open_camera, view_size
from edge.box.sources.picamera import PiCamera, is_whole_mp4, to_rgb
from edge.settings import Settings
from edge.settings_schema import CameraSettings

DEADLINE = 1.0  # the shortest that can be set
SETTINGS = CameraSettings(width=640, height=480, frame_rate=10, deadline=DEADLINE)


class World:
    """What the stand-in's cameras are like, and what became of them."""

    def __init__(self) -> None:
        self.cameras = 1
        self.owner: object | None = None
        self.flowing = threading.Event()
        self.flowing.set()
        self.closing = threading.Event()
        self.closing.set()
        self.opening = threading.Event()
        self.opening.set()
        self.configuration: dict[str, Any] = {}
        self.controls: dict[str, Any] = {}
        self.encoder: Encoder | None = None
        self.broken = ""
        self.damage = 0
        """Bytes of a recording that never reach the disk."""


class Encoder:
    def __init__(self, bitrate: int, **more: Any) -> None:
        self.bitrate, self.more = bitrate, more
        self.frames_encoded = 0


class H264Encoder(Encoder):
    pass


class MJPEGEncoder(Encoder):
    pass


class Output:
    def __init__(self, name: str, format: str) -> None:
        self.name, self.format = Path(name), format
        self.error_callback: Any = None


def stand_in(world: World) -> type:
    class Picamera2:
        def __init__(self, number: int) -> None:
            self.camera_controls = {"AfMode": (0, 2, 0)}
            world.opening.wait()
            if world.owner is not None:
                try:
                    raise RuntimeError("Failed to acquire camera: Device or resource busy")
                except RuntimeError as busy:
                    raise RuntimeError("Camera __init__ sequence did not complete.") from busy
            world.owner = self
            self._ending = threading.Event()
            self._cancelled = threading.Event()

        @staticmethod
        def global_camera_info() -> list[dict[str, Any]]:
            return [{}] * world.cameras

        def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
            return wanted

        def configure(self, configuration: dict[str, Any]) -> None:
            if world.broken:
                raise RuntimeError(world.broken)
            world.configuration = configuration

        def camera_configuration(self) -> dict[str, Any]:
            return world.configuration

        def set_controls(self, controls: dict[str, Any]) -> None:
            world.controls |= controls

        def start(self) -> None:
            pass

        def capture_array(self, name: str) -> np.ndarray:
            while not world.flowing.wait(0.01):
                if self._cancelled.is_set():
                    raise CancelledError
            width, height = world.configuration[name]["size"]
            return planes(np.full((height, width, 3), CARD, np.uint8))

        def start_encoder(self, encoder: Encoder, output: Output) -> None:
            world.encoder, self._output = encoder, output
            self._ending.clear()
            self._thread = threading.Thread(target=self._encode, args=(encoder,), daemon=True)
            self._thread.start()

        def _encode(self, encoder: Encoder) -> None:
            while not self._ending.wait(0.02):
                if world.flowing.is_set():
                    encoder.frames_encoded += 1

        def stop_encoder(self, encoder: Encoder) -> None:
            self._ending.set()
            self._thread.join()
            made = max(1, encoder.frames_encoded)
            write_clip(self._output.name, made, rate=50, container=self._output.format)
            if world.damage:
                with self._output.name.open("r+b") as file:
                    file.truncate(self._output.name.stat().st_size - world.damage)

        def cancel_all_and_flush(self) -> None:
            self._cancelled.set()

        def close(self) -> None:
            world.closing.wait()
            world.owner = None

    return Picamera2


def planes(pixels: np.ndarray) -> np.ndarray:
    """RGB as the sensor's YUV420, rows padded to a multiple of 64, as the Pi gives them."""
    height, width = pixels.shape[:2]
    padded = np.zeros((height, -(-width // 64) * 64, 3), np.uint8)
    padded[:, :width] = pixels
    frame = av.VideoFrame.from_ndarray(padded, format="rgb24")
    return np.asarray(frame.reformat(format="yuv420p").to_ndarray())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World()
    picamera2, encoders = types.ModuleType("picamera2"), types.ModuleType("picamera2.encoders")
    outputs, libcamera = types.ModuleType("picamera2.outputs"), types.ModuleType("libcamera")
    picamera2.Picamera2 = stand_in(made)  # type: ignore[attr-defined]
    encoders.H264Encoder, encoders.MJPEGEncoder = H264Encoder, MJPEGEncoder  # type: ignore[attr-defined]
    outputs.PyavOutput = Output  # type: ignore[attr-defined]
    libcamera.Transform = lambda **flips: flips  # type: ignore[attr-defined]
    libcamera.controls = types.SimpleNamespace(  # type: ignore[attr-defined]
        AfModeEnum=types.SimpleNamespace(Continuous="continuous")
    )
    for module in (picamera2, encoders, outputs, libcamera):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    yield made
    for event in (made.flowing, made.closing, made.opening):
        event.set()


def settings(**values: object) -> CameraSettings:
    return SETTINGS.model_copy(update=values)


def refusal(camera: PiCamera) -> CameraError:
    with pytest.raises(CameraError) as failure:
        camera.open()
    return failure.value


def is_red(pixels: np.ndarray) -> bool:
    return bool((np.abs(pixels.mean(axis=(0, 1)) - CARD) < 12).all())


# ---- Colours


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("YUV420", planes),
        ("RGB888", lambda rgb: rgb[..., ::-1]),
        ("BGR888", lambda rgb: rgb),
        ("XRGB8888", lambda rgb: np.dstack([rgb[..., ::-1], rgb[..., 0]])),
        ("XBGR8888", lambda rgb: np.dstack([rgb, rgb[..., 0]])),
    ],
)
def test_a_red_card_is_red_in_every_format(name: str, stored: Any) -> None:
    rgb = np.full((180, 300, 3), CARD, np.uint8)
    pixels = to_rgb(stored(rgb), name, (300, 180))
    assert pixels.shape == (180, 300, 3)
    assert is_red(pixels)


def test_nv12_is_red_too() -> None:
    rgb = np.full((180, 320, 3), CARD, np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="nv12")
    assert is_red(to_rgb(np.asarray(frame.to_ndarray()), "NV12", (320, 180)))


def test_an_unexpected_format_is_reported() -> None:
    with pytest.raises(CameraError, match="SBGGR10"):
        to_rgb(np.zeros((10, 10), np.uint8), "SBGGR10", (10, 10))


# ---- Viewing


def test_the_viewfinder_is_small_and_in_true_colours(world: World) -> None:
    camera = PiCamera(settings(width=1280, height=720))
    camera.open()
    pixels = camera.frame()
    assert pixels.shape == (360, 640, 3)
    assert is_red(pixels)
    assert world.configuration["controls"] == {"FrameRate": 10}
    assert world.controls == {"AfMode": "continuous"}
    camera.close()
    assert world.owner is None


@pytest.mark.parametrize(
    ("recording", "view"),
    [((1280, 720), (640, 360)), ((320, 240), (320, 240)), ((4096, 2304), (640, 360))],
)
def test_the_viewfinder_keeps_the_shape(recording: tuple[int, int], view: tuple[int, int]) -> None:
    assert view_size(*recording) == view


@pytest.mark.parametrize("turned", [True, False])
def test_a_camera_that_hangs_upside_down_is_turned(world: World, turned: bool) -> None:
    PiCamera(settings(upside_down=turned)).open()
    assert world.configuration["transform"] == {"hflip": turned, "vflip": turned}


# ---- A camera that cannot be had


def test_no_camera_another_owner_and_no_library_have_messages_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.owner = object()
    assert refusal(PiCamera(SETTINGS)).message == "Another program has the camera."
    world.cameras = 0
    assert refusal(PiCamera(SETTINGS)).message == "No camera found."
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert refusal(PiCamera(SETTINGS)).message == "Picamera2 is missing."


def test_a_camera_that_cannot_be_set_up_is_let_go(world: World) -> None:
    world.broken = "Invalid camera configuration"
    failure = refusal(PiCamera(SETTINGS))
    assert "Invalid camera configuration" in failure.remedy
    assert world.owner is None


# ---- A camera that locks up


def test_a_frame_that_does_not_come_ends_at_the_deadline(world: World) -> None:
    camera = PiCamera(SETTINGS)
    camera.open()
    camera.frame()
    world.flowing.clear()
    with pytest.raises(CameraStuckError):
        camera.frame()
    camera.close()
    assert world.owner is None
    world.flowing.set()
    camera.open()
    assert is_red(camera.frame())


def test_a_camera_that_cannot_even_be_closed_needs_a_restart(world: World) -> None:
    camera = PiCamera(SETTINGS)
    camera.open()
    world.closing.clear()
    camera.close()
    failure = refusal(camera)
    assert isinstance(failure, CameraStuckError)
    assert failure.remedy == "Switch the box off and on."
    world.closing.set()
    until = time.monotonic() + 30
    while world.owner is not None:
        assert time.monotonic() < until
    camera.open()


def test_a_camera_that_opens_too_late_is_let_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.box.sources.picamera._OPENING_SECONDS", 0.2)
    world.opening.clear()
    camera = PiCamera(SETTINGS)
    assert isinstance(refusal(camera), CameraStuckError)
    world.opening.set()
    until = time.monotonic() + 30
    while camera._stuck is not None and camera._stuck.is_alive():
        assert time.monotonic() < until
    assert world.owner is None
    camera.open()


# ---- Recording


def record(camera: PiCamera, path: Path, seconds: float = 0.5) -> list[float]:
    fractions: list[float] = []
    camera.record(seconds, path, fractions.append, threading.Event())
    return fractions


def test_a_recording_is_whole(world: World, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    fractions = record(PiCamera(SETTINGS), clip)
    assert is_whole_mp4(clip)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("width", "height", "rate", "encoder", "bits"),
    [
        (1280, 720, 30, H264Encoder, 6_912_000),
        (1920, 1080, 60, H264Encoder, 25_000_000),
        (4096, 2304, 10, MJPEGEncoder, 200_000_000),
    ],
)
def test_the_encoder_suits_the_size(
    world: World, tmp_path: Path, width: int, height: int, rate: int, encoder: type, bits: int
) -> None:
    chosen = settings(width=width, height=height, frame_rate=rate)
    record(PiCamera(chosen), tmp_path / "clip.mp4", 0.1)
    assert type(world.encoder) is encoder
    assert world.encoder is not None
    assert world.encoder.bitrate == bits


def test_a_recording_that_is_stopped_leaves_nothing(world: World, tmp_path: Path) -> None:
    stopped = threading.Event()

    def tell(fraction: float) -> None:
        stopped.set()

    PiCamera(SETTINGS).record(60.0, tmp_path / "clip.mp4", tell, stopped)
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_locks_up_leaves_nothing(world: World, tmp_path: Path) -> None:
    def tell(fraction: float) -> None:
        world.flowing.clear()

    with pytest.raises(CameraStuckError):
        PiCamera(SETTINGS).record(60.0, tmp_path / "clip.mp4", tell, threading.Event())
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_does_not_fit_the_disk_leaves_nothing(
    world: World, tmp_path: Path
) -> None:
    world.damage = 100
    with pytest.raises(CameraError, match="Recording failed"):
        record(PiCamera(SETTINGS), tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


def test_failures_of_the_muxer_are_heard(world: World, tmp_path: Path) -> None:
    camera = PiCamera(SETTINGS)

    def tell(fraction: float) -> None:
        assert world.owner is not None
        world.owner._output.error_callback(OSError("No space left on device"))  # type: ignore[attr-defined]

    with pytest.raises(CameraError, match="Recording failed"):
        camera.record(0.2, tmp_path / "clip.mp4", tell, threading.Event())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 1.0])
def test_only_an_mp4_that_ends_where_it_should_is_whole(tmp_path: Path, kept: float) -> None:
    clip = write_clip(tmp_path / "clip.mp4", (card() for _ in range(5)))
    data = clip.read_bytes()
    clip.write_bytes(data[: round(len(data) * kept)])
    assert is_whole_mp4(clip) is (kept == 1.0)


def test_the_settings_choose_it() -> None:
    assert isinstance(open_camera(Settings()), PiCamera)
