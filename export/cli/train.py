"""`truelight-export train`: crops in folders with labels.tsv -> a checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import TruelightError

if TYPE_CHECKING:
    from export.training.batches import Phase
    from export.training.recipe import Moment


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "train",
        help="train the trunk on folders of crops",
        description="Train the ResNeXt50 trunk on labelled crops and on self-blended images made "
        "from the real ones. Run again with the same --out to resume.",
    )
    parser.add_argument("folders", type=Path, nargs="+", help="folders with labels.tsv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--watch", type=Path, action="append", default=[], help="crops to measure, never to train"
    )
    parser.add_argument(
        "--phase",
        action="append",
        metavar="SIDE:STEPS:BATCH:RATE",
        help="a stretch of training at one picture size; may be repeated",
    )
    parser.add_argument(
        "--crop", default="1,0,0", help="scale,shift_x,shift_y of the deployed crop"
    )
    parser.add_argument("--init", type=Path, help="torchvision's resnext50_32x4d ImageNet file")
    parser.add_argument("--every", type=int, default=100, help="steps between validations")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train; show what is known at each validation."""
    import torch
    from rich.console import Console

    from export.cli.progress import StepBar
    from export.network import Detector
    from export.training.batches import Batches, Mix
    from export.training.data import Pairs, one_each, read_folder, split
    from export.training.landmarks import landmarks_of
    from export.training.recipe import Recipe, Training

    console = Console()
    phases = tuple(_phase(text) for text in args.phase) if args.phase else Recipe().phases
    recipe = Recipe(phases=phases, mix=Mix(), seed=args.seed)
    pictures = [picture for folder in args.folders for picture in read_folder(folder)]
    train, held_out = split(pictures, recipe.validation)
    validation = {"validation": one_each(held_out, 1000)}
    validation |= {folder.name: read_folder(folder) for folder in args.watch}
    reals = [picture for picture in train if not picture.fake]
    with StepBar(console, "landmarks") as bar:
        cache = args.out / "landmarks.npz"
        landmarks = landmarks_of(reals, cache, bar.at)
    batches = Batches(reals, Pairs(train), landmarks, phases, recipe.mix, recipe.seed)
    torch.manual_seed(recipe.seed)
    network = Detector(zero_init=args.init is None)
    if args.init:
        network.trunk.load_imagenet(torch.load(args.init, weights_only=True))
    config = _config(args, phases)
    training = Training(args.out, network, recipe, batches, validation, config, args.threads)
    console.print(
        f"{len(train)} pictures to train on, {len(landmarks)} of them to blend; "
        f"{len(batches)} steps."
    )
    with StepBar(console, "training") as bar:
        best = training.run(
            args.every,
            lambda moment: console.print(_row(moment)),
            lambda step, loss: bar.at(step, len(batches), f"loss {loss:.3f}"),
        )
    console.print(f"The best checkpoint is {best}")
    return 0


def _phase(text: str) -> Phase:
    from export.training.batches import Phase

    try:
        side, steps, batch, rate = text.split(":")
        return Phase(int(side), int(steps), int(batch), float(rate))
    except ValueError:
        raise TruelightError(
            f"--phase {text} is not understood.", "It is SIDE:STEPS:BATCH:RATE, as 64:1700:64:2e-3."
        ) from None


def _config(args: argparse.Namespace, phases: Sequence[Phase]) -> dict[str, Any]:
    """What a bundle must know of the network, kept in the checkpoint."""
    scale, shift_x, shift_y = (float(number) for number in args.crop.split(","))
    return {
        "side": phases[-1].side,
        "crop": {"scale": scale, "shift_x": shift_x, "shift_y": shift_y},
        "hidden": 256,
        "readout": "mean",
    }


def _row(moment: Moment) -> str:
    aucs = "  ".join(f"{name} {value:.3f}" for name, value in moment.aucs.items())
    return (
        f"step {moment.step}/{moment.steps}  {moment.side} px  loss {moment.loss:.3f}  AUC {aucs}  "
        f"{moment.minutes:.0f} min, {moment.minutes_left:.0f} to go"
    )
