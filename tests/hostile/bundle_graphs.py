"""Graphs of model bundles that a stranger made to harm who runs them.

Each kind changes a valid bundle in its folder, by chance where there is a choice.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from bundles import SIDE, WIDTH
from frontdoor import ROOT
from hostile.bundle_arrays import golden
from hostile.bundle_files import Kind, edit, exchange, flipped, truncated
from onnx import TensorProto, helper, numpy_helper

from edge.scan.model.manifest import FEATURES, SEQUENCE

sys.path.insert(0, str(ROOT / "tests" / "scan"))
import hostile_models as models  # (beside the tests that load one each)

OUTSIDE = ("../secret.bin", "/etc/passwd", "/proc/self/environ", "/dev/zero", "secret.bin", "")


def graph(make: Callable[[], onnx.ModelProto | bytes], name: str = FEATURES) -> Kind:
    """Another graph, for which the manifest vouches."""

    def kind(bundle: Path, chance: random.Random) -> None:
        made = make()
        exchange(bundle, made if isinstance(made, bytes) else made.SerializeToString(), name)

    return kind


def damaged(damage: Callable[[bytes, random.Random], bytes], *names: str) -> Kind:
    """One of these files with a damage for which the manifest vouches."""

    def kind(bundle: Path, chance: random.Random) -> None:
        name = chance.choice(names)
        exchange(bundle, damage((bundle / name).read_bytes(), chance), name)

    return kind


def of_nodes(*nodes: onnx.NodeProto, **constants: object) -> onnx.ModelProto:
    """A features graph of these nodes after one that gives the mean colour of each crop."""
    known = {"spread": np.eye(3, WIDTH, dtype=np.float32)} | constants
    given = [numpy_helper.from_array(np.asarray(value), name) for name, value in known.items()]
    mean = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["colour", "spread"], ["told"]),
    ]
    return models.model([*mean, *nodes], *given)


def node(kind: str, *given: str, **attributes: Any) -> onnx.NodeProto:
    """The last one."""
    return helper.make_node(kind, given, ["features"], **attributes)


def external(bundle: Path, chance: random.Random) -> None:
    """Weights in a file that is none of the bundle's, or at an impossible place."""
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[1, WIDTH])
    tensor.data_location = TensorProto.EXTERNAL
    where = {"location": chance.choice(OUTSIDE)}
    where |= {"offset": str(chance.choice([0, -1, 2**62])), "length": str(4 * WIDTH)}
    for key, value in where.items():
        tensor.external_data.add(key=key, value=value)
    made = models.model([helper.make_node("Identity", ["weights"], ["features"])], tensor)
    exchange(bundle, made.SerializeToString(), FEATURES)


def calls_itself() -> onnx.ModelProto:
    """A function that is its own only node."""
    made = of_nodes(helper.make_node("Again", ["told"], ["features"], domain="own"))
    again = helper.make_node("Again", ["x"], ["y"], domain="own")
    versions = [helper.make_opsetid("own", 1)]
    made.functions.append(helper.make_function("own", "Again", ["x"], ["y"], [again], versions))
    made.opset_import.append(versions[0])
    return made


def grows() -> onnx.ModelProto:
    """A loop that keeps what it made, turn by turn."""
    names = {"number": TensorProto.INT64, "flag": TensorProto.BOOL, "out": TensorProto.BOOL}
    number, flag, out = (helper.make_tensor_value_info(name, names[name], []) for name in names)
    piece = helper.make_tensor_value_info("piece", TensorProto.FLOAT, [1 << 24])
    body = [
        helper.make_node("Identity", ["flag"], ["out"]),
        helper.make_node("ConstantOfShape", ["size"], ["piece"]),
    ]
    inner = helper.make_graph(body, "body", [number, flag], [out, piece])
    loop = helper.make_node("Loop", ["turns", "true"], ["pieces"], body=inner)
    total = helper.make_node("ReduceSum", ["pieces"], ["total"], keepdims=0)
    last = node("Add", "told", "total")
    more = {"turns": np.int64(models.ENDLESS), "true": np.True_, "size": np.array([1 << 24])}
    return of_nodes(loop, total, last, **more)


def circle() -> onnx.ModelProto:
    """Two nodes that wait for each other."""
    there = helper.make_node("Add", ["told", "back"], ["there"])
    back = helper.make_node("Add", ["there", "told"], ["back"])
    return of_nodes(there, back, node("Abs", "back"))


def chain(count: int = 20_000) -> onnx.ModelProto:
    """Very many nodes."""
    names = ["told", *(f"n{number}" for number in range(count))]
    nodes = [helper.make_node("Sin", [one], [next_one]) for one, next_one in pairwise(names)]
    return of_nodes(*nodes, node("Abs", names[-1]))


