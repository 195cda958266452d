"""What this machine can do at best: matrix products, memory, and the network in float32.

Every figure is of one thread, and the best of several rounds: other load only makes them slower.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import numpy as np
from onnxruntime import InferenceSession

from edge.scan.model.bundle import Sessions, open_graph
from edge.scan.model.bundle_info import BATCH

PRODUCT: Final = (1568, 512, 512)
"""Rows, inner side, columns: 8 crops in the second stage of the network."""
# ResNeXt50-32x4d: blocks a stage, and the width of the grouped convolutions in the first one.
BLOCKS: Final = (3, 4, 6, 3)
GROUPS, WIDTH = 32, 128
COPIED: Final = 32_000_000
"""Bytes: more than any cache holds."""


@dataclass(frozen=True)
class Ceilings:
    """Of one thread."""

    fp32_gflops: float
    """Of a float32 matrix product, 10^9 multiplications and additions a second."""
    int8_gops: float
    """Of the same product in int8."""
    copy_gb_s: float
    """Bytes copied in memory, 10^9 a second."""


@dataclass(frozen=True)
class FeatureSpeed:
    """The network that makes features, one thread, batches of 8."""

    int8_ms: float
    """Milliseconds a crop, as shipped."""
    fp32_ms: float
    """Milliseconds a crop, the same layers in float32."""
    gops: float
    """10^9 operations a second of the shipped graph; added zeros are not counted."""


def measure_ceilings() -> Ceilings:
    """Measure for about a second."""
    rows, inner, columns = PRODUCT
    operations = 2e-9 * rows * inner * columns
    as_float = open_bench_graph("float_product")
    as_int8 = open_bench_graph("int8_product")
    float_input = {"x": np.ones((rows, inner), np.float32)}
    int8_input = {"x": np.ones((rows, inner), np.uint8)}
    source = np.ones(COPIED, np.uint8)
    target = np.empty_like(source)
    fp32, int8, copy = best_of(
        60,
        lambda: as_float.run(None, float_input),
        lambda: as_int8.run(None, int8_input),
        lambda: np.copyto(target, source),
    )
    return Ceilings(operations / fp32, operations / int8, COPIED * 1e-9 / copy)


def measure_features(features: bytes, sequence: bytes, side: int, rounds: int = 12) -> FeatureSpeed:
    """Measure a bundle's features graph beside the same network in float32.

    The float32 network has constant weights; it takes about 200 MB while it is measured.
    """
    sessions = Sessions(features, sequence, threads=1)
    plain = open_bench_graph("network")
    crops = np.full((BATCH, side, side, 3), 127, np.uint8)
    given = {"x": np.ones((BATCH, 3, side, side), np.float32)}
    int8, fp32 = best_of(rounds, lambda: sessions.features(crops), lambda: plain.run(None, given))
    gops = 1e-9 * BATCH * network_operations(side) / int8
    return FeatureSpeed(1000 * int8 / BATCH, 1000 * fp32 / BATCH, gops)


def open_bench_graph(name: str) -> InferenceSession:
    """One of the graphs that `export.convert.bench_graphs` made, on one thread."""
    file = files("edge.bench") / f"{name}.onnx"
    return open_graph(file.read_bytes(), 1, name)


def best_of(rounds: int, *works: Callable[[], object]) -> list[float]:
    """The least seconds of this thread's processor time that each takes, in turn."""
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        for number, work in enumerate(works):
            began = time.thread_time()
            work()
            best[number] = min(best[number], time.thread_time() - began)
    return best


def network_operations(side: int) -> int:
    """Multiplications and additions of that network on one crop of `side` pixels."""

    def points(across: int) -> int:
        return across * across

    across = -(-side // 2)
    total = points(across) * 64 * 3 * 49
    across, channels = -(-across // 2), 64
    for stage, blocks in enumerate(BLOCKS):
        width, out = WIDTH << stage, 2 * WIDTH << stage
        for block in range(blocks):
            after = -(-across // 2) if stage and not block else across
            total += points(across) * channels * width
            total += points(after) * (width * width // GROUPS * 9 + width * out)
            total += 0 if block else points(after) * channels * out
            across, channels = after, out
    return 2 * total
