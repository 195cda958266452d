"""A bundle for tests: a valid one that calls red faces fake.

Its logit is the mean over a window of (red - green) / 255 * `SLOPE`, so its answers are known
beforehand, and it is fast.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.finding import Thresholds
from edge.scan.model.manifest import (
    CARD,
    FEATURES,
    GOLDEN,
    MANIFEST,
    SEQUENCE,
    TOWER,
    EnsembleRule,
    GraphSettings,
    Input,
    Manifest,
    MeasuredFigure,
    QualityLimits,
    Window,
)

SIDE, FRAMES, RATE, WIDTH = 64, 8, 8.0, 2048
TOWER_WIDTH = 5
SLOPE = 20.0

SUMMARY = "Takes red faces for fake."


def write_bundle(folder: Path, **said: object) -> Path:
    """Write the bundle into `folder`; `said` replaces what its manifest says."""
    folder.mkdir(parents=True)
    (folder / FEATURES).write_bytes(_features(WIDTH).SerializeToString())
    return _write_rest(folder, WIDTH, FRAMES, said)


def write_tower_bundle(folder: Path, **said: object) -> Path:
    """Write one that does the same, crop by crop, with its weights in a `tower.onnx`."""
    folder.mkdir(parents=True)
    model = _features(TOWER_WIDTH)
    (spread,) = model.graph.initializer
    weights, at = spread.raw_data, 24
    (folder / TOWER).write_bytes(b"#" * at + weights + b"#" * 8)
    spread.ClearField("raw_data")
    spread.data_location = TensorProto.EXTERNAL
    where = {"location": TOWER, "offset": str(at), "length": str(len(weights))}
    for key, value in where.items():
        spread.external_data.add(key=key, value=value)
    (folder / FEATURES).write_bytes(model.SerializeToString())
    return _write_rest(folder, TOWER_WIDTH, 1, {"window": Window(frames=1, rate=1.0)} | said)


def beside(
    bundle: Path, crops: int, *, first: float, second: float, offset: float = 0.0
) -> EnsembleRule:
    """A rule for a tower that is asked beside `bundle`."""
    return EnsembleRule(
        name=bundle.name,
        sequence=_sha256(bundle / SEQUENCE),
        features=_sha256(bundle / FEATURES),
        crops=crops,
        first=first,
        second=second,
        offset=offset,
        thresholds=Thresholds(real=0.3, fake=0.7),
    )


def _write_rest(folder: Path, width: int, frames: int, said: dict[str, object]) -> Path:
    (folder / SEQUENCE).write_bytes(_sequence(width).SerializeToString())
    (folder / CARD).write_text("# A bundle for tests\n", encoding="utf-8")
    _write_golden(folder / GOLDEN, width, frames)
    files = (FEATURES, SEQUENCE, GOLDEN, CARD, *((TOWER,) if (folder / TOWER).is_file() else ()))
    manifest = Manifest(
        name=folder.name,
        version="1",
        licence="Apache-2.0",
        summary=SUMMARY,
        input=Input(side=SIDE),
        window=Window(frames=FRAMES, rate=RATE),
        thresholds=Thresholds(real=0.3, fake=0.7),
        quality=QualityLimits(face_px=48, light=20, sharpness=1, seconds=0.5),
        kind="tower" if (folder / TOWER).is_file() else "truelight",
        graphs=GraphSettings(quantization="none"),
        figures=(
            MeasuredFigure(
                name="AUC", value=0.5, low=0.4, high=0.6, data="nothing", command="none"
            ),
        ),
        files={name: _sha256(folder / name) for name in files},
    )
    text = manifest.model_copy(update=said).model_dump_json(indent=2)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return folder


def _features(width: int) -> onnx.ModelProto:
    """uint8 `[n, side, side, 3]` -> float32 `[n, width]`: the mean colour, then nothing."""
    spread = np.eye(3, width, dtype=np.float32)
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["colour", "spread"], ["features"]),
    ]
    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", SIDE, SIDE, 3])
    return _model(nodes, crops, "features", ["n", width], {"spread": spread})


def _sequence(width: int) -> onnx.ModelProto:
    """float32 `[n, T, width]` -> float32 `[n]`."""
    weight = np.zeros(width, np.float32)
    weight[[0, 1]] = SLOPE / 255, -SLOPE / 255
    nodes = [
        helper.make_node("MatMul", ["features", "weight"], ["frames"]),
        helper.make_node("ReduceMean", ["frames"], ["logits"], axes=[1], keepdims=0),
    ]
    shape: list[str | int | None] = ["n", "T", width]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)
    return _model(nodes, features, "logits", ["n"], {"weight": weight})


def _model(
    nodes: list[onnx.NodeProto],
    given: onnx.ValueInfoProto,
    answer: str,
    shape: list[str | int | None],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    output = helper.make_tensor_value_info(answer, TensorProto.FLOAT, shape)
    constants = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "test", [given], [output], constants)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def _write_golden(file: Path, width: int, frames: int) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    features = np.zeros((2, width), np.float32)
    features[:, :3] = crops.mean((1, 2))
    slots = np.resize([0, 1], (1, frames))
    logits = (features[slots][..., 0] - features[slots][..., 1]).mean(1) / 255 * SLOPE
    np.savez(
        file,
        crops=crops,
        features=features,
        features_tolerance=np.float32(1e-2),
        slots=slots,
        logits=logits.astype(np.float32),
        logits_tolerance=np.float32(1e-2),
    )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
