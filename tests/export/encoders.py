"""A tower to test with: laid out like the true one, tiny, of random weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, PATCH, WIDTH, LAYERS = 32, 16, 24, 3
TOKENS = (SIDE // PATCH) ** 2 + 1
HIDDEN = 48
ROOT = "/vision_model/encoder/layers"


def write_encoder(file: Path, halved: bool = False, zero: int = 0) -> str:
    """Write the file, return its hash. `halved`: with weights as the laid graph should see them."""
    maker = _Maker(halved, zero)
    rng = np.random.default_rng(5)
    kernel = rng.normal(0, 0.05, (WIDTH, 3, PATCH, PATCH)).astype(np.float32)
    tokens = rng.normal(0, 1, (WIDTH,)).astype(np.float32)
    maker.add("patches", kernel)
    maker.add("vision_model.embeddings.class_embedding", tokens)
    maker.add("shape", np.array([0, WIDTH, -1]))
    maker.add("first", np.array([1]))
    maker.add("first.end", np.array([2]))
    maker.node("Conv", ["pixel_values", "patches"], "grid", strides=[PATCH, PATCH])
    maker.node("Reshape", ["grid", "shape"], "flat")
    maker.node("Transpose", ["flat"], "tokens", perm=[0, 2, 1])
    maker.node("Slice", ["tokens", "first", "first.end", "first"], "like")
    maker.node("Sub", ["like", "like"], "nothing")
    maker.node("Add", ["nothing", "vision_model.embeddings.class_embedding"], "class")
    maker.node("Concat", ["class", "tokens"], "stream", axis=1)
    stream = "stream"
    for layer in range(LAYERS):
        stream = maker.layer(layer, stream, rng)
    maker.node("ReduceMean", [stream], "image_embeds", axes=[1], keepdims=0)
    content = maker.model().SerializeToString()
    file.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


class _Maker:
    def __init__(self, halved: bool, zero: int) -> None:
        self._halved, self._zero = halved, zero
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def add(self, name: str, values: np.ndarray, raw: bool = True) -> None:
        if raw:
            self._weights.append(numpy_helper.from_array(values, name))
            return
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        self._weights.append(helper.make_tensor(name, kind, values.shape, values.ravel().tolist()))

    def node(self, op: str, inputs: list[str], *outputs: str, name: str = "", **more: Any) -> str:
        name = name or outputs[0]
        self._nodes.append(helper.make_node(op, inputs, list(outputs), name, **more))
        return outputs[0]

    def layer(self, number: int, stream: str, rng: np.random.Generator) -> str:
        """Tokens hear of each other by their mean, then two products of integers."""
        at = f"{ROOT}.{number}"
        mean = self.node("ReduceMean", [stream], f"{at}/mean", axes=[1], keepdims=1)
        x = self.node("Add", [stream, mean], f"{at}/Add_output_0", name=f"{at}/Add")
        y = self._product(f"{at}/fc1", x, WIDTH, HIDDEN, rng)
        y = self._product(f"{at}/fc2", self.node("Relu", [y], f"{at}/relu"), HIDDEN, WIDTH, rng)
        return self.node("Add", [x, y], f"{at}/Add_1_output_0", name=f"{at}/Add_1")

    def _product(
        self, at: str, x: str, rows: int, columns: int, rng: np.random.Generator
    ) -> str:  # fmt: skip
        weights = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
        scale = rng.uniform(0.5, 1.5, columns).astype(np.float32) / 127 / rows**0.5
        if self._halved:
            weights, scale = np.rint(weights / 2).astype(np.int8), 2 * scale
        self.add(f"{at}.w_quantized", weights)
        self.add(f"{at}.w_scale", scale, raw=False)
        self.add(f"{at}.w_zero_point", np.full(columns, self._zero, np.int8), raw=False)
        whole = [f"{at}/x", f"{at}/x_scale", f"{at}/x_zero_point"]
        self.node("DynamicQuantizeLinear", [x], *whole)
        self.node("Mul", [whole[1], f"{at}.w_scale"], f"{at}/scales")
        inputs = [whole[0], f"{at}.w_quantized", whole[2], f"{at}.w_zero_point"]
        self.node("MatMulInteger", inputs, f"{at}/sums")
        self.node("Cast", [f"{at}/sums"], f"{at}/floats", to=TensorProto.FLOAT)
        return self.node("Mul", [f"{at}/floats", f"{at}/scales"], at)

    def model(self) -> onnx.ModelProto:
        values = helper.make_tensor_value_info
        last = f"{ROOT}.{LAYERS - 1}/Add_1_output_0"
        given = values("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
        outputs = [
            values("image_embeds", TensorProto.FLOAT, ["batch", WIDTH]),
            values(last, TensorProto.FLOAT, ["batch", TOKENS, WIDTH]),
        ]
        graph = helper.make_graph(self._nodes, "test", [given], outputs, self._weights)
        opset = [helper.make_opsetid("", 14)]
        return helper.make_model(graph, opset_imports=opset, ir_version=7)
