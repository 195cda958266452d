"""`truelight-export tune`: a tower's layer norms and a head, learned from labelled crops."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import TruelightError
from export.cli.arguments import weights_of
from export.cli.teach import add_tower

if TYPE_CHECKING:
    from export.clip.tune import TuningRecipe

TAPS = "7:mean,8:mean,9:mean,10:mean"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "tune",
        help="tune a tower to tell real from fake",
        description="Learn the layer norms of another maker's image transformer and a linear head "
        "on its features, from labelled pairs of one source and from self-blends. Much faster on a "
        "GPU.",
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="+", help="folders of crops with labels.tsv")
    add_tower(parser)
    add("--out", type=Path, required=True, metavar="FILE", help="the file to write, as tuned.pt")
    add("--taps", default=TAPS, help=f"LAYER:class|mean|std,... ({TAPS})")
    until = parser.add_mutually_exclusive_group(required=True)
    until.add_argument("--steps", type=int, help="batches; the same again for the same --seed")
    until.add_argument("--minutes", type=float, help="of learning")
    add("--batch", type=int, default=256, help="crops in a batch (256)")
    add("--rate", type=float, default=3e-4, help="learning rate of the norms (3e-4)")
    add("--blends", type=float, default=0.4, help="share of self-blends (0.4)")
    add("--landmarks", type=Path, help="kept landmarks (landmarks.npz beside --out)")
    add("--weight", action="append", default=[], metavar="FOLDER=WEIGHT",
        help="what a source of this folder weighs in the draws (1)")  # fmt: skip
    add("--watch", type=Path, action="append", default=[], help="crops to measure, never to learn")
    add("--every", type=int, default=500, help="steps between validations (500)")
    add("--threads", type=int, default=0)
    add("--workers", type=int, help="processes that make batches")
    add("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Learn; show what is known on the way."""
    import torch
    from rich.console import Console

    from export.cli.output import bars, row
    from export.clip.graph import PACKAGED, read_taps, read_tower
    from export.clip.tune import Tuning, write_tuned
    from export.train.loop import Recipe
    from export.train.run import gather

    console = Console()
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = _recipe(args)
    tower = read_tower(args.tower, args.sha256 or PACKAGED)
    landmarks = args.landmarks or args.out.parent / "landmarks.npz"
    with bars(console) as tell:
        gathered = gather(
            args.folders, Recipe(mix=recipe.mix), None, landmarks, weights_of(args.weight), tell
        )
    tuning = Tuning(
        tower, read_taps(args.taps), recipe, gathered.train, gathered.held_out, args.watch
    )
    with bars(console) as tell:
        tuned, steps = tuning.run(
            args.every,
            lambda moment: console.print(row(moment), soft_wrap=True),
            tell,
            args.workers,
        )
    write_tuned(args.out, tuned, steps)
    console.print(f"{steps} steps; what was tuned is {args.out}.", soft_wrap=True)
    return 0


def _recipe(args: argparse.Namespace) -> TuningRecipe:
    """Raises TruelightError if a number makes no sense."""
    from export.clip.tune import TuningRecipe
    from export.train.batches import SUBTLE

    if not (args.steps or args.minutes or 0) > 0 or args.batch < 2 or args.every < 1:
        raise TruelightError("--steps, --minutes, --batch and --every are counts of something.")
    share = {"blends_at_start": args.blends, "blends_at_end": args.blends}
    return TuningRecipe(
        steps=args.steps or 0,
        minutes=args.minutes or 0.0,
        batch=args.batch,
        rate=args.rate,
        mix=replace(SUBTLE, **share, distil_blends=args.blends),
        seed=args.seed,
    )
