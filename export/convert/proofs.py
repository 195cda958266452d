"""Proof that the graphs are the network, measured for every bundle, and the golden vector.

The golden vector is fixed pictures with the answers that the graphs must give on any machine.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from scipy.special import expit

from edge.errors import TruelightError
from edge.finding import verdict_of
from edge.scan.frames import Crops, Floats
from edge.scan.model.bundle import WEIGHTS_FOLDER, Sessions
from edge.scan.model.manifest import UNCALIBRATED, MeasuredFigure
from export.data.crop_folders import LabelledCrops
from export.metrics import auc
from export.train.checkpoint import Own, Published
from export.train.network import Readout, normalise

PARITY = 1e-4
WINDOWS = 2
GOLDEN_CROPS = 4
ROUNDING_FACTOR = 4
"""The golden tolerance is this many times the rounding difference measured on this machine, plus
`LEAST` of the largest value, for other processors."""
LEAST = 1e-3


class ParityError(TruelightError):
    """The float graphs do not answer as the network does in torch."""


def float_proof(
    checkpoint: Own | Published, readout: Readout, graphs: Sessions, crops: Crops, frames: int
) -> MeasuredFigure:
    """The largest logit difference between torch and the float graphs, on windows of `crops`.

    Raises ParityError if it is not under `PARITY`.
    """
    slots = np.resize(np.arange(len(crops)), (WINDOWS, frames))
    expected = np.array([_torch_logit(checkpoint, readout, crops[window]) for window in slots])
    got = graphs.sequence(graphs.features(crops)[slots])
    difference = float(np.abs(got - expected).max())
    if not difference < PARITY:
        raise ParityError(
            f"The graphs differ from the network by a logit of {difference:.2g}.",
            f"The limit is {PARITY:.0e}. This is a fault of the exporter: please report it.",
        )
    return MeasuredFigure(
        name="largest logit difference, ONNX float32 to PyTorch",
        value=difference,
        data=f"{WINDOWS} windows of {len(np.unique(slots))} crops",
    )


@torch.inference_mode()
def _torch_logit(checkpoint: Own | Published, readout: Readout, window: Crops) -> float:
    """The network's own answer to one window, uint8 `[T, side, side, 3]` RGB."""
    if isinstance(checkpoint, Own):
        return float(checkpoint.network(normalise(torch.from_numpy(window))[None])[0])
    planes = normalise(torch.from_numpy(window[..., ::-1].copy()))
    fake, real = checkpoint.network(planes[None], readout)[0]
    return float(fake - real)


def int8_proofs(
    exact: Sessions, quantized: Sessions, material: LabelledCrops, frames: int
) -> list[MeasuredFigure]:
    """How far the int8 graph's probabilities are from the float graph's, one crop a window.

    Calibration comes later, so probabilities and verdicts are those of an uncalibrated bundle.
    """
    before, after = (
        expit(_still_logits(graphs, material.crops, frames)) for graphs in (exact, quantized)
    )
    differences = np.abs(after - before)
    verdicts = [
        [verdict_of(float(p), UNCALIBRATED) for p in probabilities]
        for probabilities in (before, after)
    ]
    changed = sum(a is not b for a, b in zip(*verdicts, strict=True))
    figures = [
        ("probability difference int8 to float32, mean", float(differences.mean())),
        ("probability difference int8 to float32, largest", float(differences.max())),
        ("verdicts that int8 changes, share", changed / len(differences)),
    ]
    if material.fakes is not None and 0 < sum(material.fakes) < len(material.fakes):
        figures += [
            ("AUC of crops, float32", auc(material.fakes, before)),
            ("AUC of crops, int8", auc(material.fakes, after)),
        ]
    data = f"{len(material.crops)} crops of {material.name}"
    return [MeasuredFigure(name=name, value=value, data=data) for name, value in figures]


def _still_logits(graphs: Sessions, crops: Crops, frames: int) -> Floats:
    """Logits of windows that repeat one crop, float32 `[n]`."""
    features = graphs.features(crops)
    parts: Sequence[Floats] = [
        graphs.sequence(np.repeat(features[at : at + 32, None], frames, axis=1))
        for at in range(0, len(features), 32)
    ]
    return np.concatenate(parts)


def golden_crops(side: int) -> Crops:
    """Smooth noise of growing grain, uint8 `[4, side, side, 3]` RGB."""
    rng = np.random.default_rng(20)
    crops = [_smooth_noise(rng, side, cells) for cells in (3, 6, 12, 40)]
    return np.stack(crops)


def _smooth_noise(rng: np.random.Generator, side: int, cells: int) -> Crops:
    """Random colours on a grid, blended between its points."""
    grid = rng.uniform(0, 255, (cells + 1, cells + 1, 3))
    at = np.linspace(0, cells, side, endpoint=False)
    low, part = at.astype(int), at % 1
    down = grid[low] * (1 - part)[:, None, None] + grid[low + 1] * part[:, None, None]
    both = down[:, low] * (1 - part)[:, None] + down[:, low + 1] * part[:, None]
    return np.asarray(np.rint(both), np.uint8)


def golden_vector(
    features: bytes, sequence: bytes, side: int, frames: int, beside: Path | None = None
) -> bytes:
    """`golden.npz`: crops, the slots of their windows, the answers and the tolerances.

    The tolerance comes from how far the optimised graph is from the same graph unoptimised, which
    rounds differently in every layer. `beside` is the folder of weights outside the graph.
    """
    crops = golden_crops(side)
    graphs = Sessions(features, sequence, weights=beside)
    answers = graphs.features(crops)
    rounding = np.abs(answers - _unoptimised(features, crops, beside)).max()
    slots = np.arange(2 * frames).reshape(2, frames) % GOLDEN_CROPS
    slots[1] = slots[1, ::-1]
    logits = graphs.sequence(answers[slots])
    tolerance = ROUNDING_FACTOR * rounding + LEAST * np.abs(answers).max()
    archive = io.BytesIO()
    arrays: dict[str, Any] = {
        "crops": crops,
        "slots": slots,
        "features": answers,
        "features_tolerance": np.float32(tolerance),
        "logits": logits,
        "logits_tolerance": np.float32(LEAST * max(1.0, float(np.abs(logits).max()))),
    }
    if graphs.asks_generated:
        arrays["generated"] = graphs.generated(answers[slots])
    np.savez_compressed(archive, **arrays)
    return archive.getvalue()


def _unoptimised(features: bytes, crops: Crops, beside: Path | None) -> Floats:
    options = onnxruntime.SessionOptions()
    if beside is not None:
        options.add_session_config_entry(WEIGHTS_FOLDER, str(beside))
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(features, options, providers=providers)
    answer: Floats = session.run(["features"], {"crops": crops})[0]
    return answer
