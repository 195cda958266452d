"""`truelight-export vary`: self-blends and treated pairs as a folder of crops, for a teacher."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "vary",
        help="make self-blends and compressed pairs for a teacher",
        description="Write self-blends of real faces, and labelled pairs compressed, shrunk, "
        "blurred or relit alike, into a folder that teach, opinion and train understand.",
    )
    parser.add_argument("folders", type=Path, nargs="+", help="folders with labels.tsv")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--blends", type=int, default=0, help="how many couples of self-blends")
    parser.add_argument("--pairs", type=int, default=0, help="how many labelled pairs")
    parser.add_argument("--side", type=int, default=224, help="of the pictures, pixels (224)")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make them and say how many."""
    from itertools import chain

    from rich.console import Console

    from export.cli.output import StepBar
    from export.data.blends import blends, treated, write
    from export.data.folders import read_folder
    from export.data.landmarks import landmarks_of

    console = Console()
    pictures = [picture for folder in args.folders for picture in read_folder(folder.resolve())]
    parts = []
    if args.blends:
        reals = [picture for picture in pictures if not picture.fake]
        with StepBar(console, "landmarks") as bar:
            landmarks = landmarks_of(reals, args.out / "landmarks.npz", bar.at)
        parts.append(blends(reals, landmarks, args.blends, args.side, args.seed))
    if args.pairs:
        parts.append(treated(pictures, args.pairs, args.side, args.seed))
    with StepBar(console, "pictures") as bar:
        total = args.blends + args.pairs
        count = write(chain(*parts), args.out, lambda done: bar.at(done, total))
    console.print(f"{count} pictures in {args.out}.")
    return 0
