"""`truelight-export crops`: labelled clips or photographs -> a folder of crops to train on."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "crops",
        help="cut faces out of labelled clips or photographs",
        description="Cut the largest face of every clip or photograph that labels.tsv names, with "
        "the box's own decoder, detector and cropping, into a folder that train understands.",
    )
    parser.add_argument("folder", type=Path, help="folder of clips or photographs with labels.tsv")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--margin", type=float, default=1.0, help="this much wider than the crop")
    parser.add_argument("--frames", type=int, default=8, help="of each clip, spread over it")
    parser.add_argument("--least-px", type=int, default=50, help="smaller faces are left out")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Cut and say how many."""
    from rich.console import Console

    from edge.scan.faces.detector import load_detector
    from export.cli.output import StepBar
    from export.data.crops_from_clips import Cutting, cut_folder

    console = Console()
    cutting = Cutting(margin=args.margin, frames=args.frames, least_px=args.least_px)
    with StepBar(console, "cutting") as bar:
        count, without = cut_folder(args.folder, args.out, load_detector(), cutting, bar.at)
    console.print(f"{count} crops in {args.out}; {len(without)} files gave none.")
    for name in without[:20]:
        console.print(f"  {name}", style="dim", markup=False)
    return 0
