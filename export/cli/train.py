"""`truelight-export train`: a recipe file becomes a checkpoint."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from edge.scan.model.manifest import CropRule, ManifestPart
from export.data.folders import RecipePath, read_recipe

if TYPE_CHECKING:
    from rich.console import Console

    from export.data.folders import TrainingData
    from export.train.distillation import TargetSource
    from export.train.loop import Recipe
    from export.train.network import Detector

HIDDEN: Final = 256


Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class PhaseEntry(ManifestPart):
    """A stretch of training at one picture size."""

    learn_from: Literal["labels", "features", "online_teacher"] = "labels"
    side: int = Field(ge=32, le=512)
    steps: Count
    batch: int = Field(ge=2)
    rate: float = Field(ge=0, description="The learning rate's peak.")


class OnlineTeacherEntry(ManifestPart):
    """A tuned tower that sees every batch."""

    tuned: RecipePath
    tower: RecipePath
    sha256: str | None = None


class HeadEntry(ManifestPart):
    """The LSTM over windows."""

    only: bool = Field(default=False, description="Freeze the trunk of `start`.")
    clips: RecipePath | None = None
    pairs: Count = 1600
    epochs: Count = 12
    frames: Count = 8
    rate: float = Field(default=4.0, gt=0)


class TrainingRecipe(ManifestPart):
    """A recipe file; docs/training.yaml is one with every key."""

    folders: tuple[RecipePath, ...] = Field(min_length=1)
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    watch: tuple[RecipePath, ...] = ()
    landmarks: RecipePath | None = None
    phases: tuple[PhaseEntry, ...] = ()
    features: RecipePath | None = None
    online_teacher: OnlineTeacherEntry | None = None
    blends: Share | None = None
    singles: Share | None = None
    crop: CropRule = CropRule()
    imagenet: RecipePath | None = None
    start: RecipePath | None = None
    layers: tuple[Count, Count, Count, Count] = (3, 4, 6, 3)
    width: Count = 64
    head: HeadEntry = HeadEntry()
    validate_every: Count = 100
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.features and self.online_teacher:
            raise ValueError("features and online_teacher exclude each other")
        if self.imagenet and self.start:
            raise ValueError("imagenet and start exclude each other")
        if self.head.only and not self.start:
            raise ValueError("head.only needs a checkpoint in start")
        return self


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "train",
        help="train a detector on folders of crops",
        description="Train the ResNeXt50 trunk on labelled crops and on self-blended images of the "
        "real ones, maybe after distilling CLIP's cached features or from a tuned CLIP that sees "
        "every batch; then the LSTM on windows. Run it again with the same --out to resume.",
    )
    parser.add_argument("--recipe", type=Path, required=True, metavar="FILE",
        help="what is trained on what, YAML; docs/training.yaml explains every key")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--workers", type=int, help="processes that make batches")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Train the trunk, then the head over windows, with a line for each validation."""
    import torch
    from rich.console import Console

    from export.cli.output import bars
    from export.clip.teacher import load_features
    from export.train.batches import gather
    from export.train.checkpoint import load_initial_weights
    from export.train.distillation import CachedTeacher
    from export.train.network import Detector

    console = Console()
    if args.threads:
        torch.set_num_threads(args.threads)
    given = read_recipe(args.recipe, TrainingRecipe)
    recipe = _recipe(given)
    landmarks = given.landmarks or args.out / "landmarks.npz"
    cache = load_features(given.features) if given.features else None
    with bars(console) as tell:
        train, held_out = gather(
            given.folders,
            recipe.mix,
            recipe.validation,
            cache.names if cache else (),
            landmarks,
            given.weights,
            tell,
        )
    console.print(
        f"{len(train.examples)} pictures to train on, {len(train.blendable)} of them to blend."
    )
    teacher: TargetSource | None = None
    if cache:
        teacher = CachedTeacher(cache.names, cache.matrix, train.examples, held_out.examples)
        console.print(f"The teacher's probe: AUC {teacher.held_out_auc:.3f}, held out.")
    elif given.online_teacher:
        teacher = _online_teacher(given.online_teacher)
    torch.manual_seed(recipe.seed)
    network = Detector(HIDDEN, gate=0.0, layers=given.layers, width=given.width, zero_init=True)
    load_initial_weights(network, given.imagenet, given.start)
    config = {
        "side": recipe.phases[-1].side,
        "crop": given.crop.model_dump(),
        "window": {"frames": given.head.frames, "rate": given.head.rate},
        "hidden": HIDDEN,
        "readout": "mean",
        "gate": 0.0,
        "layers": given.layers,
        "width": given.width,
    }
    if not given.head.only:
        best = _train_trunk(args, console, network, given, (train, held_out), teacher, config)
        network.load_state_dict(torch.load(best, weights_only=True)["model"])
    _train_head(args.out, console, network, given, (train, held_out), config)
    return 0


