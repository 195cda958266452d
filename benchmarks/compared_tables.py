"""The tables and the plot of `compare.py`, and the features' speed in four forms."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationMethod

from benchmarks.features import processor
from benchmarks.quantization import quantized, session
from edge.scan.model.bundle import Sessions
from edge.scan.model.bundle_info import BATCH
from export.convert.features_graph import lay_features
from export.convert.fold import fold
from export.convert.proofs import golden_crops
from export.train.network import MEAN, STD, Trunk

ROOT = Path(__file__).resolve().parents[1]
PAGE, PLOT = ROOT / "docs" / "performance.md", ROOT / "docs" / "images" / "performance.svg"
BEGIN, END = "<!-- compare.py writes from here -->", "<!-- to here -->"
ROUNDS = 12


def feature_speeds() -> dict[str, float]:
    """Milliseconds a face of 112 px, one thread, batches of 8; random weights but for ours."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = Trunk().eval()
    trunk = fold(network, MEAN, STD, bgr=False)
    crops = golden_crops(112).repeat(2, axis=0)[:BATCH]
    plain = session(lay_features(trunk, 112).model.SerializeToString())
    static = session(quantized(trunk, crops, CalibrationMethod.MinMax))
    folder = ROOT / "models" / "truelight"
    graphs = [(folder / name).read_bytes() for name in ("features.onnx", "sequence.onnx")]
    ours = Sessions(graphs[0], graphs[1], threads=1)
    pictures = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    works: dict[str, Callable[[], object]] = {
        "PyTorch, float32": lambda: network(pictures),
        "ONNX Runtime, float32": lambda: plain.run(None, {"crops": crops}),
        "ONNX Runtime, quantize_static": lambda: static.run(None, {"crops": crops}),
        "Truelight, int8": lambda: ours.features(crops),
    }
    best = dict.fromkeys(works, float("inf"))
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for name, work in works.items():
                began = time.thread_time()
                work()
                best[name] = min(best[name], time.thread_time() - began)
    return {name: 1000 * seconds / BATCH for name, seconds in best.items()}


def tables(figures: Mapping[str, Any]) -> Iterator[str]:
    """Everything as Markdown."""
    rows: Mapping[str, Any] = figures["rows"]
    yield f"{processor()}; {len(os.sched_getaffinity(0))} cores, {platform.machine()}, "
    yield f"ONNX Runtime {onnxruntime.__version__}, PyTorch {torch.__version__}; medians."
    yield ""
    yield "The first 20 frames, warm (seconds):"
    yield ""
    yield "| clip | published pipeline | Truelight | times |"
    yield "| --- | --- | --- | --- |"
    for name, row in rows.items():
        ours, theirs = row["truelight"]["warm_seconds"], row["published"].get("warm_seconds")
        times = f"{theirs / ours:.0f}" if theirs else "-"
        yield f"| {name} | {_number(theirs, 2)} | {ours:.3f} | {times} |"
    yield ""
    yield "From the start of the process to its end (seconds); Truelight judges the whole 10 s:"
    yield ""
    yield "| clip | published, 20 frames | Truelight | with the second opinion | times |"
    yield "| --- | --- | --- | --- | --- |"
    for name, row in rows.items():
        theirs = row.get("published_start")
        times = f"{theirs / row['whole']:.1f}" if theirs else "-"
        both = f"{row['whole']:.2f} | {row['whole_second']:.2f}"
        yield f"| {name} | {_number(theirs, 2)} | {both} | {times} |"
    yield ""
    yield "Finding faces (milliseconds a frame; of Truelight with tracking and cutting):"
    yield ""
    yield (
        "| clip | dlib HOG, upsample 1 | MTCNN | MediaPipe, full range | Truelight, every frame "
        "in full | Truelight |"
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, row in rows.items():
        cells = [row[each].get("faces_ms") for each in ("published", "mtcnn", "mediapipe")]
        cells += [row["truelight"]["faces_full_ms"], row["truelight"]["faces_ms"]]
        yield f"| {name} | {' | '.join(_number(cell, 1) for cell in cells)} |"
    yield ""
    yield "Features (milliseconds a face of 112 px, one thread, batches of 8):"
    yield ""
    yield "| | ms | times PyTorch | times ONNX Runtime float32 |"
    yield "| --- | --- | --- | --- |"
    speeds: Mapping[str, float] = figures["features"]
    torch_ms, plain_ms, *_ = speeds.values()
    for name, spent in speeds.items():
        yield f"| {name} | {spent:.2f} | {torch_ms / spent:.1f} | {plain_ms / spent:.1f} |"


def write(figures: Mapping[str, Any]) -> None:
    """Put the tables between the page's two marks, and draw the plot."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    body = "\n".join(tables(figures))
    PAGE.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8")
    _plot(figures["rows"])


def _plot(rows: Mapping[str, Any]) -> None:
    """Finding faces, milliseconds a frame, by clip and program."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "truelight"
    from matplotlib import pyplot as plt

    programs = {"dlib HOG": "published", "MTCNN": "mtcnn", "MediaPipe": "mediapipe"}
    found = {
        name: [row[key].get("faces_ms", np.nan) for row in rows.values()]
        for name, key in programs.items()
    }
    found["Truelight"] = [row["truelight"]["faces_ms"] for row in rows.values()]
    shown = {name: values for name, values in found.items() if not np.isnan(values).all()}
    figure, axes = plt.subplots(figsize=(8, 3.6))
    places, wide = np.arange(len(rows)), 0.8 / len(shown)
    for number, (name, values) in enumerate(shown.items()):
        axes.bar(places + number * wide, values, wide, label=name)
    axes.set_yscale("log")
    axes.set_xticks(places + 0.4 - wide / 2, list(rows))
    axes.set_ylabel("finding faces, ms a frame")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
