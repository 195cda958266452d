"""Who goes with whom, so that the sum of all costs is least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def assign(costs: Floats) -> list[tuple[int, int]]:
    """Pair rows with columns, each at most once, at the least total cost; exact.

    `costs` is [rows, columns]; a pair that may not be is infinite, and to leave a row alone costs
    1. Returns (row, column) in the order of rows. The Hungarian method: each row is added in turn,
    along the cheapest chain of changes to the pairs before it.
    """
    rows, columns = costs.shape
    # A column of its own for each row, for staying alone.
    alone = np.where(np.eye(rows, dtype=bool), 1.0, np.inf)
    table = np.hstack([costs, alone])
    owner = np.full(table.shape[1], -1)
    row_price, column_price = np.zeros(rows), np.zeros(table.shape[1])
    for new in range(rows):
        _add(new, table, owner, row_price, column_price)
    pairs = [(int(row), column) for column, row in enumerate(owner[:columns]) if row >= 0]
    return sorted(pairs)


def _add(
    new: int, table: Floats, owner: NDArray[np.int64], row_price: Floats, column_price: Floats
) -> None:
    """Find a column for row `new`, moving earlier rows where that is cheaper."""
    distance = np.full(table.shape[1], np.inf)
    reached_from = np.full(table.shape[1], -1)
    done = np.zeros(table.shape[1], dtype=bool)
    row, column, travelled = new, -1, 0.0
    while True:
        through = travelled + table[row] - row_price[row] - column_price
        shorter = ~done & (through < distance)
        distance[shorter], reached_from[shorter] = through[shorter], column
        column = int(np.argmin(np.where(done, np.inf, distance)))
        travelled = float(distance[column])
        done[column] = True
        if owner[column] < 0:
            break
        row = int(owner[column])
    row_price[new] += travelled
    taken = done & (owner >= 0)
    row_price[owner[taken]] += travelled - distance[taken]
    column_price[done] -= travelled - distance[done]
    while column >= 0:
        before = int(reached_from[column])
        owner[column] = owner[before] if before >= 0 else new
        column = before
