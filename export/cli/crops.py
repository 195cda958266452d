"""`truelight-export crops`: faces from clips or photographs; `vary`: blends and treated pairs."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to `truelight-export`."""
    parser = subparsers.add_parser(
        "crops",
        help="cut faces out of labelled clips or photographs",
        description="Cut the largest face of every clip or photograph that labels.tsv names, with "
        "the box's own decoder, detector and cropping, into a folder that train understands.",
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="clips or photographs with labels.tsv")
    add("out", type=Path, metavar="OUT", help="folder to write")
    add("--margin", type=float, default=1.0, help="width in crops (1)")
    add("--frames", type=int, default=8, help="of each clip, spread over it (8)")
    add("--least-px", type=int, default=50, help="smaller faces are skipped (50)")
    parser.set_defaults(run=run, parser=parser)

    parser = subparsers.add_parser(
        "vary",
        help="make self-blends and compressed pairs for a teacher",
        description="Write self-blends of real faces, and labelled pairs compressed, shrunk, "
        "blurred or relit alike, into a folder that teach, opinion and train understand.",
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="+", metavar="FOLDER", help="crops with labels.tsv")
    add("--out", type=Path, required=True, help="folder to make")
    add("--blends", type=int, default=0, metavar="N", help="pairs of self-blends")
    add("--kinds", default="self", metavar="LIST",
        help="of blends: self,exchange,rerender,reenact (self)")  # fmt: skip
    add("--pairs", type=int, default=0, metavar="N", help="labelled pairs")
    add("--side", type=int, default=224, help="of the pictures, px (224)")
    add("--seed", type=int, default=0)
    parser.set_defaults(run=run_vary, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Cut the faces."""
    from rich.console import Console

    from edge.scan.faces.detector import load_detector
    from export.cli.output import StepBar
    from export.data.crop_folders import write_crops

    console = Console()
    with StepBar(console, "cutting") as bar:
        count, without = write_crops(
            args.folder,
            args.out,
            load_detector(),
            args.margin,
            args.frames,
            args.least_px,
            bar.at,
        )
    console.print(f"{count} crops in {args.out}; {len(without)} files gave none.")
    for name in without[:20]:
        console.print(f"  {name}", style="dim", markup=False)
    return 0


def run_vary(args: argparse.Namespace) -> int:
    """Make blends and pairs."""
    from itertools import chain

    from rich.console import Console

    from edge.errors import TruelightError
    from export.cli.output import StepBar
    from export.data.blends import find_landmarks
    from export.data.crop_folders import augmented_pairs, blended_pairs, write_pairs
    from export.data.folders import read_folder
    from export.data.swaps import KINDS

    kinds = args.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise TruelightError(
            f"There is no blend {unknown[0]!r}.", f"There are: {', '.join(KINDS)}."
        )
    console = Console()
    examples = [example for folder in args.folders for example in read_folder(folder.resolve())]
    parts = []
    if args.blends:
        reals = [example for example in examples if not example.fake]
        with StepBar(console, "landmarks") as bar:
            landmarks = find_landmarks(reals, args.out / "landmarks.npz", bar.at)
        parts.append(blended_pairs(reals, landmarks, args.blends, args.side, args.seed, kinds))
    if args.pairs:
        parts.append(augmented_pairs(examples, args.pairs, args.side, args.seed))
    with StepBar(console, "pictures") as bar:
        total = args.blends + args.pairs
        count = write_pairs(chain(*parts), args.out, lambda done: bar.at(done, total))
    console.print(f"{count} pictures in {args.out}.")
    return 0
