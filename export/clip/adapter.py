"""A tuned tower: layer norms of another maker's transformer and our linear head, in a file.

Its weights stay as their maker ships them. What `truelight-export tune` learned is small: of each
layer norm a scale and an offset, and the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge.errors import TruelightError
from export.clip.graph import Tap, Tower, read_taps

FORMAT = "truelight-tuning-1"

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tuned:
    """What was learned on top of a tower."""

    taps: tuple[Tap, ...]
    tower: str
    """SHA-256 of the tower's file."""
    norms: dict[str, Floats]
    """By the name of the initializer that it takes the place of."""
    weight: Floats
    """`[D]`: logit of FAKE = features @ weight + bias."""
    bias: float


def read_tuned(file: Path, tower: Tower) -> Tuned:
    """Read what was tuned of this tower.

    Raises TruelightError if the file is something else, or another tower's.
    """
    try:
        kept = torch.load(file, weights_only=True, map_location="cpu")
        if kept["format"] != FORMAT:
            raise ValueError(f"it says {kept['format']!r}")
        tuned = Tuned(
            read_taps(kept["taps"]),
            kept["tower"],
            {name: value.float().numpy() for name, value in kept["norms"].items()},
            kept["weight"].float().numpy(),
            float(kept["bias"]),
        )
    except OSError as failure:
        raise TruelightError(f"{file} cannot be read: {failure.strerror}.") from None
    except Exception as failure:  # whatever a foreign file makes of the loader
        raise TruelightError(
            f"{file} is no tuned tower: {' '.join(str(failure).split())[:200]}",
            "Make one with truelight-export tune.",
        ) from None
    if tuned.tower != tower.sha256:
        raise TruelightError(f"{file} was tuned on another tower.", "Name its tower by --tower.")
    return tuned


GRAPH, INITIALIZER, NAME, RAW_DATA = 7, 5, 8, 9
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Span:
    """A part of a file."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + self.length


def raw_spans(content: bytes) -> dict[str, Span]:
    """Where the raw data of every initializer that has some lie, by name.

    Raises ValueError if `content` is no protobuf message.
    """
    spans = {}
    for graph in _parts(content, Span(0, len(content)), GRAPH):
        for tensor in _parts(content, graph, INITIALIZER):
            names, raw = (list(_parts(content, tensor, field)) for field in (NAME, RAW_DATA))
            if names and raw:
                spans[content[names[-1].offset : names[-1].end].decode()] = raw[-1]
    return spans


def _parts(content: bytes, of: Span, wanted: int) -> Iterator[Span]:
    """The values of the field `wanted`, of those that have a length, in the message `of`."""
    at = of.offset
    while at < of.end:
        key, at = _varint(content, at)
        wire = key & 7
        if wire == VARINT:
            _, at = _varint(content, at)
        elif wire == BYTES:
            length, at = _varint(content, at)
            if key >> 3 == wanted:
                yield Span(at, length)
            at += length
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
    if at != of.end:
        raise ValueError("a message that is cut off")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where the next thing begins."""
    value = shift = 0
    while True:
        if at >= len(content):
            raise ValueError("a message that is cut off")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
