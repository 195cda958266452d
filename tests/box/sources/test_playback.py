"""The simulated camera: what it shows and records of files of every kind."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from clips import CARD, card, number_of, write_clip, write_image

from edge.box.sources.camera import Camera, CameraError, open_camera
from edge.box.sources.file_camera import FileCamera
from edge.scan.media.client import open_clip
from edge.scan.media.sampling import Sampling
from edge.settings import Settings
from edge.settings_schema import CameraSettings

SETTINGS = CameraSettings(kind="file", width=320, height=240, frame_rate=10)


class Time:
    """Goes by when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty numbered cards, 25 a second."""
    return write_clip(tmp_path_factory.mktemp("film") / "film.mp4", 20)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four numbered cards, and what is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(4):
        write_image(folder / f"{number}.png", card(number=number))
    (folder / "notes.txt").write_text("to do")
    write_image(folder / ".hidden.png", card(number=9))
    return folder


def playback(file: Path, time: Time, settings: CameraSettings = SETTINGS) -> FileCamera:
    return FileCamera(settings.model_copy(update={"file": str(file)}), time.clock, time.sleep)


def numbers(clip: Path) -> list[int]:
    """The numbers on a clip's cards, in the order of its frames."""
    return [number_of(pixels) for pixels in frames(clip)]


def frames(clip: Path) -> Iterator[np.ndarray]:
    with open_clip(clip, Sampling(1, 1.0, 1, first=1000)) as opened:
        for frame in opened.frames():
            yield frame.pixels.copy()


def is_red(pixels: np.ndarray) -> bool:
    colour = pixels[120:160, 100:300].mean(axis=(0, 1))
    return bool((np.abs(colour - CARD) < 16).all())


def test_a_film_is_played_in_real_time_and_starts_again(film: Path, time: Time) -> None:
    camera = playback(film, time)
    camera.open()
    seen = []
    for moment in (0.0, 0.0, 0.2, 0.6, 0.79, 0.81, 1.2, 8.0):
        time.now = 1000.0 + moment + 1e-6
        seen.append(number_of(camera.frame()))
    assert seen == [0, 0, 5, 15, 19, 0, 10, 0]


def test_a_folder_is_seen_at_the_rate_that_is_set(pictures: Path, time: Time) -> None:
    camera = playback(pictures, time)
    camera.open()
    seen = []
    for moment in (0.0, 0.1, 0.3, 0.4):
        time.now = 1000.0 + moment + 1e-6
        seen.append(number_of(camera.frame()))
    assert seen == [0, 1, 3, 0]


def test_red_is_red(film: Path, pictures: Path, time: Time) -> None:
    for file in (film, pictures, pictures / "0.png"):
        camera = playback(file, time)
        camera.open()
        assert is_red(camera.frame())


@pytest.mark.parametrize(
    ("shape", "settings", "view"),
    [
        ((720, 1280), (1280, 720), (360, 640)),
        ((1280, 720), (1280, 720), (360, 640)),
        ((90, 160), (320, 240), (240, 320)),
    ],
)
def test_it_stands_before_the_camera_whole_and_never_enlarged(
    tmp_path: Path,
    time: Time,
    shape: tuple[int, int],
    settings: tuple[int, int],
    view: tuple[int, int],
) -> None:
    white = np.full((*shape, 3), 255, np.uint8)
    file = write_image(tmp_path / "white.png", white)
    chosen = SETTINGS.model_copy(update={"width": settings[0], "height": settings[1]})
    camera = playback(file, time, chosen)
    camera.open()
    seen = camera.frame()
    assert seen.shape == (*view, 3)
    lit = np.argwhere(seen[..., 0] > 128)
    high, wide = lit.max(axis=0) - lit.min(axis=0) + 1
    scale = min(1.0, settings[0] / shape[1], settings[1] / shape[0]) * view[1] / settings[0]
    assert abs(high - shape[0] * scale) <= 1
    assert abs(wide - shape[1] * scale) <= 1


