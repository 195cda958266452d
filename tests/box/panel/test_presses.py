"""A contact's levels become presses."""

from hypothesis import given
from hypothesis import strategies as st

from edge.box.events import Event, Held, HeldLong, Pressed
from edge.box.panel.hardware import Presses
from edge.settings_schema import ButtonSettings

SETTINGS = ButtonSettings()


def play(
    *changes: tuple[float, bool], until: float, down: bool = False
) -> list[tuple[float, Event]]:
    """Change the contact at these times; look at it then, and whenever a look is due."""
    presses, now, level = Presses(SETTINGS, down), 0.0, down
    posted: list[tuple[float, Event]] = []
    left = list(changes)
    while now < until:
        due = presses.due(now)
        moments = [until] if due is None else [until, now + max(due, 1e-6)]
        now = min([*moments, *(at for at, _ in left[:1])])
        if left and left[0][0] <= now:
            level = left.pop(0)[1]
        posted += [(round(now, 3), event) for event in presses.update(level, now)]
    return posted


def test_a_press_counts_when_it_ends() -> None:
    assert play((1.0, True), (1.2, False), until=9) == [(1.2, Pressed())]


def test_bouncing_contacts_press_once() -> None:
    bouncing = [(1.0, True), (1.01, False), (1.02, True), (1.03, False), (1.04, True)]
    ending = [(1.3, False), (1.31, True), (1.32, False)]
    assert play(*bouncing, *ending, until=9) == [(1.3, Pressed())]


def test_a_tap_shorter_than_the_bounce_time_counts() -> None:
    assert [event for _, event in play((1.0, True), (1.02, False), until=9)] == [Pressed()]


def test_held_and_held_long_come_while_it_is_down() -> None:
    assert play((1.0, True), (5.0, False), until=9) == [(3.0, Held())]
    assert play((1.0, True), (9.0, False), until=10) == [(3.0, Held()), (7.0, HeldLong())]


def test_a_button_that_is_stuck_from_the_start_means_nothing() -> None:
    assert play(until=99, down=True) == []
    assert play((20.0, False), (21.0, True), (21.1, False), until=99, down=True) == [
        (21.1, Pressed())
    ]


def test_a_late_reading_still_separates_holding_from_pressing() -> None:
    presses = Presses(SETTINGS, False)
    assert presses.update(True, 1.0) == []
    assert presses.update(False, 3.5) == [Held()]


@given(st.lists(st.tuples(st.floats(0.001, 9), st.booleans()), max_size=40))
def test_each_time_down_posts_one_meaning(steps: list[tuple[float, bool]]) -> None:
    at, changes = 0.0, []
    for wait, level in steps:
        at += wait
        changes.append((at, level))
    events = [type(event) for _, event in play(*changes, until=at + 20)]
    for before, after in zip([None, *events], events, strict=False):
        assert after is not HeldLong or before is Held
