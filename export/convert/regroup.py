"""By which factor to merge the groups of the 3x3 convolutions: what is fastest on this machine.

Many small groups waste the vector unit, few large ones multiply by zeros; where the best lies
depends on the layer's shape and on the processor. A bundle for another machine is better made with
factors measured there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime

from export.convert.builder import Builder, octets
from export.convert.features_graph import int8_weights
from export.convert.fold import Convolution, FoldedTrunk, merge_groups

FACTORS = (1, 2, 4, 8, 16)
BATCH = 8
ROUNDS = 12


def fastest_factors(trunk: FoldedTrunk, side: int) -> tuple[int, ...]:
    """Measure each stage's 3x3 convolution in int8 on one thread; the best factor by stage."""
    factors = []
    cells = -(-side // 4)
    for number, stage in enumerate(trunk.stages):
        cells = -(-cells // 2) if number else cells
        # The first block's convolution may have a stride; the last one stands for most.
        conv = stage[-1].conv2
        fed = cells * conv.stride
        tried = [factor for factor in FACTORS if conv.groups % factor == 0]
        runs = [_runner(merge_groups(conv, factor), fed) for factor in tried]
        times = interleaved_minima(runs)
        factors.append(tried[int(np.argmin(times))])
    return tuple(factors)


def interleaved_minima(runs: Sequence[Callable[[], object]], rounds: int = ROUNDS) -> list[float]:
    """Processor seconds of each run at its best, taken in turns so that all meet the same load."""
    best = [float("inf")] * len(runs)
    for _ in range(rounds):
        for at, run in enumerate(runs):
            start = time.thread_time()
            run()
            best[at] = min(best[at], time.thread_time() - start)
    return best


def _runner(conv: Convolution, cells: int) -> Callable[[], object]:
    """One convolution in int8 by itself, `cells` wide and high."""
    g = Builder()
    channels = len(conv.weight)
    weight, steps = int8_weights(conv, 1.0)
    scale, zero = (
        g.weight("scale", np.ones((), np.float32)),
        g.weight("zero", np.zeros((), np.uint8)),
    )
    inputs = [
        *("x", scale, zero),
        *(g.weight("w", weight), g.weight("w.scale", steps)),
        *(g.weight("w.zero", np.zeros(channels, np.int8)), scale, zero),
    ]
    strides = [conv.stride] * 2
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
    x = np.random.default_rng(0).integers(0, 256, (BATCH, channels, cells, cells), np.uint8)
    return lambda: session.run(None, {"x": x})
