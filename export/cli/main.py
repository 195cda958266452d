"""`truelight-export`: what is done offline, on a machine with torch."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from edge.errors import TruelightError

COMMANDS = (
    "bundle",
    "crops",
    "vary",
    "teach",
    "tune",
    "train",
    "opinion",
    "calibrate",
    "limits",
    "evaluate",
)
"""One module each, with `add_parser(subparsers)` that sets `run`, which alone imports torch."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status: 0 done, 1 not, 2 wrong usage, 130 broken off."""
    parser = argparse.ArgumentParser(
        prog="truelight-export", description="Make, train and measure models for Truelight."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        importlib.import_module(f"export.cli.{command}").add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except TruelightError as failure:
        print(f"truelight-export: {failure.message}", file=sys.stderr)
        if failure.remedy:
            print(f"  {failure.remedy}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as failure:
        print(f"truelight-export: the package {failure.name} is missing.", file=sys.stderr)
        print("  Install it with: pip install 'truelight[export]'", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("truelight-export: broken off.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
