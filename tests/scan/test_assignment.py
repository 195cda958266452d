import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.scan.faces.tracker import assign

COSTS = st.one_of(st.floats(0, 1), st.just(math.inf))


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    rows, columns = draw(st.integers(0, 5)), draw(st.integers(0, 4))
    flat = draw(st.lists(COSTS, min_size=rows * columns, max_size=rows * columns))
    return np.array(flat, np.float64).reshape(rows, columns)


def least(costs: np.ndarray, free: frozenset[int]) -> float:
    """The least total by trying everything."""
    if not len(costs):
        return 0.0
    alone = 1 + least(costs[1:], free)
    return min([alone, *(costs[0, one] + least(costs[1:], free - {one}) for one in free)])


@given(tables())
def test_no_other_pairing_is_cheaper(costs: np.ndarray) -> None:
    pairs = assign(costs)

    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    total = sum(costs[pair] for pair in pairs) + len(costs) - len(pairs)
    assert math.isclose(total, least(costs, frozenset(range(costs.shape[1]))), abs_tol=1e-9)
