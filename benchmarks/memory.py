"""Fails if a scan needs more memory than it may: program and decoder process together.

    python benchmarks/memory.py [--folder build/clips] [--only TEXT]

The same peak for 5 s and 2 h, for 480p and 8K. Clips are made from the sample, the long ones by
repeating its packets. The frames between the processes count once, libraries that
both have mapped in each: the figures are upper bounds. The exit status is 1 if one is above its
bound.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.made_clips import lengthen, make  # noqa: E402
from edge.bench.measure import run_scan  # noqa: E402

LIMITS = {"1080p": 350, "8K": 500, "second": 600}
"""MB."""


def main() -> int:
    """Scan every clip once, or more often, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "clips")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name has TEXT")
    parser.add_argument("--prepare", action="store_true", help="make the clips, and end")
    chosen = parser.parse_args()
    folder = chosen.folder
    rows = {
        "480p, 10 s": (lambda: make(folder, 1, "480p"), "never", LIMITS["1080p"]),
        "1080p, 5 s": (lambda: make(folder, 1, "1080p", 5), "never", LIMITS["1080p"]),
        "1080p, 10 s": (lambda: make(folder, 1, "1080p"), "never", LIMITS["1080p"]),
        "1080p, 2 h": (
            lambda: lengthen(make(folder, 1, "1080p"), 7200, folder),
            "never",
            LIMITS["1080p"],
        ),
        "1080p, 4 faces": (lambda: make(folder, 4, "1080p"), "never", LIMITS["1080p"]),
        "4K, 10 s": (lambda: make(folder, 1, "4K"), "never", LIMITS["8K"]),
        "8K, 1 s": (lambda: make(folder, 1, "8K", 1), "never", LIMITS["8K"]),
        "1080p, second opinion": (lambda: make(folder, 1, "1080p"), "always", LIMITS["second"]),
    }
    chosen_rows = {name: row for name, row in rows.items() if chosen.only in name}
    clips = {name: row[0]() for name, row in chosen_rows.items()}
    if chosen.prepare:
        return 0
    above = 0
    for name, (_, second, limit) in chosen_rows.items():
        ran = run_scan(clips[name], ["--second", second])
        if second == "always" and not ran.finding["second_opinion"]:
            print(f"{name:<28}no second opinion: {ran.finding['reasons'][-1]['text']}")
            above += 1
            continue
        above += ran.peak_mb > limit
        verdict = "ABOVE" if ran.peak_mb > limit else "within"
        print(
            f"{name:<28}{ran.peak_mb:>6.0f} MB, {verdict} {limit}; {ran.seconds:.1f} s", flush=True
        )
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
