"""What the lamps say."""

from itertools import combinations, pairwise
from math import lcm

import pytest
from shown import DOCS

from edge.box.panel.lamps import STEP, Pattern, lit, pattern
from edge.box.views import Judged, Summary
from edge.finding import Verdict

STATES = {
    row.state: pattern(row.view) for row in DOCS.ROWS if row.state not in ("Countdown", "Summary")
}


def course(one: Pattern, steps: int) -> list[tuple[bool, bool]]:
    return [lit(one, (step + 0.5) * STEP) for step in range(steps)]


def period(one: Pattern) -> int:
    return lcm(len(one.green), len(one.red))


def colourless(one: Pattern) -> list[list[tuple[bool, bool]]]:
    """What remains for someone who does not know which lamp is which, and comes at any time."""
    seen = course(one, period(one))
    while len(seen) % 2 == 0 and seen[: len(seen) // 2] == seen[len(seen) // 2 :]:
        seen = seen[: len(seen) // 2]
    turned = [seen[at:] + seen[:at] for at in range(len(seen))]
    return sorted([*turned, *([(red, green) for green, red in each] for each in turned)])


@pytest.mark.parametrize(("one", "other"), list(combinations(STATES, 2)))
def test_states_differ_by_more_than_colour(one: str, other: str) -> None:
    assert colourless(STATES[one]) != colourless(STATES[other])
    assert STATES[one].words != STATES[other].words


@pytest.mark.parametrize("state", STATES)
def test_words_name_the_lamps_that_light(state: str) -> None:
    one = STATES[state]
    green, red = (any(lamp) for lamp in zip(*course(one, period(one)), strict=True))
    both = "both" in one.words
    assert (green, red) == (
        "green" in one.words or (both and "dark" not in one.words),
        "red" in one.words or (both and "dark" not in one.words),
    )


@pytest.mark.parametrize("state", STATES)
def test_nothing_flickers(state: str) -> None:
    """At most three flashes in any second: no harm to people who cannot bear more."""
    seen = course(STATES[state], 200)
    for lamp in zip(*seen, strict=True):
        rises = [not before and after for before, after in pairwise(lamp)]
        assert max(sum(rises[at : at + 8]) for at in range(len(rises))) <= 3


def test_a_summary_shows_its_worst_verdict() -> None:
    for verdict, counts in (
        (Verdict.FAKE, (3, 1, 1, 1, 1)),
        (Verdict.UNSURE, (3, 0, 1, 1, 1)),
        (Verdict.REAL, (3, 0, 0, 1, 0)),
    ):
        summary = Summary("A", *counts, 0, "")
        assert pattern(summary) == pattern(Judged(verdict, None, "", ""))


def test_verdicts_light_as_they_should() -> None:
    def lights(verdict: Verdict) -> tuple[bool, bool]:
        return lit(pattern(Judged(verdict, None, "", "")), 0.0)

    assert lights(Verdict.REAL) == (True, False)
    assert lights(Verdict.FAKE) == (False, True)
    assert lights(Verdict.UNSURE) == (True, True)
