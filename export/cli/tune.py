"""`truelight-export tune`: adapts a tower to tell real from fake; `teach`: caches its features."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.cli.arguments import add_tower, at_least, between, encoder_of, folder_weight

if TYPE_CHECKING:
    from export.clip.tune import TuningRecipe

TAPS = "7:mean,8:mean,9:mean,10:mean"
TEACHER_TAPS = "12:class,12:mean"


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to `truelight-export`."""
    parser = subparsers.add_parser(
        "tune",
        help="tune a tower to tell real from fake",
        description="Learn the layer norms of CLIP's image transformer and a linear head on its "
        "features, from labelled pairs of one source and from self-blends. Much faster on a GPU.",
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="+", metavar="FOLDER", help="crops with labels.tsv")
    add_tower(parser)
    add("--out", type=Path, required=True, metavar="FILE", help="the file to write, as tuned.pt")
    add("--taps", default=TAPS, help=f"LAYER:class|mean|std,... ({TAPS})")
    until = parser.add_mutually_exclusive_group(required=True)
    until.add_argument("--steps", type=at_least(1), default=0, help="batches; repeatable by --seed")
    until.add_argument("--minutes", type=between(0, 1e6), default=0.0, help="of learning")
    add("--batch", type=at_least(2), default=256, help="crops in a batch (256)")
    add("--rate", type=float, default=3e-4, help="learning rate of the norms (3e-4)")
    add("--blends", type=float, default=0.4, help="share of self-blends (0.4)")
    add("--landmarks", type=Path, help="cached landmarks (landmarks.npz beside --out)")
    add("--weight", type=folder_weight, action="append", default=[], metavar="FOLDER=WEIGHT",
        help="weight of this folder's sources in the draws (1)")  # fmt: skip
    add("--watch", type=Path, action="append", default=[], help="crops to validate on only")
    add("--every", type=at_least(1), default=500, help="steps between validations (500)")
    add("--threads", type=int, default=0)
    add("--workers", type=int, help="processes that make batches")
    add("--seed", type=int, default=0)
    parser.set_defaults(run=run, parser=parser)

    parser = subparsers.add_parser(
        "teach",
        help="cache a tower's features of crops",
        description="Compute CLIP's features of every picture of folders with labels.tsv and keep "
        "them. Features already there are kept, so it can be interrupted.",
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="+", metavar="FOLDER", help="crops with labels.tsv")
    add("--out", type=Path, required=True, help="folder of the features")
    add("--taps", default=TEACHER_TAPS, help=f"LAYER:class|mean|std,... ({TEACHER_TAPS})")
    add("--flips", action="store_true", help="their mirror images as well")
    add("--tuned", type=Path, metavar="FILE",
        help="with the layer norms of this file, which tune or recover wrote")  # fmt: skip
    add_tower(parser)
    parser.set_defaults(run=run_teach, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Learn, with a line for each validation."""
    import torch
    from rich.console import Console

    from export.cli.output import bars, row
    from export.clip.adapter import write_adapter
    from export.clip.graph import read_taps
    from export.clip.tune import Tuning
    from export.train.batches import gather
    from export.train.loop import Recipe

    console = Console()
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = _recipe(args)
    encoder = encoder_of(args)
    landmarks = args.landmarks or args.out.parent / "landmarks.npz"
    with bars(console) as tell:
        train, held_out = gather(
            args.folders,
            recipe.mix,
            Recipe().validation,
            (),
            landmarks,
            dict(args.weight),
            tell,
        )
    tuning = Tuning(encoder, read_taps(args.taps), recipe, train, held_out, args.watch)
    with bars(console) as tell:
        adapter, steps = tuning.run(
            args.every,
            lambda entry: console.print(row(entry), soft_wrap=True),
            tell,
            args.workers,
        )
    write_adapter(args.out, adapter, steps)
    console.print(f"{steps} steps; the tuned norms and head are in {args.out}.", soft_wrap=True)
    return 0


def _recipe(args: argparse.Namespace) -> TuningRecipe:
    from export.clip.tune import TuningRecipe
    from export.train.batches import SUBTLE

    share = {"blends_at_start": args.blends, "blends_at_end": args.blends}
    return TuningRecipe(
        steps=args.steps,
        minutes=args.minutes,
        batch=args.batch,
        rate=args.rate,
        mix=replace(SUBTLE, **share, distil_blends=args.blends),
        seed=args.seed,
    )


def run_teach(args: argparse.Namespace) -> int:
    """Compute the features."""
    from rich.console import Console

    from export.cli.output import StepBar
    from export.clip.adapter import read_adapter
    from export.clip.graph import read_taps
    from export.clip.teacher import cache_features

    console = Console()
    taps = read_taps(args.taps)
    encoder = encoder_of(args)
    norms = read_adapter(args.tuned, encoder).norms if args.tuned else None
    with StepBar(console, "computing features") as bar:
        count = cache_features(args.folders, encoder, taps, args.out, bar.at, args.flips, norms)
    console.print(f"{count} pictures in {args.out}.")
    return 0
