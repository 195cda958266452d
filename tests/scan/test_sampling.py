from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.scan.media.sampling import FrameChooser, Sampling

FOUR_HERTZ = Sampling(window_frames=8, window_rate=4.0, max_windows=5)


def chosen(
    sampling: Sampling, times: list[float], seconds: float, period: float | None = None
) -> list[tuple[int, float]]:
    """Windows and times of the frames chosen from a clip that has frames at `times`."""
    chooser: FrameChooser[float] = FrameChooser(sampling.plan(seconds), period)
    choices = [choice for time in times for choice in chooser.offer(time, time)]
    choices += chooser.finish(seconds)
    assert all(choice.time == choice.frame for choice in choices)
    return [(choice.window, choice.time) for choice in choices]


def test_windows_are_spread_over_the_whole_of_a_long_clip() -> None:
    slots = FOUR_HERTZ.plan(3600.0)
    starts = [slot.time for slot in slots[::8]]
    assert [slot.window for slot in slots] == [window for window in range(5) for _ in range(8)]
    assert starts == pytest.approx([0.0, 899.5, 1799.0, 2698.5, 3598.0])
    assert slots[-1].time == pytest.approx(3599.75)
    assert slots[1].time - slots[0].time == pytest.approx(0.25)


def test_a_short_clip_is_covered_without_overlap() -> None:
    assert [slot.time for slot in FOUR_HERTZ.plan(10.0)] == [n / 4 for n in range(40)]
    five = FOUR_HERTZ.plan(5.0)
    assert [slot.window for slot in five].count(2) == 4  # half a window is left: still a window
    assert [slot.time for slot in five] == [n / 4 for n in range(20)]


def test_a_clip_shorter_than_a_window_gives_what_it_has() -> None:
    assert [slot.time for slot in FOUR_HERTZ.plan(0.6)] == [0.0, 0.25, 0.5]
    assert FOUR_HERTZ.plan(0.0) == [(0, 0.0)]


@given(st.floats(0, 1e5), st.integers(1, 32), st.floats(0.5, 60), st.integers(1, 12))
def test_slots_keep_their_promises(seconds: float, frames: int, rate: float, windows: int) -> None:
    slots = Sampling(frames, rate, windows).plan(seconds)
    assert 1 <= len(slots) <= frames * windows
    assert all(early.time < late.time for early, late in pairwise(slots))
    assert all(early.window <= late.window for early, late in pairwise(slots))
    assert slots[-1].time < max(seconds, 1e-9)


@pytest.mark.parametrize("wrong", [(0, 4.0, 5), (8, 0.0, 5), (8, 4.0, 0), (8, 4.0, 5, 0)])
def test_senseless_samplings_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        Sampling(*wrong)  # type: ignore[arg-type]


def test_each_slot_gets_the_nearest_frame() -> None:
    times = [n / 30 for n in range(300)]
    for period in (None, 1 / 30):
        picked = chosen(FOUR_HERTZ, times, 10.0, period)
        assert len(picked) == 40
        for (_, time), slot in zip(picked, FOUR_HERTZ.plan(10.0), strict=True):
            assert abs(time - slot.time) == pytest.approx(
                min(abs(other - slot.time) for other in times)
            )


def test_a_variable_rate_gets_the_nearest_frames_too() -> None:
    times = [0.0, 0.26, 0.27, 0.9, 1.0, 1.1, 1.74]
    assert [time for _, time in chosen(FOUR_HERTZ, times, 2.0)] == [
        0.0,
        0.26,
        0.27,
        0.9,
        1.0,
        1.1,
        1.74,
    ]


def test_no_frame_twice_in_a_window_when_the_clip_is_slower_than_the_window() -> None:
    picked = chosen(FOUR_HERTZ, [float(n) for n in range(10)], 10.0)
    assert len(set(picked)) == len(picked)
    assert {window for window, _ in picked} == {0, 1, 2, 3, 4}
    assert {time for _, time in picked} == {float(n) for n in range(10)}


def test_a_slide_show_is_seen_in_every_window() -> None:
    assert chosen(FOUR_HERTZ, [0.0, 5.0], 10.0) == [
        *((0, 0.0), (1, 0.0), (1, 5.0)),
        *((2, 5.0), (3, 5.0), (4, 5.0)),
    ]


def test_the_last_frame_does_not_stand_for_a_missing_end() -> None:
    chooser: FrameChooser[int] = FrameChooser(FOUR_HERTZ.plan(10.0))
    choices = [choice for n in range(12) for choice in chooser.offer(n / 4, n)]
    assert [choice.frame for choice in choices + chooser.finish(end=3.0)] == list(range(12))


def test_one_frame_is_chosen_whatever_the_clip_claims() -> None:
    single = Sampling(8, 4.0, 1)
    assert chosen(single, [0.0], 100.0, period=0.04) == [(0, 0.0)]
