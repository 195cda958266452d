"""What the lamps show."""

from itertools import combinations, pairwise
from math import lcm

from shown import DOCS

from edge.box.views import STEP, LampPattern
from edge.box.views.clips import BatchSummary, ClipVerdict
from edge.finding import Verdict

STATES = {
    row.state: row.scene.view.lamps
    for row in DOCS.ROWS
    if row.state not in ("Countdown", "Summary")  # those of the viewfinder, and of a verdict
}


def course(one: LampPattern, steps: int) -> list[tuple[bool, bool]]:
    return [one.lit((step + 0.5) * STEP) for step in range(steps)]


def period(one: LampPattern) -> int:
    return lcm(len(one.green), len(one.red))


def colourless(one: LampPattern) -> list[list[tuple[bool, bool]]]:
    """What remains for someone who does not know which lamp is which, and comes at any time."""
    seen = course(one, period(one))
    while len(seen) % 2 == 0 and seen[: len(seen) // 2] == seen[len(seen) // 2 :]:
        seen = seen[: len(seen) // 2]
    turned = [seen[at:] + seen[:at] for at in range(len(seen))]
    return sorted([*turned, *([(red, green) for green, red in each] for each in turned)])


def test_states_differ_by_more_than_colour() -> None:
    courses = {state: colourless(one) for state, one in STATES.items()}
    for one, other in combinations(STATES, 2):
        assert courses[one] != courses[other], (one, other)
        assert STATES[one].words != STATES[other].words, (one, other)


def test_words_name_the_lamps_that_light() -> None:
    for state, one in STATES.items():
        green, red = (any(lamp) for lamp in zip(*course(one, period(one)), strict=True))
        both = "both" in one.words and "dark" not in one.words
        assert (green, red) == ("green" in one.words or both, "red" in one.words or both), state


def test_nothing_flickers() -> None:
    """At most three flashes in any second: no harm to people who cannot bear more."""
    for state, one in STATES.items():
        for lamp in zip(*course(one, 200), strict=True):
            rises = [not before and after for before, after in pairwise(lamp)]
            assert max(sum(rises[at : at + 8]) for at in range(len(rises))) <= 3, state


def test_a_summary_shows_its_worst_verdict() -> None:
    for verdict, counts in (
        (Verdict.FAKE, dict.fromkeys(Verdict, 1)),
        (Verdict.UNSURE, {Verdict.REAL: 3, Verdict.UNSURE: 1, Verdict.UNREADABLE: 1}),
        (Verdict.REAL, {Verdict.REAL: 3, Verdict.NO_FACE: 1}),
    ):
        summary = BatchSummary("A", counts, 0, "")
        assert summary.lamps == ClipVerdict(verdict, None, "", "").lamps


def test_verdicts_light_as_they_should() -> None:
    def lights(verdict: Verdict) -> tuple[bool, bool]:
        return ClipVerdict(verdict, None, "", "").lamps.lit(0.0)

    assert lights(Verdict.REAL) == (True, False)
    assert lights(Verdict.FAKE) == (False, True)
    assert lights(Verdict.UNSURE) == (True, True)
