"""Waiting for what happens elsewhere, no longer than needed."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def until(
    condition: Callable[[], Answer],
    seconds: float = 30.0,
    what: Callable[[], str] = lambda: "it did not happen",
) -> Answer:
    """The first true answer of `condition`; fails with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)
    return answer
