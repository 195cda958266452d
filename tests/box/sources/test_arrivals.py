"""When files count as arrived: clips that are whole, together with those that come with them."""

from pathlib import Path

from edge.box.sources.arrivals import (
    HOLD_SECONDS,
    SETTLE_SECONDS,
    STABLE_SECONDS,
    Arrivals,
    Stamp,
)

A, B = Path("a.mp4"), Path("b.mp4")
SMALL, LARGE = Stamp(10**9, 1), Stamp(10**9, 2)


def begun() -> Arrivals:
    """As it is after it found nothing at its start."""
    arrivals = Arrivals()
    assert arrivals.look({}, 0.0, 1000.0) == ((), None)
    return arrivals


def test_a_closed_file_waits_a_moment_and_comes_once() -> None:
    arrivals = begun()
    arrivals.close(A)
    assert arrivals.look({A: SMALL}, 5.0, 1005.0) == ((), 5.0 + SETTLE_SECONDS)
    assert arrivals.look({A: SMALL}, 5.0 + SETTLE_SECONDS, 1006.0) == ((A,), None)
    assert arrivals.look({A: SMALL}, 99.0, 1099.0) == ((), None)


def test_a_file_nobody_closed_must_stay_as_it_is() -> None:
    arrivals = begun()
    assert arrivals.look({A: SMALL}, 5.0, 1005.0) == ((), 5.0 + STABLE_SECONDS)
    assert arrivals.look({A: LARGE}, 9.0, 1009.0) == ((), 9.0 + STABLE_SECONDS)
    arrivals.close(A)
    arrivals.write(A)  # opened again
    assert arrivals.look({A: LARGE}, 12.0, 1012.0) == ((), 9.0 + STABLE_SECONDS)
    assert arrivals.look({A: LARGE}, 9.0 + STABLE_SECONDS, 1014.0) == ((A,), None)


def test_a_file_that_changed_comes_again() -> None:
    arrivals = begun()
    arrivals.look({A: SMALL}, 5.0, 1005.0)
    assert arrivals.look({A: SMALL}, 50.0, 1050.0)[0] == (A,)
    arrivals.look({A: LARGE}, 60.0, 1060.0)
    assert arrivals.look({A: LARGE}, 70.0, 1070.0)[0] == (A,)


def test_a_clip_waits_for_others_but_not_for_ever() -> None:
    arrivals = begun()
    arrivals.close(A)
    arrivals.look({A: SMALL}, 0.0, 1000.0)
    ready = SETTLE_SECONDS
    for second in range(1, 12):
        growing = Stamp(10**9, second)
        clips, again = arrivals.look({A: SMALL, B: growing}, float(second), 1000.0 + second)
        assert again is not None
        if second < ready + HOLD_SECONDS:
            assert clips == ()
    assert clips == (A,)


def test_at_the_start_a_files_own_time_shows_if_it_still_grows() -> None:
    arrivals = Arrivals()
    now = {A: Stamp(990 * 10**9, 1), B: Stamp(999 * 10**9, 1)}
    assert arrivals.look(now, 0.0, 1000.0) == ((), STABLE_SECONDS - 1.0)
    assert arrivals.look(now, STABLE_SECONDS - 1.0, 1004.0) == ((A, B), None)


# ---- Stand-ins for the history's and the report's records
