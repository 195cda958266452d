"""The model for second opinions: a head on a tower's features, and how it joins the first model.

The head is fitted on cached features of labelled pictures, or was tuned together with the tower's
layer norms. Then labelled clips are scanned once, as the box does it, with the first model asking
about every clip: that gives both models' logits of each face. They give the head's own calibration,
and the rule for both, which is held to its errors on the clips that the first model leaves open.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.errors import TruelightError
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.manifest import (
    FEATURES,
    FILES,
    GOLDEN,
    SEQUENCE,
    TOWER,
    Calibration,
    CropRule,
    File,
    GraphSettings,
    Input,
    Manifest,
    MeasuredFigure,
    Window,
)
from export.clip.adapter import GeneratedHead, LeftOutHeads, read_adapter
from export.clip.graph import Encoder, Tap, features_graph
from export.clip.probe import FeatureDataset, Head, feature_datasets, fit_head
from export.clip.teacher import load_features
from export.convert.bundle import refuse_existing, write_bundle
from export.convert.proofs import golden_vector
from export.convert.sequence_graph import linear_sequence
from export.data.augment import CENTRE_CROP
from export.data.folders import StageProgress
from export.evaluate.calibrate import Fit
from export.evaluate.card_figures import FITTED, fit_figures
from export.evaluate.ensemble import PairedClip, fit_alone, fit_joined, scan_with_both, unfitted
from export.evaluate.generated import generated_figures, placed_by
from export.evaluate.records import AS_IS
from export.metrics import auc, auc_interval

DRAFT = "draft"
"""The folder, in a workshop, of a bundle to scan with."""
SUMMARY = "A linear head on CLIP's image features: slow, asked where the first model is unsure."


@dataclass(frozen=True)
class SecondOpinionRequest:
    """A bundle for second opinions to make."""

    features: Sequence[Path]
    """Folders of cached features; none if `tuned` is given."""
    pictures: Sequence[Path]
    """The labelled folders that the features are of."""
    tuned: Path | None
    """The file that `tune` wrote."""
    clips: Path
    first: Path
    """The bundle that asks."""
    tower: Encoder
    out: Path
    crops: int = 6
    """Crops of a face that are asked about."""
    error: float = 0.05
    compressions: Sequence[str] = ()
    """Keys of `RECOMPRESSIONS`: the rates hold for clips recompressed so as well."""
    held_out: float = 0.06
    """Share of the sources that the head never sees, as in training."""
    name: str = ""
    version: str = "1"
    licence: str = "not stated"
    summary: str = SUMMARY
    about: str = ""
    data: str = "clips"
    """The clips' name in the card."""
    command: str = ""
    replace: bool = False


@dataclass(frozen=True)
class _Head:
    """What is put on the tower."""

    taps: tuple[Tap, ...]
    extent: float
    """Side of a crop as a share of what a training picture shows."""
    norms: dict[str, NDArray[np.float32]]
    weight: NDArray[np.float32]
    bias: float
    figures: Sequence[MeasuredFigure] = ()
    left_out: LeftOutHeads | None = None
    generated: GeneratedHead | None = None


def make_second_opinion(request: SecondOpinionRequest, report: StageProgress) -> Manifest:
    """Fit the head and the rule, write the bundle, and return its manifest.

    Raises:
        TruelightError: something given cannot be used. Nothing is left behind.
    """
    refuse_existing(request.out, request.replace)
    head = _tuned(request.tuned, request.tower) if request.tuned else _fitted(request, report)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    place = request.out.parent
    with tempfile.TemporaryDirectory(prefix=f".{request.out.name}-", dir=place) as folder:
        workshop = Path(folder)
        report("making the graphs", 0, 1)
        files, draft = _write_draft(request, head, workshop)
        clips = scan_with_both(
            request.first,
            workshop / DRAFT,
            request.clips,
            workshop,
            lambda done, total: report("scanning", done, total),
            head.left_out,
            head.generated,
            request.compressions,
        )
        alone, joined = fit_alone(clips, request.error), fit_joined(clips, request.error)
        figures = [*head.figures, *_rule_figures(request.data, clips, alone, joined)]
        if head.generated:
            figures += generated_figures(clips, head.generated, request.data)
        signed = [figure.model_copy(update={"command": request.command}) for figure in figures]
        manifest = _finished(draft, alone, joined, signed, head.generated)
        return write_bundle(request.out, manifest, files, request.about, workshop / TOWER)


def write_draft(request: SecondOpinionRequest, workshop: Path) -> Path:
    """A bundle of the head in the request's file, with a provisional rule, to scan with."""
    assert request.tuned is not None, "a draft is of a head that is there"
    _write_draft(request, _tuned(request.tuned, request.tower), workshop)
    return workshop / DRAFT


def _write_draft(
    request: SecondOpinionRequest, head: _Head, workshop: Path
) -> tuple[dict[File, bytes], Manifest]:
    """Its files and its manifest."""
    shutil.copyfile(request.tower.path, workshop / TOWER)
    files = _graphs(request.tower, head, workshop)
    draft = write_bundle(workshop / DRAFT, _draft(request, head), files, "", workshop / TOWER)
    return files, draft


