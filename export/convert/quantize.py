"""How the int8 graph is made: activation ranges, and how the 3x3 convolutions' groups are merged.

Ranges are measured on crops and chosen by what they do to the logits. Groups are merged as is
fastest on this machine: many small groups waste the vector unit, few large ones multiply by zeros.
A bundle for another machine is better made with `--group-factors` measured there.
docs/dependencies.md says how this compares with onnxruntime.quantization.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime

from edge.bench.ceilings import best_of
from edge.scan.frames import Crops, Floats
from edge.scan.model.bundle import Sessions
from export.convert.builder import Builder, octets
from export.convert.features_graph import Ranges, int8_weights, lay_features, uint8_scale
from export.convert.fold import Convolution, FoldedTrunk, merge_groups

BATCH = 4
SAMPLED = 4096
"""Values sampled of each tensor and batch."""
VALIDATION = 4
"""One crop in this many validates the ranges instead of measuring them."""

FACTORS = (1, 2, 4, 8, 16)
TIMED_BATCH = 8
ROUNDS = 12


@dataclass(frozen=True)
class Spread:
    """The values of a tensor: the least, the greatest and a sample."""

    low: float
    high: float
    values: Floats


@dataclass(frozen=True)
class Choice:
    """The ranges that moved the logits least, and by which method they were found."""

    method: str
    ranges: Ranges


def choose(trunk: FoldedTrunk, side: int, crops: Crops, sequence: bytes) -> Choice:
    """Measure ranges on most of the crops, try every method on the rest, take the best.

    `crops` is uint8 `[n, side, side, 3]` RGB, n at least `VALIDATION`.
    """
    validating = np.arange(len(crops)) % VALIDATION == 0
    spreads = measure(trunk, side, crops[~validating])
    exact = _logits(trunk, side, None, sequence, crops[validating])

    def error(ranges: Ranges) -> float:
        logits = _logits(trunk, side, ranges, sequence, crops[validating])
        return float(np.abs(logits - exact).mean())

    choices = [
        Choice(name, {tensor: method(spread) for tensor, spread in spreads.items()})
        for name, method in METHODS.items()
    ]
    return min(choices, key=lambda choice: error(choice.ranges))


def measure(trunk: FoldedTrunk, side: int, crops: Crops) -> dict[str, Spread]:
    """Run crops through the float graph; the values of every tensor that int8 will hold."""
    features = lay_features(trunk, side, expose=True)
    session = onnxruntime.InferenceSession(
        features.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    parts: dict[str, list[Spread]] = {name: [] for name in features.held}
    for at in range(0, len(crops), BATCH):
        tensors = session.run(list(features.held), {"crops": crops[at : at + BATCH]})
        for name, values in zip(features.held, tensors, strict=True):
            sample = values.ravel()[rng.integers(values.size, size=SAMPLED)]
            parts[name].append(Spread(float(values.min()), float(values.max()), sample))
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
    """The part of the whole range with the least mean square of rounding and clipping."""

    def error(ends: tuple[float, float]) -> float:
        scale, zero = uint8_scale(*ends)
        steps = np.clip(np.rint(spread.values / scale) + zero, 0, 255) - float(zero)
        return float(np.square(steps * scale - spread.values).mean())

    parts = np.linspace(0.2, 1.0, 41)
    return min(((float(p * spread.low), float(p * spread.high)) for p in parts), key=error)


METHODS: Mapping[str, Callable[[Spread], tuple[float, float]]] = {
    "whole range": _whole,
    "99.99 %": _percentile,
    "least error": _least_error,
}


def _logits(
    trunk: FoldedTrunk, side: int, ranges: Ranges | None, sequence: bytes, crops: Crops
) -> Floats:
    """Every crop's logit, one crop a window."""
    graphs = Sessions(lay_features(trunk, side, ranges).model.SerializeToString(), sequence)
    return graphs.sequence(graphs.features(crops)[:, None])


def fastest_factors(trunk: FoldedTrunk, side: int) -> tuple[int, ...]:
    """Measure each stage's 3x3 convolution in int8 on one thread; the best factor by stage."""
    factors = []
    cells = -(-side // 4)
    for number, stage in enumerate(trunk.stages):
        cells = -(-cells // 2) if number else cells
        # The first block's convolution may have a stride; the last block stands for the stage.
        conv = stage[-1].conv2
        tried = [factor for factor in FACTORS if conv.groups % factor == 0]
        runs = [_runner(merge_groups(conv, factor), cells * conv.stride) for factor in tried]
        factors.append(tried[int(np.argmin(best_of(ROUNDS, *runs)))])
    return tuple(factors)


def _runner(conv: Convolution, cells: int) -> Callable[[], object]:
    """One int8 convolution on inputs `cells` wide and high."""
    g = Builder()
    channels = len(conv.weight)
    weight, steps = int8_weights(conv, 1.0)
    unit = [g.weight("scale", np.ones((), np.float32)), g.weight("zero", np.zeros((), np.uint8))]
    weights = [
        g.weight("w", weight),
        g.weight("w.scale", steps),
        g.weight("w.zero", np.zeros(channels, np.int8)),
    ]
    strides = [conv.stride] * 2
    inputs = ["x", *unit, *weights, *unit]
    g.then("QLinearConv", inputs, "y", group=conv.groups, strides=strides, pads=[1] * 4)
    model = g.model(
        [octets("x", ["n", channels, cells, cells])],
        [octets("y", ["n", channels, cells // conv.stride, cells // conv.stride])],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(0).integers(0, 256, (TIMED_BATCH, channels, cells, cells), np.uint8)
    return lambda: session.run(None, {"x": x})
