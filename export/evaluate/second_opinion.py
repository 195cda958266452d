"""The model for second opinions: a head on a tower's features, and how it joins the first model.

The head is fitted on cached features of labelled pictures, or was tuned together with the tower's
layer norms. Then labelled clips are scanned once, as
the box does it, with the first model asking about every clip: that gives both models' logits of
each face. From those come the head's own calibration, and the rule for both together, which is
held to its errors on the clips that the first model leaves open.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from edge.scan.model.bundle import read_manifest
from edge.scan.model.manifest import (
    FEATURES,
    FILES,
    GOLDEN,
    MANIFEST,
    SEQUENCE,
    TOWER,
    Calibration,
    CropRule,
    File,
    Input,
    Manifest,
    MeasuredFigure,
    Window,
)
from edge.scan.model.manifest import GraphSettings as GraphsPart
from export.clip.adapter import read_tuned
from export.clip.feature_cache import Lessons, lessons_of, load_features
from export.clip.graph import Tap, Tower, lay_tower
from export.clip.probe import Head, fit_head
from export.convert.bundle import write_bundle
from export.convert.proofs import golden_vector
from export.convert.sequence_graph import linear_sequence
from export.data.augment import PLAIN
from export.evaluate.calibrate import Fit
from export.evaluate.ensemble import View, fit_alone, fit_joined, see, unfitted
from export.metrics import auc, interval

Tell = Callable[[str, int, int], None]
"""Is told what is being done, and how far that is."""

SUMMARY = "A linear head on CLIP's image features: slow, asked where the first model is unsure."


@dataclass(frozen=True)
class Wish:
    """What is to be made of what."""

    features: Sequence[Path]
    """Folders of cached features; none if there is something tuned."""
    pictures: Sequence[Path]
    """The folders that they are of, with labels."""
    tuned: Path | None
    """What `tune` wrote."""
    clips: Path
    first: Path
    """The bundle that asks."""
    tower: Tower
    out: Path
    crops: int = 6
    """Of a face that are asked about."""
    error: float = 0.05
    held_out: float = 0.06
    """Share of the sources that the head never sees, as in training."""
    name: str = ""
    version: str = "1"
    licence: str = "not stated"
    summary: str = SUMMARY
    about: str = ""
    data: str = "clips"
    """What the card calls the clips."""
    command: str = ""
    replace: bool = False


@dataclass(frozen=True)
class Outcome:
    """What was made, and what it was fitted to."""

    manifest: Manifest
    alone: Fit
    joined: Fit


def make_opinion(wish: Wish, tell: Tell) -> Outcome:
    """Fit the head and the rule, and write the bundle.

    Raises:
        TruelightError: something given cannot be used. Nothing is left behind then.
    """
    if wish.out.exists() and not (wish.replace and (wish.out / MANIFEST).is_file()):
        raise TruelightError(
            f"{wish.out} is there already.", "Name another --out, or replace a bundle by --replace."
        )
    learned = _tuned(wish.tuned, wish.tower) if wish.tuned else _fitted(wish, tell)
    figures = list(learned.figures)
    wish.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{wish.out.name}-", dir=wish.out.parent) as place:
        shop = Path(place)
        tell("laying the graphs", 0, 1)
        files = _lay(wish, learned, shop)
        draft = write_bundle(shop / "draft", _draft(wish, learned), files, "", shop / TOWER)
        views = see(
            wish.first, shop / "draft", wish.clips, shop,
            lambda done, total: tell("scanning", done, total),
        )  # fmt: skip
        alone, joined = fit_alone(views, wish.error), fit_joined(views, wish.error)
        figures += _of_rules(wish, views, alone, joined)
        signed = [figure.model_copy(update={"command": wish.command}) for figure in figures]
        manifest = _finished(draft, alone, joined, signed)
        manifest = write_bundle(wish.out, manifest, files, wish.about, shop / TOWER)
    return Outcome(manifest, alone, joined)


@dataclass(frozen=True)
class _Learned:
    """What is laid on the tower."""

    taps: tuple[Tap, ...]
    extent: float
    """Side of a crop as a share of what a training picture shows."""
    norms: dict[str, NDArray[np.float32]]
    weight: NDArray[np.float32]
    bias: float
    figures: Sequence[MeasuredFigure] = ()


def _fitted(wish: Wish, tell: Tell) -> _Learned:
    """A head fitted on cached features; the tower as it comes."""
    taught = [load_features(folder) for folder in wish.features]
    if not taught:
        raise TruelightError("There is nothing to learn from.", "Give cached features or --tuned.")
    told = taught[0].told
    if told.tower != wish.tower.sha256:
        raise TruelightError("The features are another tower's.", "Name theirs with --tower.")
    learned, kept = lessons_of(taught, wish.pictures, wish.held_out)
    head = fit_head(
        learned.features, learned.fakes, learned.sources,
        lambda done, total: tell("fitting the head", done, total),
    )  # fmt: skip
    weight = head.weight.astype(np.float32)
    figures = _of_head(head, learned, kept)
    return _Learned(taught[0].taps, told.extent, {}, weight, head.bias, figures)


def _tuned(file: Path, tower: Tower) -> _Learned:
    """Layer norms and head as they were tuned together."""
    tuned = read_tuned(file, tower)
    return _Learned(tuned.taps, PLAIN.extent, tuned.norms, tuned.weight, tuned.bias)


def _lay(wish: Wish, learned: _Learned, shop: Path) -> dict[File, bytes]:
    """The bundle's files, and the tower's in the folder `shop`."""
    shutil.copyfile(wish.tower.path, shop / TOWER)
    features = lay_tower(wish.tower, learned.taps, norms=learned.norms)
    sequence = linear_sequence(learned.weight, learned.bias).SerializeToString()
    golden = golden_vector(features, sequence, wish.tower.side, 1, shop.resolve())
    return {FEATURES: features, SEQUENCE: sequence, GOLDEN: golden}


def _draft(wish: Wish, learned: _Learned) -> Manifest:
    """The manifest as far as it is known before clips are scanned."""
    first, _ = read_manifest(wish.first)
    taps = ", ".join(str(tap) for tap in learned.taps)
    return Manifest(
        name=wish.name or wish.out.name,
        version=wish.version,
        licence=wish.licence,
        summary=wish.summary,
        input=Input(side=wish.tower.side, crop=CropRule(scale=learned.extent)),
        window=Window(frames=1, rate=1.0),
        quality=first.quality,
        kind="tower",
        graphs=GraphsPart(
            quantization=f"int8 as they come, halved; features from layers {taps}"
            + ("; layer norms tuned" if learned.norms else ""),
        ),
        beside=unfitted(first, wish.crops),
        files=dict.fromkeys((*FILES, TOWER), "0" * 64),
    )


def _finished(
    draft: Manifest, alone: Fit, joined: Fit, figures: Sequence[MeasuredFigure]
) -> Manifest:  # fmt: skip
    (scale,), rule = alone.rule.weights, joined.rule
    first, second = rule.weights
    assert draft.beside is not None, "a draft has a rule"
    fitted = {
        "first": first,
        "second": second,
        "offset": rule.offset,
        "thresholds": rule.thresholds,
    }
    return draft.model_copy(
        update={
            "calibration": Calibration(scale=scale, offset=alone.rule.offset),
            "thresholds": alone.rule.thresholds,
            "beside": draft.beside.model_copy(update=fitted),
            "figures": tuple(figures),
        }
    )


def _of_head(head: Head, learned: Lessons, kept: Lessons) -> list[MeasuredFigure]:
    """How well the head ranks pictures."""
    name = "AUC, each fifth of the sources judged by a head that never saw it"
    figures = [MeasuredFigure(name=name, value=head.auc, data=learned.told)]
    if len(set(kept.fakes.tolist())) == 2:
        logits = head.logits(kept.features)
        low, high = interval(kept.fakes, logits, kept.sources)
        data = f"{kept.told} kept out of training"
        value = auc(kept.fakes, logits)
        figures.append(
            MeasuredFigure(name="AUC of crops", value=value, low=low, high=high, data=data)
        )
    return figures


def _of_rules(wish: Wish, views: Sequence[View], alone: Fit, joined: Fit) -> list[MeasuredFigure]:
    """How well the clips are told apart: by each model, and by both."""
    fakes, sources = [view.fake for view in views], [view.source for view in views]
    data = f"{wish.data}: {len(views)} clips of {len(set(sources))} sources"
    figures = []
    for at, who in enumerate(("the first model", "this model")):
        worst = [max(pair[at] for pair in view.faces) for view in views]
        low, high = interval(fakes, worst, sources)
        figures.append(
            MeasuredFigure(
                name=f"AUC, {who} alone", value=auc(fakes, worst), low=low, high=high, data=data
            )
        )
    data = f"{data}, each source judged by the others' fit"
    for who, found in (("alone", alone), ("both models", joined)):
        shares = {
            "false alarms (FAKE said of a real)": found.fake.wrong,
            "missed (REAL said of a fake)": found.real.wrong,
            "FAKE said of a fake": found.fake.right,
            "REAL said of a real": found.real.right,
            "UNSURE, share": found.unsure,
        }
        figures += [
            MeasuredFigure(name=f"{name}, {who}", value=share, data=data)
            for name, share in shares.items()
        ]
    return figures