def versions(number: int) -> onnx.ModelProto:
    """Of a format that nobody knows."""
    made = of_nodes(node("Identity", "told"))
    made.opset_import[0].version = made.ir_version = number
    return made


def wide(width: int, frames: int) -> Kind:
    """A valid model of so many features of a crop, all zero, and windows of so many crops."""

    def kind(bundle: Path, chance: random.Random) -> None:
        nodes = [
            helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float"], ["grey"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Unsqueeze", ["grey", "one"], ["column"]),
            helper.make_node("Mul", ["column", "zero"], ["nothing"]),
            helper.make_node("Expand", ["nothing", "shape"], ["features"]),
        ]
        kinds = {"one": np.array([1]), "zero": np.float32(0), "shape": np.array([1, width])}
        made = models.model(
            nodes, *(numpy_helper.from_array(np.asarray(kinds[name]), name) for name in kinds)
        )
        made.graph.output[0].type.tensor_type.shape.dim[1].dim_value = width
        exchange(bundle, made.SerializeToString(), FEATURES)
        mean = helper.make_node("ReduceMean", ["features"], ["logits"], axes=[1, 2], keepdims=0)
        exchange(bundle, models.sequence([mean], width).SerializeToString(), SEQUENCE)
        arrays = {"features": np.zeros((1, width), np.float32), "logits": np.zeros(1, np.float32)}
        arrays |= {"crops": np.zeros((1, SIDE, SIDE, 3), np.uint8), "slots": np.zeros((1, 1), int)}
        golden(lambda old: old.update(arrays))(bundle, chance)
        edit(bundle, lambda manifest: manifest["window"].update(frames=frames))

    return kind


GRAPHS: dict[str, Kind] = {
    "graph, truncated": damaged(truncated, FEATURES, SEQUENCE),
    "graph, bits flipped": damaged(flipped, FEATURES, SEQUENCE),
    "graph, noise": graph(lambda: random.Random(0).randbytes(50_000)),
    "graph, swelling": graph(models.swelling),
    "graph, an initialiser of 4 TB": graph(models.huge_initialiser),
    "graph, deep": graph(models.deeply_nested),
    "graph, an operator of its own": graph(models.custom_operator),
    "graph, words for numbers": graph(models.of_words),
    "graph, an endless loop": graph(models.looping),
    "graph, a loop that grows": graph(grows),
    "graph, a function that calls itself": graph(calls_itself),
    "graph, a circle": graph(circle),
    "graph, 20,000 nodes": graph(chain),
    "graph, of version 2^31": graph(lambda: versions(2**31 - 1)),
    "graph, weights outside": external,
    "graph, NaN": graph(lambda: of_nodes(node("Log", "minus"), minus=np.full((1, WIDTH), -1, "f"))),
    "graph, infinite": graph(lambda: of_nodes(node("Div", "told", "nought"), nought=np.float32(0))),
    "graph, random": graph(lambda: of_nodes(node("RandomNormalLike", "told"))),
    "graph, one row too many": graph(
        lambda: of_nodes(node("Concat", "told", "more", axis=0), more=np.zeros((1, WIDTH), "f"))
    ),
    "graph, nothing": graph(
        lambda: of_nodes(node("Slice", "told", "0", "0", "0"), **{"0": np.zeros(1, int)})
    ),
    "graph, three dimensions": graph(
        lambda: of_nodes(node("Unsqueeze", "told", "0"), **{"0": np.zeros(1, int)})
    ),
    "graph, double": graph(lambda: of_nodes(node("Cast", "told", to=TensorProto.DOUBLE))),
    "graph, 17 GB from each crop": graph(
        lambda: of_nodes(node("Tile", "told", "times"), times=np.array([1, 1 << 21]))
    ),
    "graph, other names": graph(
        lambda: of_nodes(node("Abs", "told")).SerializeToString().replace(b"crops", b"\x1b[2J\n")
    ),
    "graph, the other's place": lambda bundle, chance: exchange(
        bundle, (bundle / SEQUENCE).read_bytes(), FEATURES
    ),
    "graph, NaN for a red face": graph(lambda: models.on_red(np.nan), SEQUENCE),
    "graph, infinite for a red face": graph(lambda: models.on_red(np.inf), SEQUENCE),
    "graph, 1e38 for a red face": graph(lambda: models.on_red(3e38), SEQUENCE),
    "graph, 16 million features": wide(15_900_000, 300),
    "graph, 1 million features": wide(1_000_000, 300),
    "graph, 3,000 features of 300 crops": wide(3000, 300),
}
