"""`truelight-export train`: crops in folders with labels.tsv -> a checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import TruelightError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from export.network import Detector
    from export.training.batches import Phase
    from export.training.data import Pairs, Picture
    from export.training.recipe import Moment, Recipe


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "train",
        help="train a detector on folders of crops",
        description="Train the ResNeXt50 trunk on labelled crops and on self-blended images made "
        "from the real ones, then the LSTM on windows made of them. Run again with the same --out "
        "to resume.",
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
    parser.add_argument(
        "--head-pairs", type=int, default=1600, help="pairs of windows the LSTM is trained on"
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--init", type=Path, help="torchvision's resnext50_32x4d ImageNet file")
    start.add_argument("--start", type=Path, help="a checkpoint of ours to begin with")
    parser.add_argument("--every", type=int, default=100, help="steps between validations")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train the trunk, then the head over windows; show what is known on the way."""
    import torch
    from rich.console import Console

    from export.cli.progress import StepBar
    from export.network import Detector
    from export.training.batches import Mix
    from export.training.data import Pairs, read_folder, split
    from export.training.landmarks import landmarks_of
    from export.training.recipe import Recipe

    console = Console()
    phases = tuple(_phase(text) for text in args.phase) if args.phase else Recipe().phases
    recipe = Recipe(phases=phases, mix=Mix(), seed=args.seed)
    pictures = [picture for folder in args.folders for picture in read_folder(folder)]
    reals = [picture for picture in pictures if not picture.fake]
    with StepBar(console, "landmarks") as bar:
        landmarks = landmarks_of(reals, args.out / "landmarks.npz", bar.at)
    train, held_out = (
        Material(part, [p for p in part if str(p.path) in landmarks], Pairs(part), landmarks)
        for part in split(pictures, recipe.validation)
    )
    console.print(
        f"{len(train.pictures)} pictures to train on, {len(train.blendable)} of them to blend."
    )
    torch.manual_seed(recipe.seed)
    network = Detector(zero_init=True)
    if args.init:
        network.trunk.load_imagenet(torch.load(args.init, weights_only=True))
    elif args.start:
        network.load_state_dict(torch.load(args.start, weights_only=True)["model"])
    config = _config(args, phases)
    best = _train_trunk(args, console, network, recipe, (train, held_out), config)
    network.load_state_dict(torch.load(best, weights_only=True)["model"])
    _train_head(args, console, network, (train, held_out), config)
    return 0


@dataclass(frozen=True)
class Material:
    """Pictures of one side of the split, and what can be made of them."""

    pictures: list[Picture]
    blendable: list[Picture]  # reals whose landmarks are known
    pairs: Pairs
    landmarks: dict[str, NDArray[np.float32]]


def _train_trunk(
    args: argparse.Namespace,
    console: Console,
    network: Detector,
    recipe: Recipe,
    material: tuple[Material, Material],
    config: dict[str, Any],
) -> Path:
    from export.cli.progress import StepBar
    from export.training.batches import Batches
    from export.training.data import one_each, read_folder
    from export.training.recipe import Training

    train, held_out = material
    validation = {"validation": one_each(held_out.pictures, 1000)}
    validation |= {folder.name: read_folder(folder) for folder in args.watch}
    batches = Batches(
        train.blendable, train.pairs, train.landmarks, recipe.phases, recipe.mix, recipe.seed
    )
    training = Training(args.out, network, recipe, batches, validation, config, args.threads)
    with StepBar(console, "trunk") as bar:
        return training.run(
            args.every,
            lambda moment: console.print(_row(moment), soft_wrap=True),
            lambda step, loss: bar.at(step, len(batches), f"loss {loss:.3f}"),
        )


def _train_head(
    args: argparse.Namespace,
    console: Console,
    network: Detector,
    material: tuple[Material, Material],
    config: dict[str, Any],
) -> None:
    from export.cli.progress import StepBar
    from export.training.head import HeadRecipe, features_of, save, train_head
    from export.training.sequences import Windows

    recipe = HeadRecipe(pairs=args.head_pairs, seed=args.seed)
    counts = (recipe.pairs, recipe.validation_pairs)
    parts = []
    for part, count in zip(material, counts, strict=True):
        windows = Windows(
            part.blendable, part.pairs, part.landmarks, recipe.frames, config["side"], args.seed
        )
        with StepBar(console, "windows") as bar:
            parts.append(features_of(network, windows, count, bar.at))
    with StepBar(console, "head") as bar:
        result = train_head(
            network,
            parts[0],
            parts[1],
            recipe,
            lambda epoch, loss, auc: bar.at(
                epoch, recipe.epochs, f"loss {loss:.3f} validation AUC {auc:.3f}"
            ),
        )
    console.print(
        f"Windows of held-out sources: AUC {result.lstm_auc:.3f} by the LSTM, "
        f"{result.frame_mean_auc:.3f} by the mean of single frames."
    )
    window = {"frames": recipe.frames, "rate": recipe.rate}
    save(args.out / "checkpoint.pt", network, config | {"window": window})
    console.print(f"The checkpoint is {args.out / 'checkpoint.pt'}.")


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
