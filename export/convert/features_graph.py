"""features.onnx, node by node, in float32 or in int8.

uint8 `crops [n, side, side, 3]` RGB -> float32 `features [n, 2048]`, and the `map [n, 2048, h, w]`
that they are the mean of; n is free. Normalisation is inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from edge.scan.frames import Floats
from export.convert.builder import Attribute, Builder, floats, octets
from export.convert.fold import Convolution, FoldedBlock, FoldedTrunk

Ranges = Mapping[str, tuple[float, float]]
"""By tensor that int8 holds: its least and its greatest value."""

NONE: Mapping[str, Attribute] = {}

REDUCED = 64
"""Weights reach from -64 to 64: of two products of such a weight and a uint8, the sum still fits 16
bits, in which CPUs without dot-product instructions add them. So every CPU gives the same."""


@dataclass(frozen=True)
class Features:
    """A features graph, and the names of the tensors that int8 holds."""

    model: onnx.ModelProto
    held: tuple[str, ...]


def lay_features(
    trunk: FoldedTrunk, side: int, ranges: Ranges | None = None, expose: bool = False
) -> Features:
    """The features graph for crops of `side` pixels.

    With `ranges` its convolutions are int8: weights by channel, activations uint8 within the
    ranges. With `expose` every tensor that int8 holds is an output, so that ranges can be measured.
    """
    g = _Layer(ranges)
    x = g.then("Cast", ["crops"], "pixels", to=TensorProto.FLOAT)
    # Whole rows at once: ONNX Runtime is slow where the three planes are the innermost axis.
    x = g.then("Reshape", [x, g.weight("rows", np.array([-1, side, side * 3]))], "pixels.rows")
    x = g.then("Sub", [x, g.weight("mean", np.tile(trunk.mean, side))], "centred.rows")
    square = g.weight("square", np.array([-1, side, side, 3]))
    x = g.then("Reshape", [x, square], "centred.square")
    x = g.held("Transpose", [x], "centred", {"perm": [0, 3, 1, 2]})
    x = g.convolve(x, trunk.stem, relu=True)
    pooling: dict[str, Attribute] = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
    x = g.held("MaxPool", [x], "pool", pooling, like="stem")
    blocks = [block for stage in trunk.stages for block in stage]
    for at, block in enumerate(blocks):
        x = _lay_block(g, x, block, "map" if at == len(blocks) - 1 else f"block{at}")
    g.then("ReduceMean", [x], "features", axes=[2, 3], keepdims=0)
    width, cells = len(blocks[-1].conv3.bias), -(-side // 32)
    outputs = [floats("features", ["n", width]), floats("map", ["n", width, cells, cells])]
    if expose:
        outputs += [floats(name, ["n", None, None, None]) for name in g.measured if name != "map"]
    model = g.model([octets("crops", ["n", side, side, 3])], outputs)
    return Features(model, tuple(g.measured))


def _lay_block(g: _Layer, x: str, block: FoldedBlock, name: str) -> str:
    kept = x if block.shortcut is None else g.convolve(x, block.shortcut)
    x = g.convolve(x, block.conv1, relu=True)
    x = g.convolve(x, block.conv2, relu=True)
    x = g.convolve(x, block.conv3)
    return g.held("Relu", [g.then("Add", [x, kept], f"{name}.sum")], name)


class _Layer(Builder):
    """Adds tensors in int8 if there are ranges, in float32 if not."""

    def __init__(self, ranges: Ranges | None) -> None:
        super().__init__()
        self._ranges = ranges
        self._scales: dict[str, np.float32] = {}
        self.measured: list[str] = []

    def held(
        self,
        op: str,
        inputs: Sequence[str],
        name: str,
        attributes: Mapping[str, Attribute] = NONE,
        like: str = "",
    ) -> str:
        """Add a node and quantize its output, with the range of the tensor `like` if given."""
        if not like:
            self.measured.append(name)
        if self._ranges is None:
            return self.then(op, inputs, name, **attributes)
        raw = self.then(op, inputs, f"{name}.raw", **attributes)
        scale, zero = uint8_scale(*self._ranges[like or name])
        self._scales[name] = scale
        how = [
            self.weight(f"{name}.scale", np.asarray(scale)),
            self.weight(f"{name}.zero", np.asarray(zero)),
        ]
        octet = self.then("QuantizeLinear", [raw, *how], f"{name}.uint8")
        return self.then("DequantizeLinear", [octet, *how], name)

    def convolve(self, x: str, conv: Convolution, relu: bool = False) -> str:
        """Add a convolution of the quantized tensor `x`, and quantize its output."""
        kernel = conv.weight.shape[-1]
        attributes: dict[str, Attribute] = {
            "kernel_shape": [kernel, kernel],
            "strides": [conv.stride, conv.stride],
            "pads": [kernel // 2] * 4,
            "group": conv.groups,
        }
        inputs = [x, *(self._parameters(conv) if self._ranges is None else self._int8(x, conv))]
        if not relu:
            return self.held("Conv", inputs, conv.name, attributes)
        sums = self.then("Conv", inputs, f"{conv.name}.sums", **attributes)
        return self.held("Relu", [sums], conv.name)

    def _parameters(self, conv: Convolution) -> list[str]:
        weight = self.weight(f"{conv.name}.weight", conv.weight)
        return [weight, self.weight(f"{conv.name}.bias", conv.bias)]

    def _int8(self, x: str, conv: Convolution) -> list[str]:
        """Integer parameters with the nodes that dequantize them, by output channel."""
        weight, scales = int8_weights(conv, float(self._scales[x]))
        sums = (self._scales[x] * scales).astype(np.float32)
        bias = np.rint(conv.bias.astype(np.float64) / sums).astype(np.int32)
        parts = (("weight", weight, scales), ("bias", bias, sums))
        names = []
        for part, values, steps in parts:
            name = f"{conv.name}.{part}"
            inputs = [
                self.weight(f"{name}.{values.dtype}", values),
                self.weight(f"{name}.scale", steps),
                self.weight(f"{name}.zero", np.zeros(len(steps), values.dtype)),
            ]
            names.append(self.then("DequantizeLinear", inputs, name, axis=0))
        return names


def uint8_scale(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """The step between two of 256 values that reach from `low` to `high`, and where 0 lies."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / 255) if high > low else np.float32(1)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def int8_weights(conv: Convolution, input_scale: float) -> tuple[NDArray[np.int8], Floats]:
    """Weights as integers from -REDUCED to REDUCED, and their steps by output channel."""
    flat = conv.weight.reshape(len(conv.weight), -1).astype(np.float64)
    steps = np.abs(flat).max(1) / REDUCED
    # The bias is an int32 in steps of the products: a channel of tiny weights needs larger ones.
    steps = np.maximum(steps, np.abs(conv.bias) / (input_scale * 2.0**30))
    steps = np.where(steps > np.finfo(np.float32).tiny, steps, 1.0).astype(np.float32)
    weight = np.clip(np.rint(flat / steps[:, None]), -REDUCED, REDUCED).astype(np.int8)
    return weight.reshape(conv.weight.shape), steps
