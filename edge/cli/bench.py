"""`truelight bench`: how fast this machine judges a clip, beside its own ceilings."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.bench.measure import Bench, measure
from edge.cli import with_options
from edge.errors import TruelightError
from edge.settings import load_settings

SAMPLE: Final = Path(__file__).parents[2] / "samples" / "clips" / "one-person.mp4"

STAGES: Final = {
    "start": "start and end of the program",
    "open": "opening the clip (in the decoder process)",
    "first_frame": "from the scan's start to the first frame",
    "decode": "decoding (in the decoder process)",
    "faces": "finding, tracking and cutting faces",
    "features": "features of the faces",
    "sequence": "scores of the windows",
    "second": "the second opinion",
    "total": "the scan",
}
"""In words, in the order of the table."""


def run(chosen: argparse.Namespace) -> int:
    """Measure and print."""
    clip: Path = chosen.clip or SAMPLE
    if chosen.runs < 1:
        raise TruelightError("--runs must be 1 or more.", "For example: --runs 5")
    if not clip.is_file():
        missing = f"{clip} is not there." if chosen.clip else "The sample clip is not there."
        raise TruelightError(missing, "Name a clip: truelight bench CLIP")
    settings = with_options(
        load_settings(chosen.config), {"--second": {"second_opinion.ask": chosen.second}}
    )
    options = ["--config", str(chosen.config)] if chosen.config else []
    options += ["--second", chosen.second] if chosen.second else []

    def report(step: str) -> None:
        print(f"Measuring: {step} ...", file=sys.stderr, flush=True)

    bench = measure(clip, settings, chosen.runs, options, report)
    if chosen.json:
        print(json.dumps(bench.as_json(), ensure_ascii=False))
    else:
        print("\n".join(table(bench)))
    return 0


def table(bench: Bench) -> Iterator[str]:
    """The figures as lines that can be pasted into an issue."""
    figures, machine = bench.as_json(), bench.machine
    board = f"{machine.model}, " if machine.model else ""
    fast = ", ".join(machine.instructions) or "no instructions for int8 known"
    yield f"{board}{machine.processor} ({machine.architecture}; {fast})"
    yield (
        f"{machine.cores} cores, {machine.memory_mb} MB of memory; truelight {machine.truelight}, "
        f"Python {machine.python}, ONNX Runtime {machine.onnxruntime}"
    )
    clip = figures["clip"]
    size = f"{clip['width']} x {clip['height']}, {clip['seconds']:.1f} s, {clip['codec']}"
    yield f"{clip['name']}: {size}; median of {figures['runs']} scans"
    yield ""
    stages = figures["stages"]
    named = [name for name in STAGES if name in stages] + [n for n in stages if n not in STAGES]
    yield f"{'stage':<42}{'ms':>9}{'ms a frame':>13}"
    for name in named:
        yield f"{STAGES.get(name, name):<42}{stages[name]:>9.0f}{_a_frame(stages[name], bench):>13}"
    yield f"{'from process start to its end':<42}{1000 * figures['seconds']:>9.0f}"
    yield ""
    yield f"frames a second          {figures['frames_per_second']:>9.1f}"
    yield f"cores busy               {100 * figures['busy_share']:>9.0f} %"
    yield f"memory at the peak       {figures['peak_rss_mb']:>9.0f} MB, with the decoder process"
    yield from _ceilings(bench)
    yield from _heat(bench)


def _a_frame(milliseconds: float, bench: Bench) -> str:
    return f"{milliseconds / bench.frames:.1f}"


def _ceilings(bench: Bench) -> Iterator[str]:
    ceilings = bench.ceilings
    yield ""
    yield "one thread at best:"
    yield f"float32 matrix product   {ceilings.fp32_gflops:>9.0f} GFLOP/s"
    yield f"int8 matrix product      {ceilings.int8_gops:>9.0f} GOP/s"
    yield f"copying memory           {ceilings.copy_gb_s:>9.1f} GB/s"
    yield f"decoding alone           {bench.decode_frames_per_second:>9.0f} frames a second"
    if features := bench.features:
        yield (
            f"features                 {features.int8_ms:>9.1f} ms a face in int8, "
            f"{features.fp32_ms:.1f} in float32 ({bench.int8_vs_fp32:.1f} times); "
            f"{100 * bench.ceiling_share:.0f} % of the int8 product"
        )


def _heat(bench: Bench) -> Iterator[str]:
    before, after = bench.before, bench.after
    if before.celsius is not None and after.celsius is not None:
        yield f"temperature              {before.celsius:>9.0f} °C, then {after.celsius:.0f}"
    for when, heat in (("before", before), ("after", after)):
        if heat.throttled is not None:
            yield f"throttling {when:<14}{', '.join(heat.throttled) or 'none'}"
