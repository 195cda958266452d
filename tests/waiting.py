"""Waiting for what happens elsewhere, no longer than needed."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def until(condition: Callable[[], Answer], seconds: float = 30.0, what: str = "") -> Answer:
    """The first true answer of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, what or "it did not happen"
        time.sleep(0.01)
    return answer
