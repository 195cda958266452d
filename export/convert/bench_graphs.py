"""The graphs that `truelight bench` measures: matrix products, and the features in float32.

`python -m export.convert.bench_graphs` writes them into edge/bench. Their weights are constants
that ONNX Runtime makes when it opens a graph: its kernels take the same time for any values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edge.atomic_write import atomic_write
from edge.bench import ceilings
from edge.bench.ceilings import BLOCKS, GROUPS, PRODUCT, WIDTH
from export.convert.builder import Builder, floats, octets

SMALL = np.float32(0.01)


class _Graph(Builder):
    def constant(self, name: str, shape: Sequence[int], value: np.generic) -> str:
        """Add a tensor of one value."""
        sides = self.weight(f"{name}.shape", np.array(shape, np.int64))
        filled = numpy_helper.from_array(np.array([value]))
        return self.then("ConstantOfShape", [sides], name, value=filled)

    def convolve(
        self, x: str, into: int, out: int, kernel: int, stride: int, name: str, groups: int = 1
    ) -> str:
        """Add a convolution whose input has `into` planes."""
        weight = self.constant(f"{name}.weight", [out, into // groups, kernel, kernel], SMALL)
        bias = self.constant(f"{name}.bias", [out], SMALL)
        return self.then(
            "Conv", [x, weight, bias], name, kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=[kernel // 2] * 4, group=groups,
        )  # fmt: skip

    def rectified(self, x: str) -> str:
        """Add a ReLU."""
        return self.then("Relu", [x], f"{x}.relu")


def float_product() -> onnx.ModelProto:
    """float32 `x [n, inner]` -> its product with a matrix of 0.01."""
    _rows, inner, columns = PRODUCT
    g = _Graph()
    y = g.then("MatMul", ["x", g.constant("weight", [inner, columns], SMALL)], "y")
    return g.model([floats("x", ["n", inner])], [floats(y, ["n", columns])])


def int8_product() -> onnx.ModelProto:
    """uint8 `x [n, inner]`, 128 for zero -> its product with an int8 matrix of ones, rounded."""
    _rows, inner, columns = PRODUCT
    g = _Graph()
    weight = g.constant("weight", [inner, columns], np.int8(1))
    one = g.weight("one", np.array(1, np.float32))
    zero, plain = g.weight("zero", np.array(128, np.uint8)), g.weight("none", np.array(0, np.int8))
    y = g.then("QLinearMatMul", ["x", one, zero, weight, one, plain, one, zero], "y")
    return g.model([octets("x", ["n", inner])], [octets(y, ["n", columns])])


def float_network() -> onnx.ModelProto:
    """ResNeXt50-32x4d in float32: `x [n, 3, side, side]` -> its mean feature map."""
    g = _Graph()
    x = g.rectified(g.convolve("x", 3, 64, 7, 2, "stem"))
    x = g.then("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, blocks in enumerate(BLOCKS):
        width, out = WIDTH << stage, 2 * WIDTH << stage
        for block in range(blocks):
            name, stride = f"{stage}.{block}", 2 if stage and not block else 1
            y = g.rectified(g.convolve(x, channels, width, 1, 1, f"{name}.a"))
            y = g.rectified(g.convolve(y, width, width, 3, stride, f"{name}.b", GROUPS))
            y = g.convolve(y, width, out, 1, 1, f"{name}.c")
            kept = x if block else g.convolve(x, channels, out, 1, stride, f"{name}.kept")
            x, channels = g.rectified(g.then("Add", [y, kept], f"{name}.sum")), out
    y = g.then("GlobalAveragePool", [x], "y")
    return g.model([floats("x", ["n", 3, "side", "side"])], [floats(y, ["n", channels, 1, 1])])


GRAPHS = {"float_product": float_product, "int8_product": int8_product, "network": float_network}
"""By the name of the file."""


def main() -> None:
    """Write the graphs."""
    for name, make in GRAPHS.items():
        place = Path(ceilings.__file__).with_name(f"{name}.onnx")
        atomic_write(place, make().SerializeToString())


if __name__ == "__main__":
    main()
