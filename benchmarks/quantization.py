"""The int8 graphs of `truelight-export bundle` against torch.onnx.export and quantize_static.

    python benchmarks/quantization.py models/truelight CLIPS [--crops 512]

The float weights are those of the shipped graph, each moved by chance within its rounding step: as
they may have been before they were rounded. Half of the clips calibrate, the other half measures.
Times are of one thread, the least processor time of many runs.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from edge.bench.ceilings import best_of
from edge.scan.frames import Crops, CropSpec
from edge.scan.model.bundle import Sessions
from edge.scan.model.bundle_info import read_bundle
from export.convert.features_graph import lay_features
from export.convert.fold import STAGES, Convolution, FoldedTrunk, fold, regroup
from export.convert.quantize import choose
from export.data.crop_folders import FRAMES, sample_crops
from export.metrics import auc
from export.train.network import MEAN, STD, Trunk

BATCH = 8
TURNS = 20
METHODS = {
    "MinMax": CalibrationMethod.MinMax,
    "Percentile": CalibrationMethod.Percentile,
    "Entropy": CalibrationMethod.Entropy,
}


def shipped_trunk(file: Path, factors: Mapping[str, int]) -> FoldedTrunk:
    """The float trunk of an int8 graph: groups as trained, weights anywhere in their steps."""
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(file).graph.initializer}
    rng = np.random.default_rng(0)

    def restored(conv: Convolution) -> Convolution:
        steps = tensors[f"{conv.name}.weight.scale"].reshape(-1, 1, 1, 1)
        whole = tensors[f"{conv.name}.weight.int8"].astype(np.float32)
        factor = whole.shape[1] // conv.weight.shape[1]
        per_group = len(whole) // conv.groups
        inputs = conv.weight.shape[1]
        weight = np.empty_like(conv.weight)
        for group in range(conv.groups):
            rows = slice(group * per_group, (group + 1) * per_group)
            at = group % factor * inputs
            weight[rows] = whole[rows, at : at + inputs]
        weight = (weight + rng.uniform(-0.5, 0.5, weight.shape)) * steps
        bias = tensors[f"{conv.name}.bias.int32"] * tensors[f"{conv.name}.bias.scale"]
        return replace(conv, weight=weight.astype(np.float32), bias=bias.astype(np.float32))

    trunk = fold(Trunk().eval(), MEAN, STD, bgr=False)
    stages = tuple(
        tuple(
            replace(
                block,
                conv1=restored(block.conv1),
                conv2=restored(block.conv2),
                conv3=restored(block.conv3),
                shortcut=block.shortcut and restored(block.shortcut),
            )
            for block in stage
        )
        for stage in trunk.stages
    )
    return replace(trunk, stem=restored(trunk.stem), stages=stages)


class Folded(nn.Module):
    """A folded trunk as torch has it, for torch.onnx.export: uint8 crops in, features out."""

    def __init__(self, trunk: FoldedTrunk) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(trunk.mean.copy()).view(1, 3, 1, 1))
        self.trunk = trunk
        self.layers = nn.ModuleDict(
            {conv.name.replace(".", "-"): _layer(conv) for conv in trunk.convolutions()}
        )

    def forward(self, crops: Tensor) -> Tensor:
        """uint8 `[n, side, side, 3]` -> float32 `[n, 2048]`."""
        x = crops.permute(0, 3, 1, 2).float() - self.mean
        x = nn.functional.max_pool2d(torch.relu(self._conv(self.trunk.stem, x)), 3, 2, 1)
        for block in (block for stage in self.trunk.stages for block in stage):
            kept = x if block.shortcut is None else self._conv(block.shortcut, x)
            x = torch.relu(self._conv(block.conv1, x))
            x = torch.relu(self._conv(block.conv2, x))
            x = torch.relu(self._conv(block.conv3, x) + kept)
        return x.mean((2, 3))

    def _conv(self, conv: Convolution, x: Tensor) -> Tensor:
        result: Tensor = self.layers[conv.name.replace(".", "-")](x)
        return result


def _layer(conv: Convolution) -> nn.Conv2d:
    outputs, inputs, kernel, _ = conv.weight.shape
    layer = nn.Conv2d(
        inputs * conv.groups, outputs, kernel, conv.stride, kernel // 2, groups=conv.groups
    )
    layer.weight.data = torch.from_numpy(conv.weight.copy())
    layer.bias.data = torch.from_numpy(conv.bias.copy())
    return layer


class Reader(CalibrationDataReader):
    """Crops for quantize_static, a few at a time."""

    def __init__(self, crops: Crops) -> None:
        whole = crops[: len(crops) // BATCH * BATCH]  # entropy wants batches of one size
        self._batches: Iterator[Crops] = iter(np.split(whole, len(whole) // BATCH))

    def get_next(self) -> dict[str, Crops] | None:
        """The next batch, or None."""
        batch = next(self._batches, None)
        return None if batch is None else {"crops": batch}


def quantized(trunk: FoldedTrunk, crops: Crops, method: CalibrationMethod) -> bytes:
    """The graph that torch exports and ONNX Runtime quantizes."""
    with tempfile.TemporaryDirectory() as folder:
        plain, ready, done = (Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "done"))
        names = {"input_names": ["crops"], "output_names": ["features"]}
        free = {"crops": {0: "n"}, "features": {0: "n"}}
        torch.onnx.export(
            Folded(trunk).eval(),
            (torch.from_numpy(crops[:2]),),
            plain,
            opset_version=17,
            dynamic_axes=free,
            dynamo=False,
            **names,
        )
        quant_pre_process(plain, ready)
        quantize_static(
            ready,
            done,
            Reader(crops),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=method,
        )
        return done.read_bytes()


def session(model: bytes) -> onnxruntime.InferenceSession:
    """A session as the box opens it, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def main() -> None:
    """Make every graph, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("clips", type=Path, help="folder of clips with labels.tsv")
    parser.add_argument("--crops", type=int, default=512)
    args = parser.parse_args()
    manifest = read_bundle(args.bundle).manifest
    side, crop = manifest.input.side, manifest.input.crop
    factors = manifest.graphs.group_factors
    trunk = shipped_trunk(args.bundle / "features.onnx", factors)
    merged = regroup(trunk, [factors[stage] for stage in STAGES])
    spec = CropSpec(side, crop.scale, crop.shift_x, crop.shift_y)
    material = sample_crops(args.clips, spec, args.crops, lambda done, total: None)
    assert material.fakes is not None
    calibrates = np.arange(len(material.crops)) // FRAMES % 2 == 0
    calibrating, measuring = material.crops[calibrates], material.crops[~calibrates]
    fakes = np.array(material.fakes)[~calibrates]
    sequence = (args.bundle / "sequence.onnx").read_bytes()

    def ours() -> bytes:
        ranges = choose(merged, side, calibrating, sequence).ranges
        return lay_features(merged, side, ranges).model.SerializeToString()

    makers: dict[str, Callable[[], bytes]] = {
        "float32": lay_features(trunk, side).model.SerializeToString,
        "truelight-export": ours,
    }
    for name, method in METHODS.items():
        makers[f"quantize_static, {name}"] = partial(quantized, trunk, calibrating, method)
        makers[f"quantize_static, {name}, groups merged"] = partial(
            quantized, merged, calibrating, method
        )
    models, costs = {}, {}
    for name, make in makers.items():
        start = time.perf_counter()
        models[name] = make()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        costs[name] = f"{time.perf_counter() - start:6.0f} {peak:6.0f}"
    batch = measuring[:BATCH]
    opened = {name: session(model) for name, model in models.items()}
    runs = [partial(each.run, ["features"], {"crops": batch}) for each in opened.values()]
    best = dict(zip(opened, best_of(TURNS, *runs), strict=True))
    exact = None
    print(f"ONNX Runtime {onnxruntime.__version__}, torch {torch.__version__}, {side} px")
    print(f"{len(calibrating)} crops to calibrate, {len(measuring)} to measure")
    print("   ms a crop  logit difference: mean, largest   AUC   made in s, peak MB so far")
    for name, model in models.items():
        graphs = Sessions(model, sequence)
        logits = graphs.sequence(graphs.features(measuring)[:, None])
        exact = logits if exact is None else exact
        off = np.abs(logits - exact)
        print(
            f"{1000 * best[name] / BATCH:12.2f} {off.mean():16.4f} {off.max():8.4f}"
            f"   {auc(fakes, logits):.4f} {costs[name]}  {name}"
        )


if __name__ == "__main__":
    main()
