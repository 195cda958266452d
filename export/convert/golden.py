"""The golden vector: fixed pictures and what the graphs must answer to them on any machine."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnxruntime

from edge.scan.model.bundle import WEIGHTS_FOLDER, Crops, Sessions
from export.convert.fold import Floats

CROPS = 4
SPREAD = 4
"""So many times what rounding in another order changes here is granted to other processors."""
LEAST = 1e-3
"""And so much of the largest value, at least."""


def golden_crops(side: int) -> Crops:
    """Pictures from nothing: smooth noise of growing grain, uint8 `[4, side, side, 3]` RGB."""
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
    """`golden.npz`: crops, slots of the windows made of them, right answers and tolerances.

    How far processors may differ is told by this one: it is asked once with its fastest kernels
    and once without any optimisation, which rounds differently in every layer.
    `beside` is the folder of the weights, if they are outside the features graph.
    """
    crops = golden_crops(side)
    graphs = Sessions(features, sequence, beside=beside)
    answers = graphs.features(crops)
    plain = _unoptimised(features, crops, beside)
    slots = np.arange(2 * frames).reshape(2, frames) % CROPS
    slots[1] = slots[1, ::-1]
    logits = graphs.sequence(answers[slots])
    granted = SPREAD * np.abs(answers - plain).max() + LEAST * np.abs(answers).max()
    archive = io.BytesIO()
    np.savez_compressed(
        archive,
        crops=crops,
        slots=slots,
        features=answers,
        features_tolerance=np.float32(granted),
        logits=logits,
        logits_tolerance=np.float32(LEAST * max(1.0, float(np.abs(logits).max()))),
    )
    return archive.getvalue()


def _unoptimised(features: bytes, crops: Crops, beside: Path | None) -> Floats:
    options = onnxruntime.SessionOptions()
    if beside is not None:
        options.add_session_config_entry(WEIGHTS_FOLDER, str(beside))
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        features, options, providers=["CPUExecutionProvider"]
    )  # fmt: skip
    answer: Floats = session.run(["features"], {"crops": crops})[0]
    return answer
