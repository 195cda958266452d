"""Graphs for measuring: matrix products, and the network of the features in float32.

Written as ONNX's protobuf messages, since the box has no onnx package. The weights are constants
that ONNX Runtime makes when it opens a graph: its kernels take the same time for any values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

OPSET: Final = 13
_IR_VERSION: Final = 8
FLOAT, UINT8, INT8, INT64 = 1, 2, 3, 7
_ATTRIBUTE_INT, _ATTRIBUTE_TENSOR, _ATTRIBUTE_INTS = 2, 4, 7

# ResNeXt50-32x4d: blocks a stage, and the width of the grouped convolutions in the first one.
BLOCKS: Final = (3, 4, 6, 3)
GROUPS, WIDTH = 32, 128


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """A protobuf message of fields by number."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(data)) + data
    return bytes(out)


def _tensor(name: str, kind: int, shape: Sequence[int], data: bytes) -> bytes:
    return _message(*((1, side) for side in shape), (2, kind), (8, name), (9, data))


def _value(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    sides = [_message((1 if isinstance(side, int) else 2, side)) for side in shape]
    tensor = _message((1, kind), (2, _message(*((1, side) for side in sides))))
    return _message((1, name), (2, _message((1, tensor))))


@dataclass
class _Graph:
    """A graph while it is being written."""

    nodes: list[bytes] = field(default_factory=list)
    tensors: list[bytes] = field(default_factory=list)

    def node(self, kind: str, inputs: Sequence[str], **attributes: int | Sequence[int]) -> str:
        """Add a node; the name of its output."""
        name = f"n{len(self.nodes)}"
        packed = []
        for key, value in attributes.items():
            if isinstance(value, int):
                packed.append(_message((1, key), (3, value), (20, _ATTRIBUTE_INT)))
            else:
                ints = ((8, each) for each in value)
                packed.append(_message((1, key), *ints, (20, _ATTRIBUTE_INTS)))
        self._add(kind, inputs, name, packed)
        return name

    def constant(self, shape: Sequence[int], kind: int, value: bytes) -> str:
        """Add a tensor of one value, which ONNX Runtime makes when it opens the graph."""
        name = f"n{len(self.nodes)}"
        sides = b"".join(side.to_bytes(8, "little") for side in shape)
        self.tensors.append(_tensor(f"{name}_shape", INT64, [len(shape)], sides))
        tensor = _tensor("", kind, [1], value)
        attribute = _message((1, "value"), (5, tensor), (20, _ATTRIBUTE_TENSOR))
        self._add("ConstantOfShape", [f"{name}_shape"], name, [attribute])
        return name

    def scalar(self, kind: int, value: bytes) -> str:
        """Add a tensor of rank 0."""
        name = f"s{len(self.tensors)}"
        self.tensors.append(_tensor(name, kind, [], value))
        return name

    def _add(self, kind: str, inputs: Sequence[str], output: str, attributes: list[bytes]) -> None:
        named = [(1, each) for each in inputs]
        packed = [(5, each) for each in attributes]
        self.nodes.append(_message(*named, (2, output), (4, kind), *packed))

    def model(self, given: bytes, answer: bytes) -> bytes:
        """The whole as an ONNX model with one input and one output."""
        nodes = ((1, node) for node in self.nodes)
        tensors = ((5, tensor) for tensor in self.tensors)
        graph = _message(*nodes, (2, "bench"), *tensors, (11, given), (12, answer))
        opset = _message((1, ""), (2, OPSET))
        return _message((1, _IR_VERSION), (7, graph), (8, opset))


_ONE_FLOAT: Final = b"\x00\x00\x80\x3f"
_SMALL_FLOAT: Final = b"\x0a\xd7\x23\x3c"  # 0.01


def float_product(rows: int, inner: int, columns: int) -> bytes:
    """float32 `[rows, inner]` named x -> y, its product with a constant matrix."""
    graph = _Graph()
    weights = graph.constant([inner, columns], FLOAT, _SMALL_FLOAT)
    answer = graph.node("MatMul", ["x", weights])
    return graph.model(_value("x", FLOAT, [rows, inner]), _value(answer, FLOAT, [rows, columns]))


def int8_product(rows: int, inner: int, columns: int) -> bytes:
    """uint8 `[rows, inner]` named x -> uint8 y, its product with an int8 matrix, rounded."""
    graph = _Graph()
    weights = graph.constant([inner, columns], INT8, b"\x01")
    one, zero = graph.scalar(FLOAT, _ONE_FLOAT), graph.scalar(UINT8, b"\x80")
    plain = graph.scalar(INT8, b"\x00")
    inputs = ["x", one, zero, weights, one, plain, one, zero]
    answer = graph.node("QLinearMatMul", inputs)
    return graph.model(_value("x", UINT8, [rows, inner]), _value(answer, UINT8, [rows, columns]))


def float_network(batch: int, side: int) -> bytes:
    """ResNeXt50-32x4d in float32: x `[batch, 3, side, side]` -> its mean feature map."""
    graph = _Graph()

    def convolve(x: str, into: int, out: int, kernel: int, stride: int, groups: int = 1) -> str:
        weights = graph.constant([out, into // groups, kernel, kernel], FLOAT, _SMALL_FLOAT)
        bias = graph.constant([out], FLOAT, _SMALL_FLOAT)
        return graph.node(
            "Conv", [x, weights, bias], kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=[kernel // 2] * 4, group=groups,
        )  # fmt: skip

    def rectified(x: str) -> str:
        return graph.node("Relu", [x])

    x = rectified(convolve("x", 3, 64, 7, 2))
    x = graph.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, blocks in enumerate(BLOCKS):
        width, out = WIDTH << stage, 2 * WIDTH << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = rectified(convolve(x, channels, width, 1, 1))
            y = rectified(convolve(y, width, width, 3, stride, GROUPS))
            y = convolve(y, width, out, 1, 1)
            kept = x if block else convolve(x, channels, out, 1, stride)
            x, channels = rectified(graph.node("Add", [y, kept])), out
    answer = graph.node("GlobalAveragePool", [x])
    return graph.model(
        _value("x", FLOAT, [batch, 3, side, side]), _value(answer, FLOAT, [batch, channels, 1, 1])
    )


def network_operations(side: int) -> int:
    """Multiplications and additions of that network on one crop of `side` pixels."""

    def points(across: int) -> int:
        return across * across

    across = -(-side // 2)
    total = points(across) * 64 * 3 * 49
    across, channels = -(-across // 2), 64
    for stage, blocks in enumerate(BLOCKS):
        width, out = WIDTH << stage, 2 * WIDTH << stage
        for block in range(blocks):
            after = -(-across // 2) if stage and not block else across
            total += points(across) * channels * width
            total += points(after) * (width * width // GROUPS * 9 + width * out)
            total += 0 if block else points(after) * channels * out
            across, channels = after, out
    return 2 * total
