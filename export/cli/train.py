"""`truelight-export train`: crops in folders with labels.tsv -> a checkpoint."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import TruelightError
from export.cli.arguments import crop_of, layers_of, phase_of, weights_of
from export.cli.teach import add_tower

if TYPE_CHECKING:
    from rich.console import Console

    from export.clip.online_teacher import Tutor
    from export.train.checkpoint import Temporal
    from export.train.loop import Recipe
    from export.train.network import Detector
    from export.train.run import Gathered

HIDDEN = 256


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "train",
        help="train a detector on folders of crops",
        description="Train the ResNeXt50 trunk on labelled crops and on self-blended images made "
        "from the real ones, if wanted after distilling a teacher's cached features into it, or "
        "from a tuned tower that sees every batch; then the LSTM on windows made of them. Run "
        "again with the same --out to resume.",
    )
    parser.add_argument("folders", type=Path, nargs="+", help="folders with labels.tsv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--watch", type=Path, action="append", default=[], help="crops to measure, never to train"
    )
    _add_how(parser)
    _add_beginnings(parser)
    _add_head(parser)
    parser.add_argument("--every", type=int, default=100, help="steps between validations")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--workers", type=int, help="processes that make batches")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def _add_how(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how it is trained")
    how.add_argument(
        "--phase",
        action="append",
        metavar="[distil:|tutor:]SIDE:STEPS:BATCH:RATE",
        help="a stretch of training at one picture size, by labels, or by the teacher's or the "
        "tutor's features and labels; may be repeated",
    )
    masters = how.add_mutually_exclusive_group()
    masters.add_argument(
        "--teacher", type=Path, help="features to distil, from truelight-export teach"
    )
    masters.add_argument(
        "--tutor", type=Path, help="a tuned tower to distil, from truelight-export tune"
    )
    add_tower(how, required=False)
    how.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="FOLDER=WEIGHT",
        help="what a source of this folder weighs in the draws (1)",
    )
    how.add_argument(
        "--blends", type=float, help="share of self-blends (0.4 to 0.35; distilling 0.15)"
    )
    how.add_argument(
        "--singles", type=float, help="share of single pictures while distilling (0.15)"
    )
    how.add_argument("--landmarks", type=Path, help="kept landmarks (OUT/landmarks.npz)")
    how.add_argument("--crop", default="1,0,0", help="scale,shift_x,shift_y of the deployed crop")


def _add_beginnings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what it begins with")
    start = group.add_mutually_exclusive_group()
    start.add_argument("--init", type=Path, help="torchvision's resnext50_32x4d ImageNet file")
    start.add_argument("--start", type=Path, help="a checkpoint of ours to begin with")
    group.add_argument("--layers", default="3,4,6,3", help="blocks a stage, for smaller networks")
    group.add_argument("--width", type=int, default=64, help="channels of the stem")


def _add_head(parser: argparse.ArgumentParser) -> None:
    head = parser.add_argument_group("the LSTM")
    head.add_argument("--head-only", action="store_true", help="take the trunk of --start as it is")
    head.add_argument("--clips", type=Path, help="labelled clips to learn windows from, too")
    head.add_argument(
        "--head-pairs", type=int, default=1600, help="pairs of windows made of stills"
    )
    head.add_argument("--epochs", type=int, default=12)
    head.add_argument("--frames", type=int, default=8, help="of a window")
    head.add_argument("--rate", type=float, default=4.0, help="of a window, Hz")


def run(args: argparse.Namespace) -> int:
    """Train the trunk, then the head over windows; show what is known on the way."""
    import torch
    from rich.console import Console

    from export.cli.output import bars
    from export.clip.feature_cache import load_features
    from export.train import run as course
    from export.train.network import Detector

    console = Console()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.head_only and not args.start:
        raise TruelightError("--head-only needs a checkpoint.", "Name it by --start.")
    if args.tutor and not args.tower:
        raise TruelightError("--tutor needs the tower that was tuned.", "Name it by --tower.")
    recipe = _recipe(args)
    with bars(console) as tell:
        gathered = course.gather(
            args.folders,
            recipe,
            load_features(args.teacher) if args.teacher else None,
            args.landmarks or args.out / "landmarks.npz",
            weights_of(args.weight),
            tell,
        )
    console.print(
        f"{len(gathered.train.pictures)} pictures to train on, "
        f"{len(gathered.train.blendable)} of them to blend."
    )
    if gathered.teacher:
        console.print(f"The teacher's probe: AUC {gathered.teacher.held_out_auc:.3f}, held out.")
    torch.manual_seed(recipe.seed)
    layers = layers_of(args.layers)
    network = Detector(HIDDEN, gate=0.0, layers=layers, width=args.width, zero_init=True)
    course.begin(network, args.init, args.start)
    config = _config(args, recipe, layers)
    if not args.head_only:
        best = _train_trunk(args, console, network, recipe, gathered, config)
        network.load_state_dict(torch.load(best, weights_only=True)["model"])
    _train_head(args, console, network, gathered, config)
    return 0


def _train_trunk(
    args: argparse.Namespace,
    console: Console,
    network: Detector,
    recipe: Recipe,
    gathered: Gathered,
    config: dict[str, Any],
) -> Path:
    from export.cli.output import StepBar, row
    from export.train.loop import Training
    from export.train.run import validation_sets

    validation = validation_sets(gathered.held_out, args.watch)
    training = Training(
        args.out,
        network,
        recipe,
        gathered.train,
        validation,
        config,
        gathered.teacher,
        _tutor(args) if args.tutor else None,
    )
    with StepBar(console, "trunk") as bar:
        return training.run(
            args.every,
            lambda moment: console.print(row(moment), soft_wrap=True),
            lambda step, loss: bar.at(step, len(training), f"loss {loss:.3f}"),
            args.workers,
        )


def _tutor(args: argparse.Namespace) -> Tutor:
    from export.clip.adapter import read_tuned
    from export.clip.graph import PACKAGED, read_tower
    from export.clip.online_teacher import Tutor

    tower = read_tower(args.tower, args.sha256 or PACKAGED)
    return Tutor(tower, read_tuned(args.tutor, tower))


def _train_head(
    args: argparse.Namespace,
    console: Console,
    network: Detector,
    gathered: Gathered,
    config: dict[str, Any],
) -> None:
    from export.cli.output import bars
    from export.train.run import finish
    from export.train.sequence_head import HeadRecipe

    recipe = HeadRecipe(
        frames=args.frames,
        rate=args.rate,
        pairs=args.head_pairs,
        epochs=args.epochs,
        seed=args.seed,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    with bars(console) as tell:
        found = finish(network, gathered, args.clips, recipe, config, args.out, tell)
    for temporal in found:
        console.print(_said(temporal), soft_wrap=True)
    console.print(
        "The LSTM is added to the mean of the frames."
        if network.gate
        else "The LSTM gains nothing for certain: its gate is shut, the mean of the frames judges."
    )
    console.print(f"The checkpoint is {args.out / 'checkpoint.pt'}.", soft_wrap=True)


def _said(t: Temporal) -> str:
    return (
        f"{t.windows} windows of {t.sources} sources ({t.on}): AUC {t.frame_mean_auc:.3f} by the "
        f"mean of the frames, {t.lstm_auc:.3f} with the LSTM; difference "
        f"{t.lstm_auc - t.frame_mean_auc:+.3f} ({t.low:+.3f} to {t.high:+.3f})."
    )


def _recipe(args: argparse.Namespace) -> Recipe:
    from export.train.batches import SUBTLE, Mix, Phase
    from export.train.loop import Recipe

    if args.phase:
        phases = tuple(phase_of(text) for text in args.phase)
    elif args.tutor:
        phases = (Phase(112, 6000, 256, 2e-3, "tutor"),)
    elif args.teacher:
        phases = (Phase(64, 3000, 64, 2e-3, "distil"), Phase(64, 800, 64, 5e-4))
    else:
        phases = Recipe().phases
    mix = SUBTLE if args.tutor else Mix()
    if args.blends is not None:
        share = {"blends_at_start": args.blends, "blends_at_end": args.blends}
        mix = replace(mix, **share, distil_blends=args.blends)
    if args.singles is not None:
        mix = replace(mix, singles=args.singles)
    return Recipe(phases=phases, mix=mix, seed=args.seed)


def _config(
    args: argparse.Namespace, recipe: Recipe, layers: tuple[int, int, int, int]
) -> dict[str, Any]:
    """What a bundle must know of the network, kept in the checkpoint."""
    return {
        "side": recipe.phases[-1].side,
        "crop": crop_of(args.crop),
        "window": {"frames": args.frames, "rate": args.rate},
        "hidden": HIDDEN,
        "readout": "mean",
        "gate": 0.0,
        "layers": layers,
        "width": args.width,
    }
