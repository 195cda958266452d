"""Do two machines say the same of the same clips? same_findings.py EXPECTED FOUND, JSON lines."""

import json
import sys
from pathlib import Path

MOST_APART = 0.02
"""Of probabilities: int8 kernels round differently."""


def findings(file: str) -> dict[str, tuple[str, float | None]]:
    lines = map(json.loads, Path(file).read_text().splitlines())
    return {Path(line["path"]).name: (line["verdict"], line["fake_probability"]) for line in lines}


def main() -> None:
    expected, found = (findings(file) for file in sys.argv[1:])
    assert expected.keys() == found.keys() and expected, (expected.keys(), found.keys())
    for name, (verdict, probability) in sorted(expected.items()):
        print(f"  {name}: {verdict} {probability}, there {found[name]}")
        assert found[name][0] == verdict, name
        apart = abs((found[name][1] or 0.0) - (probability or 0.0))
        assert apart <= MOST_APART, f"{name}: {apart} apart"


main()
