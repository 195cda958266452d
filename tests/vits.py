"""A CLIP image transformer to test with: its nodes as the true tower's, tiny, of random weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, PATCH, WIDTH, HIDDEN, LAYERS, HEAD = 32, 16, 128, 96, 3, 64
TOKENS = (SIDE // PATCH) ** 2 + 1


def write_vit(file: Path) -> str:
    """Write the file, return its hash."""
    maker = _Maker()
    x = maker.embedded()
    for number in range(LAYERS):
        x = maker.layer(number, x)
    content: bytes = maker.model(x).SerializeToString()
    file.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


class _Maker:
    def __init__(self) -> None:
        self._rng = np.random.default_rng(5)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def embedded(self) -> str:
        at = "vision_model.embeddings"
        kernel = self._drawn(f"{at}.patch_embedding.weight", (WIDTH, 3, PATCH, PATCH), 0.05)
        places = self._drawn(f"{at}.position_embedding.weight", (TOKENS, WIDTH), 0.5)
        token = self._drawn(f"{at}.class_embedding", (WIDTH,), 1.0)
        grid = self._node("Conv", ["pixel_values", kernel], "grid", strides=[PATCH, PATCH])
        flat = self._node("Reshape", [grid, self._given("flat", [0, WIDTH, -1])], "flat.tokens")
        patches = self._node("Transpose", [flat], "patches", perm=[0, 2, 1])
        ends = [self._given(f"first.{end}", [end]) for end in (0, 1)]
        one = self._node("Slice", [patches, *ends, ends[1]], "one")
        nothing = self._node("Sub", [one, one], "nothing")
        first = self._node("Add", [nothing, token], "first")
        tokens = self._node("Concat", [first, patches], "tokens", axis=1)
        placed = self._node("Add", [tokens, places], "placed")
        return self._norm("vision_model.pre_layrnorm", placed)

    def layer(self, number: int, x: str) -> str:
        at = f"vision_model.encoder.layers.{number}"
        node = f"/vision_model/encoder/layers.{number}"
        heard = self._attention(f"{at}.self_attn", f"{node}/self_attn", x, f"{at}.layer_norm1")
        x = self._node("Add", [x, heard], f"{node}/Add_output_0", name=f"{node}/Add")
        h = self._norm(f"{at}.layer_norm2", x)
        h = self._linear(f"{at}.mlp.fc1", f"{node}/mlp/fc1", h, (WIDTH, HIDDEN))
        steep = self._node("Mul", [h, self._given("steep", 1.702)], f"{node}/steep")
        gate = self._node("Sigmoid", [steep], f"{node}/gate")
        h = self._node("Mul", [h, gate], f"{node}/gelu")
        h = self._linear(f"{at}.mlp.fc2", f"{node}/mlp/fc2", h, (HIDDEN, WIDTH))
        return self._node("Add", [x, h], f"{node}/Add_1_output_0", name=f"{node}/Add_1")

    def model(self, last: str) -> onnx.ModelProto:
        value = helper.make_tensor_value_info
        given = value("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
        made = value(last, TensorProto.FLOAT, ["batch", TOKENS, WIDTH])
        weights = list(self._weights.values())
        graph = helper.make_graph(self._nodes, "test", [given], [made], weights)
        opset = [helper.make_opsetid("", 14)]
        return helper.make_model(graph, opset_imports=opset, ir_version=7)

    def _attention(self, at: str, node: str, x: str, norm: str) -> str:
        h = self._norm(norm, x)
        shape = self._given("heads", [0, -1, WIDTH // HEAD, HEAD])
        parts = []
        for part, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            made = self._linear(f"{at}.{part}_proj", f"{node}/{part}_proj", h, (WIDTH, WIDTH))
            made = self._node("Reshape", [made, shape], f"{node}/{part}")
            parts.append(self._node("Transpose", [made], f"{node}/{part}.turned", perm=perm))
        query, key, value = parts
        query = self._node("Mul", [query, self._given("small", HEAD**-0.5)], f"{node}/small")
        alike = self._node("MatMul", [query, key], f"{node}/alike")
        shares = self._node("Softmax", [alike], f"{node}/shares", axis=-1)
        heard = self._node("MatMul", [shares, value], f"{node}/heard")
        heard = self._node("Transpose", [heard], f"{node}/heard.turned", perm=[0, 2, 1, 3])
        whole = self._given("whole", [0, -1, WIDTH])
        heard = self._node("Reshape", [heard, whole], f"{node}/joined")
        return self._linear(f"{at}.out_proj", f"{node}/out_proj", heard, (WIDTH, WIDTH))

    def _norm(self, at: str, x: str) -> str:
        weight = self._drawn(f"{at}.weight", (WIDTH,), 0.2, about=1.0)
        bias = self._drawn(f"{at}.bias", (WIDTH,), 0.2)
        mean = self._node("ReduceMean", [x], f"{at}/mean", axes=[-1])
        off = self._node("Sub", [x, mean], f"{at}/off")
        square = self._node("Mul", [off, off], f"{at}/square")
        variance = self._node("ReduceMean", [square], f"{at}/variance", axes=[-1])
        some = self._node("Add", [variance, self._given("epsilon", 1e-5)], f"{at}/some")
        spread = self._node("Sqrt", [some], f"{at}/spread")
        standard = self._node("Div", [off, spread], f"{at}/standard")
        scaled = self._node("Mul", [standard, weight], f"{at}/scaled")
        return self._node("Add", [scaled, bias], f"{at}/normed")

    def _linear(self, at: str, node: str, x: str, shape: tuple[int, int]) -> str:
        stem = f"onnx::MatMul_{len(self._nodes)}"
        weights = self._rng.integers(-127, 128, shape).astype(np.int8)
        scale = self._rng.uniform(0.5, 1.5, shape[1]).astype(np.float32) / 127 / shape[0] ** 0.5
        self._given(f"{stem}_quantized", weights)
        self._given(f"{stem}_scale", scale)
        self._given(f"{stem}_zero_point", np.zeros(shape[1], np.int8))
        bias = self._drawn(f"{at}.bias", (shape[1],), 0.1)
        whole = [f"{node}/x_quantized", f"{node}/x_scale", f"{node}/x_zero_point"]
        self._nodes.append(helper.make_node("DynamicQuantizeLinear", [x], whole))
        inputs = [whole[0], f"{stem}_quantized", whole[2], f"{stem}_zero_point"]
        sums = self._node("MatMulInteger", inputs, f"{node}/sums", name=f"{node}/MatMul_quant")
        floats = self._node("Cast", [sums], f"{node}/floats", to=TensorProto.FLOAT)
        scales = self._node("Mul", [whole[1], f"{stem}_scale"], f"{node}/scales")
        product = self._node("Mul", [floats, scales], f"{node}/MatMul_output_0")
        return self._node("Add", [bias, product], f"{node}/Add_output_0")

    def _drawn(self, name: str, shape: tuple[int, ...], by: float, about: float = 0.0) -> str:
        return self._given(name, self._rng.normal(about, by, shape).astype(np.float32))

    def _given(self, name: str, values: np.ndarray | Sequence[int] | float) -> str:
        array = np.array(values, np.float32) if isinstance(values, float) else np.asarray(values)
        self._weights[name] = numpy_helper.from_array(array, name)
        return name

    def _node(
        self, kind: str, inputs: list[str], output: str, name: str = "", **more: Any
    ) -> str:  # fmt: skip
        self._nodes.append(helper.make_node(kind, inputs, [output], name or output, **more))
        return output