def _fitted(request: SecondOpinionRequest, report: StageProgress) -> _Head:
    """A head fitted on cached features; the tower's norms unchanged."""
    taught = [load_features(folder) for folder in request.features]
    if not taught:
        raise TruelightError("There is nothing to learn from.", "Give cached features or --tuned.")
    metadata = taught[0].metadata
    if metadata.tower != request.tower.sha256:
        raise TruelightError("The features are of another tower.", "Name it with --tower.")
    learned, kept = feature_datasets(taught, request.pictures, request.held_out)
    head = fit_head(
        learned.features,
        learned.fakes,
        learned.sources,
        lambda done, total: report("fitting the head", done, total),
    )
    weight = head.weight.astype(np.float32)
    figures = _head_figures(head, learned, kept)
    return _Head(taught[0].taps, metadata.extent, {}, weight, head.bias, figures)


def _tuned(file: Path, tower: Encoder) -> _Head:
    """Layer norms and head as they were tuned together."""
    tuned = read_adapter(file, tower)
    return _Head(
        tuned.taps,
        CENTRE_CROP.extent,
        tuned.norms,
        tuned.weight,
        tuned.bias,
        left_out=tuned.left_out,
        generated=tuned.generated,
    )


def _graphs(tower: Encoder, head: _Head, beside: Path) -> dict[File, bytes]:
    """The bundle's files; `beside` is the folder of the tower's weights."""
    features = features_graph(tower, head.taps, norms=head.norms)
    other = (head.generated.weight, head.generated.bias) if head.generated else None
    sequence = linear_sequence(head.weight, head.bias, other).SerializeToString()
    golden = golden_vector(features, sequence, tower.side, 1, beside.resolve())
    return {FEATURES: features, SEQUENCE: sequence, GOLDEN: golden}


def _draft(request: SecondOpinionRequest, head: _Head) -> Manifest:
    """The manifest as far as it is known before clips are scanned."""
    first = read_bundle(request.first).manifest
    taps = ", ".join(str(tap) for tap in head.taps)
    return Manifest(
        name=request.name or request.out.name,
        version=request.version,
        licence=request.licence,
        summary=request.summary,
        input=Input(side=request.tower.side, crop=CropRule(scale=head.extent)),
        window=Window(frames=1, rate=1.0),
        quality=first.quality,
        kind="tower",
        graphs=GraphSettings(
            quantization=f"int8 as they come, halved; features from layers {taps}"
            + ("; layer norms tuned" if head.norms else ""),
        ),
        beside=unfitted(first, request.crops),
        files=dict.fromkeys((*FILES, TOWER), "0" * 64),
    )


def _finished(
    draft: Manifest,
    alone: Fit,
    joined: Fit,
    figures: Sequence[MeasuredFigure],
    generated: GeneratedHead | None,
) -> Manifest:
    (scale,) = alone.rule.weights
    assert draft.beside is not None, "a draft has a rule"
    return draft.model_copy(
        update={
            "calibration": Calibration(scale=scale, offset=alone.rule.offset),
            "thresholds": alone.rule.thresholds,
            "beside": draft.beside.model_copy(
                update={
                    **joined.rule.beside(),
                    "generated": generated and placed_by(generated, joined.rule.thresholds),
                }
            ),
            "figures": tuple(figures),
        }
    )


def _head_figures(
    head: Head, learned: FeatureDataset, kept: FeatureDataset
) -> list[MeasuredFigure]:
    """How well the head ranks pictures."""
    name = "AUC, each fifth of the sources scored by a head that never saw it"
    figures = [MeasuredFigure(name=name, value=head.auc, data=learned.description)]
    if len(set(kept.fakes.tolist())) == 2:
        data = f"{kept.description} kept out of training"
        logits = head.logits(kept.features)
        figures.append(_auc("AUC of crops", kept.fakes, logits, kept.sources, data))
    return figures


def _rule_figures(
    name: str, clips: Sequence[PairedClip], alone: Fit, joined: Fit
) -> list[MeasuredFigure]:
    """How well each model ranks the clips as they are, and the rates of both rules."""
    clips = [clip for clip in clips if clip.condition == AS_IS]
    fakes, sources = [clip.fake for clip in clips], [clip.source for clip in clips]
    data = f"{name}: {len(clips)} clips of {len(set(sources))} sources"
    figures = []
    for at, model in enumerate(("the first model", "this model")):
        worst = [max(pair[at] for pair in clip.faces) for clip in clips]
        figures.append(_auc(f"AUC, {model} alone", fakes, worst, sources, data))
    data = f"{data}, {FITTED}"
    figures += fit_figures(alone, data, models="alone")
    return [*figures, *fit_figures(joined, data, models="both models")]


def _auc(
    name: str, fakes: ArrayLike, scores: ArrayLike, sources: Sequence[str], data: str
) -> MeasuredFigure:
    low, high = auc_interval(fakes, scores, sources)
    return MeasuredFigure(name=name, value=auc(fakes, scores), low=low, high=high, data=data)
