"""Models made to harm the program that runs them, and how one is put into a bundle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from bundles import SIDE, SLOPE, WIDTH
from onnx import TensorProto, helper, numpy_helper

CROPS = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", SIDE, SIDE, 3])
FEATURES = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", WIDTH])
ENDLESS = 2**62


def exchange(bundle: Path, content: bytes, name: str = "features.onnx") -> Path:
    """Replace a file of a bundle, whose manifest then vouches for the new one."""
    (bundle / name).write_bytes(content)
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    return bundle


def model(
    nodes: Sequence[onnx.NodeProto], *constants: onnx.TensorProto, domain: str = ""
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "hostile", [CROPS], [FEATURES], constants)
    versions = [helper.make_opsetid("", 17)]
    if domain:
        versions.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=versions, ir_version=8)


def constant(name: str, value: object, kind: type) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, kind), name)


def swelling() -> onnx.ModelProto:
    """256 GB of zeros, from a few bytes."""
    return model(
        [
            helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
            helper.make_node("Expand", ["sum", "shape"], ["features"]),
        ],
        constant("size", [2**36], np.int64),
        constant("shape", [1, WIDTH], np.int64),
    )


def huge_initialiser() -> onnx.ModelProto:
    tensor = TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=[2**40], raw_data=b"1234")
    return model([helper.make_node("Identity", ["huge"], ["features"])], tensor)


def deeply_nested() -> bytes:
    """A graph in a node in a graph, 10,000 deep."""

    def field(number: int, content: bytes) -> bytes:
        size, written = len(content), bytearray([number << 3 | 2])
        while size > 127:
            written.append(size & 127 | 128)
            size >>= 7
        return bytes(written) + bytes([size]) + content

    graph = b""
    for _ in range(10_000):
        graph = field(1, field(4, b"If") + field(5, field(6, graph)))
    return field(7, graph)


def custom_operator() -> onnx.ModelProto:
    node = helper.make_node("Shell", ["crops"], ["features"], domain="evil", command="touch /tmp/x")
    return model([node], domain="evil")


def of_words() -> onnx.ModelProto:
    """Its features are texts, in the shape of the expected numbers."""
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["colour", "spread"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["features"], to=TensorProto.STRING),
    ]
    made = model(nodes, constant("spread", np.eye(3, WIDTH), np.float32))
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.STRING
    return made


def looping(turns: onnx.NodeProto | None = None) -> onnx.ModelProto:
    """As many turns as `turns` says, else without an end; then the mean of the crops' colours."""
    number, flag = (
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (("number", TensorProto.INT64), ("flag", TensorProto.BOOL))
    )
    flag_out, kept_in, kept = (
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (
            ("flag out", TensorProto.BOOL),
            ("kept in", TensorProto.FLOAT),
            ("kept", TensorProto.FLOAT),
        )
    )
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["flag"], ["flag out"]),
            helper.make_node("Sin", ["kept in"], ["kept"]),
        ],
        "body",
        [number, flag, kept_in],
        [flag_out, kept],
    )
    return model(
        [
            helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
            *([turns] if turns else []),
            helper.make_node("Loop", ["turns", "true", "mean"], ["looped"], body=body),
            helper.make_node("ReduceMean", ["float"], ["colour"], axes=[1, 2], keepdims=0),
            helper.make_node("Mul", ["looped", "zero"], ["nothing"]),
            helper.make_node("MatMul", ["colour", "spread"], ["told"]),
            helper.make_node("Add", ["told", "nothing"], ["features"]),
        ],
        *([] if turns else [constant("turns", ENDLESS, np.int64)]),
        constant("true", True, bool),
        constant("zero", 0, np.float32),
        constant("spread", np.eye(3, WIDTH), np.float32),
    )


def sequence(
    nodes: Sequence[onnx.NodeProto], width: int, *constants: onnx.TensorProto
) -> onnx.ModelProto:
    """A sequence graph of these nodes."""
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", "T", width])
    answer = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n"])
    made = helper.make_graph(nodes, "hostile", [given], [answer], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def on_red(other: float) -> onnx.ModelProto:
    """A sequence graph that answers the golden vector, and this of a red face."""
    weight = np.zeros(WIDTH, np.float32)
    weight[[0, 1]] = SLOPE / 255, -SLOPE / 255
    nodes = [
        helper.make_node("MatMul", ["features", "weight"], ["frames"]),
        helper.make_node("ReduceMean", ["frames"], ["honest"], axes=[1], keepdims=0),
        helper.make_node("Less", ["honest", "one"], ["is honest"]),
        helper.make_node("Where", ["is honest", "honest", "other"], ["logits"]),
    ]
    one, more = constant("one", 1, np.float32), constant("other", other, np.float32)
    return sequence(nodes, WIDTH, numpy_helper.from_array(weight, "weight"), one, more)
