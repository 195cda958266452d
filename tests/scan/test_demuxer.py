"""Times of frames, from time stamps that may be wrong."""

from edge.scan.media.timestamps import SteadyRate, steady_times


def times_of(stamps: list[float | None], step: float = 0.1) -> tuple[list[float], list[bool]]:
    doubts: list[bool] = []
    times = [
        round(time, 3) for time, _ in steady_times(((s, s) for s in stamps), step, doubts.append)
    ]
    return times, doubts


def test_ordinary_stamps_pass() -> None:
    assert times_of([0.0, 0.1, 0.2, 3.0]) == ([0.0, 0.1, 0.2, 3.0], [])


def test_missing_stamps_follow_the_usual_step() -> None:
    assert times_of([None, None, 0.2, None]) == ([0.0, 0.1, 0.2, 0.3], [])


def test_a_wrong_stamp_costs_its_frame_only() -> None:
    assert times_of([0.0, 0.1, 900.0, 0.3, 0.4]) == ([0.0, 0.1, 0.3, 0.4], [False])
    assert times_of([7.0, 7.1, 0.0, 7.3, 7.4]) == ([7.0, 7.1, 7.3, 7.4], [False])


def test_a_long_gap_is_believed_if_the_next_stamp_confirms_it() -> None:
    assert times_of([0.0, 10.0, 20.0]) == ([0.0, 10.0, 20.0], [])


def test_time_goes_on_where_the_clock_restarts() -> None:
    assert times_of([50.0, 50.1, 0.0, 0.1, 0.2]) == ([50.0, 50.1, 50.2, 50.3, 50.4], [True])


def test_times_ascend_even_where_stamps_stutter() -> None:
    times = [time for time, _ in steady_times([(0.0, 0), (0.0, 1), (0.0, 2)], 0.1, print)]
    assert times == sorted(set(times))


def is_steady(times: list[float], period: float = 0.04) -> bool:
    rate = SteadyRate(period)
    held = [rate.holds(time) for time in times]
    return held[-1]


def test_a_rate_is_steady_in_decoding_order_and_rounded_to_milliseconds() -> None:
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    assert is_steady([round(5 + n / 30, 3) for n in order], 1 / 30)


def test_a_claimed_rate_is_not_believed_if_frames_are_off_it_or_missing() -> None:
    assert not is_steady([0.0, 0.1, 0.283])
    assert not is_steady([n * 0.4 for n in range(5)])
