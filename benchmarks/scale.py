"""How the time of a scan grows: with the clip's length, its size, its faces, and the clips.

    python benchmarks/scale.py [--folder build/clips] [--write]

Each line gives an exponent: the slope of log time over log size, by least squares. 1 grows with the
work, 0 not at all. The time is that of the processors, program and decoder process together, with
the start of the program; the second opinion is not asked.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.made_clips import SIZES, lengthen, make  # noqa: E402
from edge.bench.measure import run_scan  # noqa: E402
from edge.scan.collect import collect  # noqa: E402

PLOT = ROOT / "docs" / "images" / "scale.svg"
LENGTHS = (5, 20, 60, 600, 7200)
LISTED = (1, 10, 100, 1000, 10_000)


def scanned(clip: Path) -> float:
    """Processor seconds of a scan, the median of three."""
    return median(run_scan(clip, ["--second", "never"]).cpu_seconds for _ in range(3))


def listed(count: int, folder: Path) -> float:
    """Seconds to list a stick with so many clips, the least of three."""
    stick = folder / f"stick-{count}"
    if not stick.is_dir():
        stick.mkdir()
        content = make(folder, 1, "404p").read_bytes()[:4096]
        for number in range(count):
            (stick / f"clip-{number}.mp4").write_bytes(content)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        found = collect([stick])
        seconds.append(time.perf_counter() - began)
        assert len(found.clips) == count, "every clip is listed"
    return min(seconds)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log seconds over log size."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def measure(folder: Path) -> dict[str, dict[float, float]]:
    """Seconds by size, for each question."""
    clip = make(folder, 1, "1080p", 5)
    base = make(folder, 1, "1080p")
    pixels = {size: math.prod(SIZES[size]) / 1e6 for size in ("404p", "1080p", "4K")}
    steps: dict[str, Callable[[], dict[float, float]]] = {
        "length of a clip, s": lambda: {
            s: scanned(clip if s == 5 else lengthen(base, s, folder)) for s in LENGTHS
        },
        "size of a frame, megapixels": lambda: {
            area: scanned(make(folder, 1, size)) for size, area in pixels.items()
        },
        "faces (1080p)": lambda: {n: scanned(make(folder, n, "1080p")) for n in (1, 4)},
        "clips listed": lambda: {n: listed(n, folder) for n in LISTED},
    }
    answers = {}
    for name, step in steps.items():
        answers[name] = step()
        shown = ", ".join(f"{size:g}: {s:.3f} s" for size, s in answers[name].items())
        slope = exponent(list(answers[name]), list(answers[name].values()))
        print(f"{name}: {shown}; exponent {slope:.2f}", flush=True)
    return answers


def plot(answers: Mapping[str, Mapping[float, float]]) -> None:
    """One panel a question, with its exponent."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "truelight"
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(answers), figsize=(11, 2.8))
    for panel, (name, points) in zip(panels, answers.items(), strict=True):
        sizes, seconds = list(points), list(points.values())
        panel.loglog(sizes, seconds, "o-")
        panel.set_xlabel(name)
        panel.set_title(f"exponent {exponent(sizes, seconds):.2f}", fontsize=9)
    panels[0].set_ylabel("seconds")
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    """Measure, print, and draw if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "clips")
    parser.add_argument("--write", action="store_true", help="draw docs/images/scale.svg")
    chosen = parser.parse_args()
    answers = measure(chosen.folder)
    if chosen.write:
        plot(answers)


if __name__ == "__main__":
    main()
