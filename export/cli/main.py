"""`truelight-export`: makes, trains and measures models, on a machine with torch."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from edge.errors import TruelightError

MODULES = (
    *("bundle", "crops", "tune", "heads", "train", "opinion"),
    *("calibrate", "evaluate"),
)
"""Each with `add_parsers(subparsers)`, which sets `run` and `parser`; only `run` imports torch."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        args = build_parser().parse_args(arguments)
    except SystemExit as wrong_usage:
        return int(wrong_usage.code or 0)
    try:
        return int(args.run(args))
    except TruelightError as failure:
        print(f"truelight-export: {failure.message}", file=sys.stderr)
        if failure.remedy:
            print(f"  {failure.remedy}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as failure:
        print(f"truelight-export: the package {failure.name} is missing.", file=sys.stderr)
        print(
            "  ./setup.sh test installs the tested releases. To take the newest ones, run "
            ".venv/bin/pip install -e '.[export]'",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("truelight-export: interrupted.", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="truelight-export", description="Make, train and measure models for Truelight."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in MODULES:
        importlib.import_module(f"export.cli.{name}").add_parsers(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
