"""Which ranges the int8 tensors get: measured on crops, chosen by what they do to the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime

from edge.scan.model.bundle import Crops, Sessions
from export.convert.features_graph import Ranges, lay_features, uint8_scale
from export.convert.fold import Floats, FoldedTrunk

BATCH = 4
KEPT = 4096
"""Values kept of each tensor and batch, drawn by chance."""
CHOOSING = 4
"""One in so many crops chooses between the methods instead of measuring ranges."""


@dataclass(frozen=True)
class Spread:
    """What a tensor carries: its least value, its greatest, and some of all in between."""

    low: float
    high: float
    values: Floats


@dataclass(frozen=True)
class Choice:
    """The ranges that moved the logits least, and the mean difference each method made."""

    method: str
    ranges: Ranges
    differences: Mapping[str, float]


def choose(trunk: FoldedTrunk, side: int, crops: Crops, sequence: bytes) -> Choice:
    """Measure ranges on most of the crops, try every method on the rest, take the best.

    `crops` is uint8 `[n, side, side, 3]` RGB, n at least `CHOOSING`.
    """
    judging = np.arange(len(crops)) % CHOOSING == 0
    spreads = measure(trunk, side, crops[~judging])
    exact = _logits(trunk, side, None, sequence, crops[judging])
    ranges = {
        name: {tensor: method(spread) for tensor, spread in spreads.items()}
        for name, method in METHODS.items()
    }
    differences = {
        name: float(np.abs(_logits(trunk, side, tried, sequence, crops[judging]) - exact).mean())
        for name, tried in ranges.items()
    }
    best = min(differences, key=lambda name: differences[name])
    return Choice(best, ranges[best], differences)


def measure(trunk: FoldedTrunk, side: int, crops: Crops) -> dict[str, Spread]:
    """Run crops through the float graph and note what every tensor carries that int8 holds."""
    features = lay_features(trunk, side, expose=True)
    session = onnxruntime.InferenceSession(
        features.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    parts: dict[str, list[Spread]] = {name: [] for name in features.held}
    for at in range(0, len(crops), BATCH):
        tensors = session.run(list(features.held), {"crops": crops[at : at + BATCH]})
        for name, values in zip(features.held, tensors, strict=True):
            drawn = values.ravel()[rng.integers(values.size, size=KEPT)]
            parts[name].append(Spread(float(values.min()), float(values.max()), drawn))
    return {
        name: Spread(
            min(part.low for part in spreads),
            max(part.high for part in spreads),
            np.concatenate([part.values for part in spreads]),
        )
        for name, spreads in parts.items()
    }


def _whole(spread: Spread) -> tuple[float, float]:
    return spread.low, spread.high


def _percentile(spread: Spread) -> tuple[float, float]:
    low, high = np.percentile(spread.values, [0.01, 99.99])
    return float(low), float(high)


def _least_error(spread: Spread) -> tuple[float, float]:
    """The part of the whole range within which rounding and clipping together err least."""
    best, least = (spread.low, spread.high), np.inf
    for part in np.linspace(0.2, 1.0, 41):
        low, high = float(part * spread.low), float(part * spread.high)
        scale, zero = uint8_scale(low, high)
        steps = np.clip(np.rint(spread.values / scale) + zero, 0, 255) - float(zero)
        error = float(np.square(steps * scale - spread.values).mean())
        if error < least:
            best, least = (low, high), error
    return best


METHODS: Mapping[str, Callable[[Spread], tuple[float, float]]] = {
    "whole range": _whole,
    "99.99 %": _percentile,
    "least error": _least_error,
}


def _logits(
    trunk: FoldedTrunk, side: int, ranges: Ranges | None, sequence: bytes, crops: Crops
) -> Floats:
    """Every crop's logit, judged alone."""
    model = lay_features(trunk, side, ranges).model
    graphs = Sessions(model.SerializeToString(), sequence)
    return graphs.sequence(graphs.features(crops)[:, None])