@pytest.mark.parametrize(
    ("source", "rate", "expected"),
    [
        ("film", 25, [*range(20), *range(20), *range(10)]),
        ("folder", 10, [0, 1, 2, 3] * 5),
        ("picture", 10, [2] * 20),
    ],
)
def test_a_recording_is_as_long_as_was_asked(
    film: Path,
    pictures: Path,
    time: Time,
    tmp_path: Path,
    source: str,
    rate: int,
    expected: list[int],
) -> None:
    file = {"film": film, "folder": pictures, "picture": pictures / "2.png"}[source]
    camera = playback(file, time)
    camera.open()
    time.now += 0.5
    camera.frame()
    fractions: list[float] = []
    clip = tmp_path / "clip.mp4"
    began = time.now
    camera.record(2.0, clip, fractions.append, threading.Event())
    assert time.now - began == pytest.approx(2.0, abs=0.2)  # in real time
    assert numbers(clip) == expected[: 2 * rate]
    assert is_red(next(frames(clip)))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    with open_clip(clip, Sampling(1, 1.0, 1)) as opened:
        assert opened.clip.seconds == pytest.approx(2.0, abs=0.05)
        assert (opened.clip.width, opened.clip.height) == (320, 240)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_rate_of_television_is_kept(time: Time, tmp_path: Path) -> None:
    file = write_clip(tmp_path / "tv.mp4", 30, rate=30000 / 1001)
    camera = playback(file, time)
    clip = tmp_path / "clip.mp4"
    camera.record(2.0, clip, lambda _: None, threading.Event())
    with open_clip(clip, Sampling(1, 1.0, 1)) as opened:
        assert opened.clip.frame_rate == pytest.approx(29.97, abs=0.01)


def test_a_recording_that_is_stopped_leaves_nothing(film: Path, time: Time, tmp_path: Path) -> None:
    stopped = threading.Event()

    def tell(fraction: float) -> None:
        if fraction > 0.5:
            stopped.set()

    playback(film, time).record(2.0, tmp_path / "clip.mp4", tell, stopped)
    assert list(tmp_path.iterdir()) == []


def test_a_recording_without_a_place_is_an_error(film: Path, time: Time, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        playback(film, time).record(
            2.0, tmp_path / "no" / "clip.mp4", lambda _: None, threading.Event()
        )


@pytest.mark.parametrize("kind", ["missing", "empty folder", "broken film", "broken picture"])
def test_what_cannot_be_played_is_reported(tmp_path: Path, time: Time, kind: str) -> None:
    file = tmp_path / {"broken film": "a.mp4", "broken picture": "a.png"}.get(kind, "place")
    if kind == "empty folder":
        file.mkdir()
    elif kind != "missing":
        file.write_bytes(b"not what its name says" * 100)
    camera = playback(file, time)
    with pytest.raises(CameraError) as failure:
        camera.open()
        camera.frame()
    assert failure.value.remedy


def test_a_phones_film_is_upright(tmp_path: Path, time: Time) -> None:
    file = write_clip(tmp_path / "phone.mp4", (card(240, 320) for _ in range(5)), rotation=90)
    camera = playback(file, time, SETTINGS.model_copy(update={"width": 640, "height": 480}))
    camera.open()
    seen = camera.frame()
    lit = np.argwhere(seen.max(axis=2) > 100)
    high, wide = lit.max(axis=0) - lit.min(axis=0) + 1
    assert wide == 240
    assert high > wide
    assert (seen[90:150, 205:250] > 200).all()  # the marker is at its top left


def test_closing_lets_go_of_the_file(film: Path, time: Time) -> None:
    camera = playback(film, time)
    camera.open()
    camera.frame()
    camera.close()
    camera.close()
    links = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
    assert film not in links


def test_the_settings_choose_the_camera(film: Path) -> None:
    def chosen(**values: object) -> Camera:
        paths = {f"camera.{name}": value for name, value in values.items()}
        return open_camera(Settings().changed("test", paths))

    assert isinstance(chosen(kind="file", file=str(film)), FileCamera)
    with pytest.raises(CameraError, match=r"camera\.file"):
        chosen(kind="file").open()
    with pytest.raises(CameraError, match=r"camera\.kind"):
        chosen(kind="none").open()
