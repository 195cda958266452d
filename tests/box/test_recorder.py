"""The camera's thread, with cameras that work, hang, vanish or belong to somebody else."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from waiting import until

from edge.atomic_write import PREFIX, publish, unfinished_file
from edge.box.camera_worker import FOLDER, CameraWorker
from edge.box.events import CameraFailed, Event, FrameSeen, Recorded, RecordingProgressed
from edge.box.sources.camera import CameraError, CameraStuckError
from edge.box.views.camera import Framing
from edge.box.views.status import TroubleKind
from edge.errors import TruelightError
from edge.finding import Box
from edge.scan.model.manifest import QualityLimits
from edge.settings import Settings

PATIENCE = 30.0  # far more than it takes


class Double:
    """A camera that works, or fails, as a test sets it."""

    def __init__(self) -> None:
        self.refusal: CameraError | None = None
        self.hangs = 0
        """How often it does not answer until it works again."""
        self.opened = 0
        self.is_open = False
        self.rolling = threading.Event()
        self.rolling.set()
        """A recording goes on while this is set."""

    def open(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        if not self.is_open:
            self.opened += 1
            self.is_open = True

    def frame(self) -> NDArray[np.uint8]:
        self._answer()
        return np.full((360, 640, 3), 128, np.uint8)

    def record(
        self,
        seconds: float,
        path: Path,
        tell: Callable[[float], None],
        stopped: threading.Event,
    ) -> None:
        with unfinished_file(path) as half:
            tell(0.0)
            self._answer()
            while not self.rolling.wait(0.01):
                if stopped.is_set():
                    return
            half.write_text(f"{seconds} s")
            tell(1.0)
            publish(half, path)

    def close(self) -> None:
        self.is_open = False

    def _answer(self) -> None:
        assert self.is_open
        if self.hangs:
            self.hangs -= 1
            raise CameraStuckError


def face(side: float) -> Box:
    return Box(x=100, y=100, width=side, height=side)


class House:
    """Everything around the recorder."""

    def __init__(self, store: Path, camera: Double) -> None:
        self.camera = camera
        self.events: queue.Queue[Event] = queue.Queue()
        self.faces: Callable[[], list[Box]] = lambda: [face(100)]
        self.store = store
        settings = Settings().changed("test", {"store.folder": str(store)})
        finder = (lambda _: self.faces()), QualityLimits()
        self.recorder = CameraWorker(settings, camera, self.events.put, lambda _: finder)

    def next(self, kind: type) -> Event:
        """The next event of a kind."""
        deadline = time.monotonic() + PATIENCE
        while True:
            event = self.events.get(timeout=max(0.0, deadline - time.monotonic()))
            if isinstance(event, kind):
                return event

    def closes_quietly(self) -> bool:
        """Close the camera; whether nothing is posted from then on."""
        self.recorder.close()
        before = self.events.qsize()
        until(lambda: not self.camera.is_open)
        return self.events.qsize() == before


@pytest.fixture
def camera() -> Double:
    return Double()


@pytest.fixture
def house(tmp_path: Path, camera: Double) -> Iterator[House]:
    around = House(tmp_path, camera)
    yield around
    around.recorder.end()


def test_viewing_shows_pictures_and_says_what_to_do(house: House, camera: Double) -> None:
    assert not camera.is_open
    house.recorder.view()
    first = house.next(FrameSeen)
    assert isinstance(first, FrameSeen)
    assert first.image.pixels.shape == (72, 128)
    until(lambda: framing_of(house) is Framing.GOOD)
    house.faces = lambda: [face(10)]
    until(lambda: framing_of(house) is Framing.CLOSER)
    house.faces = list
    until(lambda: framing_of(house) is Framing.NO_FACE)
    assert house.closes_quietly()


def framing_of(house: House) -> Framing:
    event = house.next(FrameSeen)
    assert isinstance(event, FrameSeen)
    return event.framing


def test_a_slow_detector_does_not_hold_the_picture_up(house: House) -> None:
    found = threading.Event()

    def slowly() -> list[Box]:
        assert found.wait(PATIENCE)
        return [face(100)]

    house.faces = slowly
    house.recorder.view()
    assert [framing_of(house) for _ in range(5)] == [Framing.NO_FACE] * 5
    found.set()
    until(lambda: framing_of(house) is Framing.GOOD)


def test_what_was_seen_of_the_last_person_is_forgotten(house: House) -> None:
    house.recorder.view()
    until(lambda: framing_of(house) is Framing.GOOD)
    assert house.closes_quietly()
    house.recorder.view()
    assert framing_of(house) is Framing.NO_FACE


def test_a_recording_lies_in_the_store_under_its_time(house: House, camera: Double) -> None:
    house.recorder.view()
    house.next(FrameSeen)
    house.recorder.record(3.0)
    done = house.next(Recorded)
    assert isinstance(done, Recorded)
    assert done.clip.parent == house.store / FOLDER
    assert done.clip.suffix == ".mp4"
    assert done.clip.read_text() == "3.0 s"
    assert camera.opened == 1
    house.recorder.record(3.0)
    again = house.next(Recorded)
    assert isinstance(again, Recorded)
    assert again.clip != done.clip
    assert again.clip > done.clip


def test_the_progress_is_posted(house: House, camera: Double) -> None:
    camera.rolling.clear()
    house.recorder.record(3.0)
    assert house.next(RecordingProgressed) == RecordingProgressed(0.0)
    camera.rolling.set()
    assert house.next(RecordingProgressed) == RecordingProgressed(1.0)


def test_a_recording_that_is_cancelled_leaves_nothing(house: House, camera: Double) -> None:
    camera.rolling.clear()
    house.recorder.record(3.0)
    house.next(RecordingProgressed)
    assert house.closes_quietly()
    assert list((house.store / FOLDER).iterdir()) == []


def test_the_end_comes_at_once_and_leaves_nothing(house: House, camera: Double) -> None:
    camera.rolling.clear()
    house.recorder.record(3.0)
    house.next(RecordingProgressed)
    house.recorder.end()
    assert not camera.is_open
    assert list((house.store / FOLDER).iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "camera"]


def test_nothing_waits_for_a_camera_that_never_answers(house: House, camera: Double) -> None:
    answer, asked = threading.Event(), threading.Event()

    def never() -> NDArray[np.uint8]:
        asked.set()
        answer.wait()
        raise CameraStuckError

    camera.frame = never  # type: ignore[method-assign]
    house.recorder.view()
    assert asked.wait(PATIENCE)
    house.recorder.close()
    house.recorder.record(3.0)
    house.recorder.end()
    assert camera.is_open  # its thread is left behind
    answer.set()
    assert house.closes_quietly()


@pytest.mark.parametrize("words", ["No camera found", "Another program has the camera"])
def test_a_camera_that_cannot_be_had_is_named_and_asked_again_later(
    house: House, camera: Double, words: str
) -> None:
    camera.refusal = CameraError(words, "Do this.")
    house.recorder.view()
    failed = house.next(CameraFailed)
    assert isinstance(failed, CameraFailed)
    assert failed.trouble.kind is TroubleKind.CAMERA_MISSING
    assert (failed.trouble.message, failed.trouble.remedy) == (words, "Do this.")
    assert house.events.empty()
    camera.refusal = None
    house.recorder.view()
    house.next(FrameSeen)


def test_a_camera_that_hangs_once_is_reopened(house: House, camera: Double) -> None:
    house.recorder.view()
    house.next(FrameSeen)
    camera.hangs = 1
    until(lambda: camera.opened == 2)
    house.next(FrameSeen)
    house.recorder.close()
    until(lambda: not camera.is_open)
    while not house.events.empty():
        assert isinstance(house.events.get(), FrameSeen)


def test_a_camera_that_hangs_twice_is_missing(house: House, camera: Double) -> None:
    camera.hangs = 2
    house.recorder.view()
    failed = house.next(CameraFailed)
    assert isinstance(failed, CameraFailed)
    assert failed.trouble.kind is TroubleKind.CAMERA_MISSING
    assert failed.trouble.message == "Camera does not answer."
    assert not camera.is_open
    assert camera.opened == 2


def test_a_recording_that_hangs_is_started_again(house: House, camera: Double) -> None:
    camera.hangs = 1
    house.recorder.record(2.0)
    done = house.next(Recorded)
    assert isinstance(done, Recorded)
    assert [path.name for path in done.clip.parent.iterdir()] == [done.clip.name]


def test_a_full_disk_is_reported_in_its_own_words(house: House, camera: Double) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    camera.record = full  # type: ignore[method-assign]
    house.recorder.record(2.0)
    failed = house.next(CameraFailed)
    assert isinstance(failed, CameraFailed)
    assert failed.trouble.remedy == "No space left on device"
    assert not camera.is_open


def test_a_camera_that_breaks_in_an_unknown_way_does_not_end_the_thread(
    house: House, camera: Double
) -> None:
    frame = camera.frame

    def broken() -> NDArray[np.uint8]:
        camera.frame = frame  # type: ignore[method-assign]
        raise ValueError("what is this")

    camera.frame = broken  # type: ignore[method-assign]
    house.recorder.view()
    failed = house.next(CameraFailed)
    assert isinstance(failed, CameraFailed)
    assert "what is this" in failed.trouble.remedy
    house.recorder.view()
    house.next(FrameSeen)


def test_a_detector_that_is_missing_is_no_missing_camera(house: House, camera: Double) -> None:
    def missing() -> list[Box]:
        raise TruelightError("No detector", "Run ./setup.sh.")

    house.faces = missing
    house.recorder.view()
    failed = house.next(CameraFailed)
    assert isinstance(failed, CameraFailed)
    assert failed.trouble.kind is TroubleKind.MODEL_REFUSED
    assert failed.trouble.remedy == "Run ./setup.sh."
    assert not camera.is_open


def test_halves_of_a_power_cut_are_swept_away(tmp_path: Path, camera: Double) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / f"{PREFIX}abc.mp4").write_text("half")
    (folder / "whole.mp4").write_text("whole")
    House(tmp_path, camera).recorder.end()
    assert [path.name for path in folder.iterdir()] == ["whole.mp4"]
