from edge.scan.media.timestamps import Beat, steady


def told(stamps: list[float | None], step: float = 0.1) -> tuple[list[float], list[bool]]:
    doubts: list[bool] = []
    times = [round(time, 3) for time, _ in steady(((s, s) for s in stamps), step, doubts.append)]
    return times, doubts


def test_ordinary_stamps_pass() -> None:
    assert told([0.0, 0.1, 0.2, 3.0]) == ([0.0, 0.1, 0.2, 3.0], [])


def test_missing_stamps_follow_the_usual_step() -> None:
    assert told([None, None, 0.2, None]) == ([0.0, 0.1, 0.2, 0.3], [])


def test_a_garbled_stamp_costs_its_frame_only() -> None:
    assert told([0.0, 0.1, 900.0, 0.3, 0.4]) == ([0.0, 0.1, 0.3, 0.4], [False])
    assert told([7.0, 7.1, 0.0, 7.3, 7.4]) == ([7.0, 7.1, 7.3, 7.4], [False])


def test_a_long_gap_is_believed_when_the_next_stamp_bears_it_out() -> None:
    assert told([0.0, 10.0, 20.0]) == ([0.0, 10.0, 20.0], [])


def test_a_new_start_of_the_clock_goes_on_in_time() -> None:
    assert told([50.0, 50.1, 0.0, 0.1, 0.2]) == ([50.0, 50.1, 50.2, 50.3, 50.4], [True])


def test_times_ascend_even_where_stamps_stutter() -> None:
    times = [time for time, _ in steady([(0.0, 0), (0.0, 1), (0.0, 2)], 0.1, print)]
    assert times == sorted(set(times))


def beats(times: list[float], period: float = 0.04) -> bool:
    beat = Beat(period)
    held = [beat.holds(time) for time in times]
    return held[-1]


def test_a_beat_holds_in_decoding_order_and_rounded_to_milliseconds() -> None:
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    assert beats([round(5 + n / 30, 3) for n in order], 1 / 30)


def test_a_claimed_rate_is_not_believed_when_frames_come_off_beat_or_are_missing() -> None:
    assert not beats([0.0, 0.1, 0.283])
    assert not beats([n * 0.4 for n in range(5)])
