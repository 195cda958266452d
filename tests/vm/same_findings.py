"""Do two machines say the same of the same clips? same_findings.py EXPECTED FOUND, JSON lines.

Verdicts are the same, and probabilities nearly, in log-odds.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

FIRST = 0.04
"""The tolerance of truelight's reference findings: int8 kernels round differently."""
BOTH = 0.45
"""Noise of one grey level in its crops moves the answers of thorough that far on one machine."""


def findings(file: str) -> dict[str, dict[str, Any]]:
    lines = map(json.loads, Path(file).read_text().splitlines())
    return {Path(line["path"]).name: line for line in lines}


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def main() -> None:
    expected, found = (findings(file) for file in sys.argv[1:])
    assert expected.keys() == found.keys() and expected, (expected.keys(), found.keys())
    most = 0.0
    for name, here in sorted(expected.items()):
        there = found[name]
        before, after = here["fake_probability"], there["fake_probability"]
        print(f"  {name}: {here['verdict']} {before}, there {there['verdict']} {after}")
        assert there["verdict"] == here["verdict"], name
        assert there["model"] == here["model"], name
        second, other = here["second_opinion"], there["second_opinion"]
        if second:
            assert other and other["model"] == second["model"], f"{name}: {other}"
            near(name, second["probability_before"], other["probability_before"], FIRST)
        if near(name, before, after, BOTH if second else FIRST):
            most = max(most, abs(after - before))
    print(f"  probabilities differ by at most {most:.3f}")


def near(name: str, before: float | None, after: float | None, allowed: float) -> bool:
    """Whether both machines have a probability."""
    assert (after is None) == (before is None), name
    if before is None or after is None:
        return False
    apart = abs(log_odds(after) - log_odds(before))
    print(f"    log-odds {apart:.3f} apart, {allowed} allowed")
    assert apart <= allowed, name
    return True


main()
