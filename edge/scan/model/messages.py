"""What the program and the process of a confined model send each other: numbers and arrays.

A message is a header of eight integers and the bytes of one array, or of a text.
"""

from __future__ import annotations

import math
import struct
from enum import IntEnum
from typing import Final

HEADER: Final = struct.Struct("<8q")
MOST_DIMENSIONS: Final = 4
MOST_BYTES: Final = 64_000_000
"""Of one array."""
MOST_TEXT: Final = 2000


class Ask(IntEnum):
    """What is wanted. All but the first carry an array, with its shape in the header."""

    LOAD = 0  # threads; sizes of features, sequence, golden, tower or -1; bytes of the path
    FEATURES = 1
    MAP = 2
    SEQUENCE = 3
    GENERATED = 4


class Answer(IntEnum):
    """How it went."""

    LOADED = 0  # whether there is an output `generated`
    ARRAY = 1  # float32, its shape in the header
    REFUSED = 2  # bytes of the text that says why


def pack(kind: IntEnum, *numbers: int) -> bytes:
    """A header; missing numbers are 0."""
    return HEADER.pack(kind, *numbers, *(0,) * (7 - len(numbers)))


def shape_of(header: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in the header of an array: dimensions, then their lengths.

    Raises ValueError if that is not the shape of a float32 array of at most `MOST_BYTES`.
    """
    _, dimensions, *lengths = header
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise ValueError(f"{dimensions} dimensions")
    shape = tuple(lengths[:dimensions])
    if min(shape) < 0 or max(shape) > MOST_BYTES or math.prod(shape) * 4 > MOST_BYTES:
        raise ValueError(f"an array of {shape}")
    return shape
