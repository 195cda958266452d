"""A run's way from folders to a finished checkpoint, step by step; the command shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge.errors import TruelightError
from edge.scan.faces.crops import CropSpec
from edge.scan.faces.detector import load_detector
from export.data.folders import Material, Picture, one_each, read_folder, split
from export.data.landmarks import landmarks_of
from export.data.video_windows import Looking, Windows, windows_of
from export.train.checkpoint import Temporal
from export.train.distillation import CachedFeatures, Teacher, teacher_of
from export.train.loop import Recipe
from export.train.network import Detector
from export.train.sequence_head import (
    HeadRecipe,
    Seen,
    compare,
    gate_for,
    left_out,
    save,
    seen_of_clips,
    seen_of_stills,
    train_head,
    window_logits,
)
from export.train.validation import best_device

MOST_HELD_OUT = 1000
CLIPS = "clips.npz"

Tell = Callable[[str, int, int], None]
"""Is told what is being done, and how far that is."""


@dataclass(frozen=True)
class Gathered:
    """What a run learns from and is judged by."""

    train: Material
    held_out: Material
    teacher: Teacher | None


def gather(
    folders: Sequence[Path],
    recipe: Recipe,
    teacher: CachedFeatures | None,
    landmarks: Path,
    weights: Mapping[str, float],
    tell: Tell,
) -> Gathered:
    """Read the folders, split them by source, and find what blends and distilling need.

    Raises TruelightError if a folder is not right, or `weights` names none of them.
    """
    pictures = [picture for one in folders for picture in read_folder(one, unlabelled=True)]
    names = {picture.folder for picture in pictures}
    for name in weights:
        if name not in names:
            raise TruelightError(
                f"--weight names {name}, which is no folder here.",
                f"There are: {', '.join(sorted(names))}.",
            )
    points = {}
    if recipe.mix.any_blends:
        reals = [picture for picture in pictures if picture.labelled and not picture.fake]
        points = landmarks_of(reals, landmarks, lambda done, all: tell("landmarks", done, all))
    train, held_out = split(pictures, recipe.validation)
    taught = None
    if teacher is not None:
        tell("teacher", 0, 1)
        taught = teacher_of(teacher, train, held_out)
    rows = taught.rows if taught else {}
    return Gathered(
        Material(train, points, rows, weights), Material(held_out, points, rows, weights), taught
    )


def validation_sets(held_out: Material, watch: Sequence[Path]) -> dict[str, list[Picture]]:
    """What the trunk is measured on: held-out sources, which choose, and folders only watched."""
    sets = {"validation": one_each(held_out.pictures, MOST_HELD_OUT)}
    for folder in watch:
        name = folder.resolve().name
        sets[str(folder) if name in sets else name] = read_folder(folder)
    return sets


def begin(network: Detector, init: Path | None, start: Path | None) -> None:
    """Give a network the weights it begins with: ImageNet's, those of a checkpoint, or neither.

    Raises TruelightError if the file is of another network.
    """
    file = init or start
    if file is None:
        return
    try:
        weights = torch.load(file, weights_only=True, map_location="cpu")
        if init:
            network.trunk.load_imagenet(weights)
        else:
            network.load_state_dict(weights["model"])
    except OSError as failure:
        raise TruelightError(f"{file} cannot be read: {failure.strerror}.") from None
    except Exception as failure:  # whatever a foreign file makes of the loader
        what = "torchvision's resnext50_32x4d file" if init else "a checkpoint of such a network"
        reason = " ".join(str(failure).split())[:200]
        raise TruelightError(f"{file} is not {what}: {reason}") from None


def finish(
    network: Detector,
    gathered: Gathered,
    clips: Path | None,
    recipe: HeadRecipe,
    config: dict[str, Any],
    out: Path,
    tell: Tell,
) -> list[Temporal]:
    """Train the LSTM, decide about its gate and write `out`/checkpoint.pt.

    What the LSTM is worth: on held-out stills set in motion, and, if there are clips, on those,
    which then decide. The last of them is written into the checkpoint.
    """
    network.to(best_device())
    parts = []
    counts = ((gathered.train, recipe.pairs), (gathered.held_out, recipe.validation_pairs))
    for material, count in counts:
        windows = Windows(material, recipe.frames, config["side"], recipe.seed)
        parts.append(
            seen_of_stills(network, windows, count, lambda done, all: tell("windows", done, all))
        )
    made, held_out = parts
    taught = [made]
    found = []
    if clips is not None:
        seen = _seen_of_clips(network, clips, recipe, config, out, tell)
        joined = left_out(network, made, seen, recipe, lambda done, all: tell("folds", done, all))
        sources = f"{clips.resolve().name}, an LSTM that learned from other sources"
        found.append(compare(network, seen, joined, sources))
        taught.append(seen)
    train_head(network, taught, recipe, lambda epoch, _: tell("head", epoch, recipe.epochs))
    joined = window_logits(network, held_out)
    found.insert(0, compare(network, held_out, joined, "held-out stills set in motion"))
    network.gate = gate_for(found[-1])
    window = {"frames": recipe.frames, "rate": recipe.rate}
    said = {"window": window, "gate": network.gate, "temporal": found[-1].model_dump()}
    save(out / "checkpoint.pt", network, config | said)
    return found


def _seen_of_clips(
    network: Detector,
    clips: Path,
    recipe: HeadRecipe,
    config: dict[str, Any],
    out: Path,
    tell: Tell,
) -> Seen:
    crop = config["crop"]
    spec = CropSpec(config["side"], crop["scale"], crop["shift_x"], crop["shift_y"])
    windows = windows_of(
        clips,
        Looking(spec, recipe.frames, recipe.rate),
        load_detector,
        out / CLIPS,
        lambda done, all: tell("clips", done, all),
    )
    if not len(windows.crops):
        raise TruelightError(f"No face was found in the clips of {clips}.")
    return seen_of_clips(network, windows, lambda done, all: tell("clips", done, all))
