"""Do two machines say the same of the same clips? same_findings.py EXPECTED FOUND, JSON lines.

Log-odds may differ by the tolerance of the reference findings of the model that decided
(docs/bundle.md): int8 kernels round differently.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parents[2] / "models"


def findings(file: str) -> dict[str, dict[str, Any]]:
    lines = map(json.loads, Path(file).read_text().splitlines())
    return {Path(line["path"]).name: line for line in lines}


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def decided_by(finding: dict[str, Any]) -> dict[str, Any]:
    model: dict[str, Any] = (finding["second_opinion"] or finding)["model"]
    return model


def tolerance(model: str) -> float:
    reference = json.loads((MODELS / model / "reference.json").read_text())
    return float(reference["tolerance"])


def main() -> None:
    expected, found = (findings(file) for file in sys.argv[1:])
    assert expected.keys() == found.keys() and expected, (expected.keys(), found.keys())
    most = 0.0
    for name, here in sorted(expected.items()):
        there, model = found[name], decided_by(here)
        before, after = here["fake_probability"], there["fake_probability"]
        print(f"  {name}: {here['verdict']} {before}, there {there['verdict']} {after}")
        assert decided_by(there) == model, f"{name}: {decided_by(there)}"
        assert there["verdict"] == here["verdict"], name
        assert (after is None) == (before is None), name
        if before is not None:
            allowed = tolerance(model["name"])
            apart = abs(log_odds(after) - log_odds(before))
            assert apart <= allowed, f"{name}: log-odds {apart:.3f} apart, {allowed:.3f} allowed"
            most = max(most, abs(after - before))
    print(f"  probabilities differ by at most {most:.4f}")


main()
