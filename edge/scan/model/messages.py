"""What the program and the process of a confined model send each other: numbers and arrays.

A message of `child_messages`, and the bytes of one array, or of a text.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final

MOST_DIMENSIONS: Final = 4
MOST_BYTES: Final = 64_000_000
"""Of one array."""
MOST_TEXT: Final = 2000


class Ask(IntEnum):
    """What is wanted. All but the first carry an array, with its shape in the message."""

    LOAD = 0  # threads; sizes of features, sequence, golden, tower or -1; bytes of the path
    FEATURES = 1
    MAP = 2
    SEQUENCE = 3
    GENERATED = 4


class Answer(IntEnum):
    """How it went; besides there is `child_messages.Notice`."""

    LOADED = 0  # whether there is an output `generated`
    ARRAY = 1  # float32, its shape in the message
    REFUSED = 2  # bytes of the text that says why


def shape_of(message: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in the message of an array: dimensions, then their lengths.

    Raises ValueError if that is not the shape of a float32 array of at most `MOST_BYTES`.
    """
    _, dimensions, *lengths = message
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise ValueError(f"{dimensions} dimensions")
    shape = tuple(lengths[:dimensions])
    if min(shape) < 0 or max(shape) > MOST_BYTES or math.prod(shape) * 4 > MOST_BYTES:
        raise ValueError(f"an array of {shape}")
    return shape
