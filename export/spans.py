"""Where in an ONNX file the raw bytes of its weights lie.

The protobuf library reads them but does not say where they were, so the wire format is walked here:
ModelProto.graph (7) -> GraphProto.initializer (5) -> TensorProto.name (8) and .raw_data (9).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
