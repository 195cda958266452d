"""Times of frames, from time stamps that may be wrong."""

from edge.scan.media.timestamps import Packet, PacketIndex, SteadyRate, steady_times


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


# ---- The index of packets


def index_of(stamps: list[int | None], keys: int = 10, rate: float = 25.0) -> PacketIndex:
    """Of packets in milliseconds that are shown when they are decoded."""
    packets = [
        Packet(stamp, stamp, 40, number % keys == 0, number * 100)
        for number, stamp in enumerate(stamps)
    ]
    return PacketIndex(packets, 0.001, rate)


def times_in(index: PacketIndex) -> list[int]:
    return [index.time(number) for number in range(len(index))]


def test_a_clock_that_restarts_goes_on_from_where_it_was() -> None:
    once = [n * 40 for n in range(50)]
    for start in (0, 90_000, 7_200_000):
        index = index_of([*once, *(start + stamp for stamp in once), *once])
        assert times_in(index) == [n * 40 for n in range(150)]
        assert index.seconds == 6.0
        assert index.restarts == 2
        assert [number for number in range(150) if index.is_joint(number)][:1] == [46]


def test_a_single_wrong_stamp_is_no_restart() -> None:
    stamps: list[int | None] = [n * 40 for n in range(50)]
    stamps[20] = 10**9
    stamps[30] = 2**62
    index = index_of(stamps)
    assert (index.restarts, index.seconds) == (0, 2.0)


def test_pauses_are_believed() -> None:
    index = index_of([0, 40, 80, 30_000, 30_040, 30_080])
    assert (index.restarts, index.seconds) == (0, 30.12)


def test_stamps_that_say_nothing_are_counted() -> None:
    for stamps in ([0] * 50, [None] * 50, [7] * 50):
        index = index_of(list(stamps))
        assert index.counted
        assert times_in(index) == [n * 40 for n in range(50)]
        assert index.seconds == 2.0


def test_the_key_frame_before_a_time_is_found() -> None:
    index = index_of([n * 40 for n in range(50)])
    assert [index.key_before(stamp) for stamp in (-5, 0, 399, 400, 10**6)] == [0, 0, 0, 10, 40]
