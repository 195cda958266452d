"""How crops fill windows, and which windows are scored."""

from pathlib import Path
from threading import Semaphore

import numpy as np
import pytest
from bundles import FRAMES, RATE, SIDE
from hypothesis import given
from hypothesis import strategies as st

from edge.finding import WindowScore
from edge.scan.frames import Crops, Floats
from edge.scan.model import inference
from edge.scan.model.bundle import load_bundle
from edge.scan.model.inference import Inference, fill_window, is_long_enough, slot_times

STEP = 0.125


def at(frames: int, step: float = STEP) -> list[float]:
    return [number * step for number in range(frames)]


def test_a_face_in_every_frame_fills_its_own_slots() -> None:
    assert fill_window(at(8), list(range(8)), 8, STEP) == list(range(8))


def test_where_a_face_was_missed_the_nearest_crop_stands_in() -> None:
    # Found in frames 1, 2 and 6; of two as near, the earlier.
    assert fill_window(at(8), [1, 2, 6], 8, STEP) == [0, 0, 1, 1, 1, 2, 2, 2]


def test_a_single_picture_fills_all_slots() -> None:
    assert fill_window([0.0], [0], 4, STEP) == [0, 0, 0, 0]


def test_a_short_clip_runs_back_and_forth() -> None:
    assert fill_window(at(3), [0, 1, 2], 8, STEP) == [0, 1, 2, 1, 0, 1, 2, 1]


def test_a_clip_of_few_frames_a_second_keeps_its_pace() -> None:
    # 4 Hz under slots of 8 Hz: each frame stands for two slots, and time does not run faster.
    slots = fill_window(at(4, 0.25), [0, 1, 2, 3], 7, STEP)
    assert slots == [0, 0, 1, 1, 2, 2, 3]


def test_first_frames_are_taken_as_they_come() -> None:
    assert fill_window(at(8, 1 / 30), list(range(8)), 8, STEP) == list(range(8))


@pytest.mark.parametrize(("found", "frames", "is_enough"), [(8, 16, True), (7, 16, False)])
def test_half_of_the_frames_are_enough(found: int, frames: int, is_enough: bool) -> None:
    assert is_long_enough(found, frames) is is_enough


@given(
    times=st.lists(st.floats(0, 1e5), min_size=1, max_size=40, unique=True).map(sorted),
    slots=st.integers(1, 40),
    data=st.data(),
)
def test_every_slot_gets_the_nearest_crop(
    times: list[float], slots: int, data: st.DataObject
) -> None:
    frames = st.integers(0, len(times) - 1)
    found = sorted(data.draw(st.sets(frames, min_size=1)))
    filled = fill_window(times, found, slots, STEP)
    assert len(filled) == slots
    for wanted, sighting in zip(slot_times(times, slots, STEP), filled, strict=True):
        assert times[0] <= wanted <= times[-1]
        nearest = min(abs(times[frame] - wanted) for frame in found)
        assert abs(times[found[sighting]] - wanted) == nearest


def scores(bundle: Path, *found: int) -> tuple[WindowScore, ...]:
    """Of windows that show a black face in the first `found` frames."""
    loaded, crop = load_bundle(bundle), np.zeros((SIDE, SIDE, 3), np.uint8)
    with Inference(lambda: loaded, loaded.manifest) as running:
        for window, frames in enumerate(found):
            for frame in range(FRAMES):
                seen = {7: crop} if frame < frames else {}
                running.add(window, window + frame / RATE, seen)
        return running.finish()[7]


def test_windows_that_hardly_show_the_face_are_left_out(bundle: Path) -> None:
    assert [score.start for score in scores(bundle, 8, 3, 4)] == [0.0, 2.0]
    (score,) = scores(bundle, 3)
    assert (score.start, score.end) == (0.0, 2 / RATE), "but kept if there are no others"
    assert score.logit == pytest.approx(0)
    assert score.fake_probability == pytest.approx(0.5)


def test_there_are_signs_of_life_while_a_slow_model_runs(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon ends itself after 60 s without one; four batches may wait."""
    monkeypatch.setattr(inference, "_SIGN_SECONDS", 0.01)
    loaded, signs = load_bundle(bundle), Semaphore(0)
    answer = loaded.features

    def slow(crops: Crops, output: str = "features") -> Floats:
        assert signs.acquire(timeout=60), "nobody says that it goes on"
        assert signs.acquire(timeout=60), "nobody says so again"
        return answer(crops, output)

    monkeypatch.setattr(loaded, "features", slow)
    with Inference(lambda: loaded, loaded.manifest, signs.release) as running:
        for frame in range(FRAMES):
            running.add(0, frame / RATE, {7: np.zeros((SIDE, SIDE, 3), np.uint8)})
        assert len(running.finish()[7]) == 1
