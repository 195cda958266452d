"""What it costs to run a model in a process of its own, as those that are not Truelight's do.

PYTHONPATH=. python benchmarks/confined_model.py [BUNDLE]
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from edge.scan.model.bundle import Graphs, load_bundle
from edge.scan.model.bundle_info import BATCH, BundleInfo, read_bundle
from edge.scan.model.confined import ConfinedGraphs

REPEATS = 9


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def confined(info: BundleInfo) -> Graphs:
    """In a process of its own, as every model that Truelight did not ship."""
    return ConfinedGraphs(info, 1)


def here(info: BundleInfo) -> Graphs:
    """In this process, if Truelight shipped it."""
    return load_bundle(info, 1)


def measure(info: BundleInfo, load: Callable[[BundleInfo], Graphs]) -> tuple[float, float]:
    """Processor time of loading and ending it; wall time of a batch of crops. Seconds."""
    start = processor_seconds()
    graphs = load(info)
    del graphs
    loading = processor_seconds() - start
    graphs, side = load(info), info.manifest.input.side
    start = time.perf_counter()
    graphs.features(np.zeros((BATCH, side, side, 3), np.uint8))
    return loading, time.perf_counter() - start


def main() -> None:
    """Measure both, in turns."""
    info = read_bundle(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("models/truelight"))
    taken: dict[str, list[tuple[float, float]]] = {}
    for _ in range(REPEATS):
        for load in (confined, here):
            taken.setdefault(load.__name__, []).append(measure(info, load))
    for name, pairs in taken.items():
        loading, batch = (median(column) for column in zip(*pairs, strict=True))
        print(f"{name}: loading {loading:.2f} s of processor time, a batch {batch * 1000:.0f} ms")


main()