def _recipe(given: TrainingRecipe) -> Recipe:
    from export.train.batches import SUBTLE, Mix, Phase
    from export.train.loop import Recipe

    if given.phases:
        phases = tuple(Phase(p.side, p.steps, p.batch, p.rate, p.learn_from) for p in given.phases)
    elif given.online_teacher:
        phases = (Phase(112, 6000, 256, 2e-3, "online_teacher"),)
    elif given.features:
        phases = (Phase(64, 3000, 64, 2e-3, "features"), Phase(64, 800, 64, 5e-4))
    else:
        phases = Recipe().phases
    mix = SUBTLE if given.online_teacher else Mix()
    if given.blends is not None:
        share = {"blends_at_start": given.blends, "blends_at_end": given.blends}
        mix = replace(mix, **share, distil_blends=given.blends)
    if given.singles is not None:
        mix = replace(mix, singles=given.singles)
    return Recipe(phases=phases, mix=mix, seed=given.seed)


def _online_teacher(entry: OnlineTeacherEntry) -> TargetSource:
    from export.clip.adapter import read_adapter
    from export.clip.graph import PACKAGED, read_encoder
    from export.clip.teacher import OnlineTeacher

    encoder = read_encoder(entry.tower, entry.sha256 or PACKAGED)
    return OnlineTeacher(encoder, read_adapter(entry.tuned, encoder))


def _train_trunk(
    args: argparse.Namespace,
    console: Console,
    network: Detector,
    given: TrainingRecipe,
    data: tuple[TrainingData, TrainingData],
    teacher: TargetSource | None,
    config: dict[str, Any],
) -> Path:
    from export.cli.output import StepBar, row
    from export.train.loop import Training
    from export.train.validation import validation_sets

    train, held_out = data
    training = Training(
        args.out,
        network,
        _recipe(given),
        train,
        validation_sets(held_out.examples, given.watch),
        config,
        teacher,
    )
    with StepBar(console, "trunk") as bar:
        return training.run(
            given.validate_every,
            lambda entry: console.print(row(entry), soft_wrap=True),
            lambda step, loss: bar.at(step, len(training), f"loss {loss:.3f}"),
            args.workers,
        )


def _train_head(
    out: Path,
    console: Console,
    network: Detector,
    given: TrainingRecipe,
    data: tuple[TrainingData, TrainingData],
    config: dict[str, Any],
) -> None:
    from export.cli.output import bars
    from export.train.sequence_head import HeadRecipe, finish

    head = given.head
    recipe = HeadRecipe(
        frames=head.frames, rate=head.rate, pairs=head.pairs, epochs=head.epochs, seed=given.seed
    )
    out.mkdir(parents=True, exist_ok=True)
    with bars(console) as tell:
        found = finish(network, *data, head.clips, recipe, config, out, tell)
    for t in found:
        console.print(
            f"{t.windows} windows of {t.sources} sources ({t.on}): AUC {t.frame_mean_auc:.3f} by "
            f"the mean of the frames, {t.lstm_auc:.3f} with the LSTM; difference "
            f"{t.lstm_auc - t.frame_mean_auc:+.3f} ({t.low:+.3f} to {t.high:+.3f}).",
            soft_wrap=True,
        )
    console.print(
        "The LSTM is added to the mean of the frames."
        if network.gate
        else "The LSTM gains nothing for certain: its gate is 0, the mean of the frames is used."
    )
    console.print(f"The checkpoint is {out / 'checkpoint.pt'}.", soft_wrap=True)
