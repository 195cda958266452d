"""From a checkpoint to a bundle: graphs, proofs, golden vector, figures and card."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from edge.atomic_write import atomic_write
from edge.errors import TruelightError
from edge.finding import Thresholds
from edge.scan.model.bundle import Sessions, load_bundle
from edge.scan.model.bundle_info import manifest_with_figures
from edge.scan.model.manifest import (
    CARD,
    FEATURES,
    FIGURES,
    FILES,
    GOLDEN,
    MANIFEST,
    SEQUENCE,
    TOWER,
    Calibration,
    EnsembleRule,
    FigureFile,
    FigureGroup,
    File,
    GraphSettings,
    Manifest,
    MeasuredFigure,
    QualityLimits,
)
from export.convert.card import about_of, card
from export.convert.features_graph import lay_features
from export.convert.fold import STAGES, regroup
from export.convert.plan import SUMMARIES, BundleRequest, Plan, plan
from export.convert.proofs import float_proof, golden_crops, golden_vector, int8_proofs
from export.convert.quantize import VALIDATION, choose, fastest_factors
from export.data.crop_folders import LabelledCrops, sample_crops
from export.data.folders import StageProgress

REFERENCE = "reference.json"
"""Reference findings, see `export.evaluate.reference`; not needed to judge, so not in `files`."""


def make_bundle(request: BundleRequest, report: StageProgress) -> Manifest:
    """Export a checkpoint to the folder `request.out`, prove it, and return its manifest.

    Raises TruelightError: the checkpoint, the crops or the folder cannot be used, or the graphs do
    not answer as the network does. Nothing is left behind.
    """
    refuse_existing(request.out, request.replace)
    report("reading the checkpoint", 0, 1)
    try:
        made_of = plan(request)
        draft = _draft(request, made_of)
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ".".join(str(part) for part in error["loc"])
        raise TruelightError(f"{where} cannot be {error['input']!r}: {error['msg']}.") from None
    features, settings, figures = _make_features(request, made_of, report)
    report("golden vector", 0, 1)
    side, frames = made_of.input.side, made_of.window.frames
    files: dict[File, bytes] = {
        FEATURES: features,
        SEQUENCE: made_of.sequence,
        GOLDEN: golden_vector(features, made_of.sequence, side, frames),
    }
    signed = tuple(f.model_copy(update={"command": request.command}) for f in figures)
    manifest = draft.model_copy(update={"graphs": settings, "figures": signed})
    return write_bundle(request.out, manifest, files, request.about)


def refuse_existing(out: Path, replace: bool) -> None:
    """Raise TruelightError if `out` exists, unless it is a bundle that may be replaced."""
    if out.exists() and not (replace and (out / MANIFEST).is_file()):
        raise TruelightError(
            f"{out} already exists.", "Choose another --out, or replace a bundle with --replace."
        )


def _draft(request: BundleRequest, plan: Plan) -> Manifest:
    """The manifest as far as it is known before the work, so that wrong values fail early."""
    return Manifest(
        name=request.name or request.out.name,
        version=request.version,
        licence=request.licence,
        summary=request.summary or SUMMARIES[plan.kind],
        input=plan.input,
        window=plan.window,
        kind=plan.kind,
        readout=plan.readout if plan.kind == "published" else None,
        graphs=GraphSettings(quantization="float32"),
        files=dict.fromkeys(FILES, "0" * 64),
    )


def amend(
    path: Path,
    calibration: Calibration | None = None,
    thresholds: Thresholds | None = None,
    quality: QualityLimits | None = None,
    beside: EnsembleRule | None = None,
    version: str = "",
    figures: Sequence[MeasuredFigure] = (),
    about: str | None = None,
    revise: Callable[[MeasuredFigure], MeasuredFigure | None] = lambda figure: figure,
) -> Manifest:
    """Change what a bundle records, and its card with it; it is then of the newest format.

    Its figures pass through `revise`, which drops one by returning None; new ones replace those of
    the same name and data. Reference findings stay only if verdicts cannot have changed. Raises
    BundleError: there is no complete bundle at `path`.
    """
    load_bundle(path)
    before = manifest_with_figures(path)
    kept = [figure for each in before.figures if (figure := revise(each))]
    by_name = {(figure.name, figure.data): figure for figure in (*kept, *figures)}
    manifest = before.model_copy(
        update={
            "calibration": calibration or before.calibration,
            "thresholds": thresholds or before.thresholds,
            "quality": quality or before.quality,
            "beside": beside or before.beside,
            "version": version or before.version,
            "figures": tuple(by_name.values()),
        }
    )
    files: dict[File, bytes] = {
        name: (path / name).read_bytes() for name in (FEATURES, SEQUENCE, GOLDEN)
    }
    if about is None:
        about = about_of((path / CARD).read_text(encoding="utf-8"))
    tower = path / TOWER if TOWER in before.files else None
    reference = None
    judges_alike = not (calibration or thresholds or quality or beside or version)
    if judges_alike and (path / REFERENCE).is_file():
        reference = (path / REFERENCE).read_bytes()
    return write_bundle(path, manifest, files, about, tower, reference)


def _make_features(
    request: BundleRequest, plan: Plan, report: StageProgress
) -> tuple[bytes, GraphSettings, list[MeasuredFigure]]:
    """The features graph with its proofs: int8 if there are crops to calibrate on."""
    side, frames = plan.input.side, plan.window.frames
    material = _gather(request.calibrate, request, plan, report) if request.calibrate else None
    report("proving the float graphs", 0, 1)
    exact = lay_features(plan.trunk, side).model.SerializeToString()
    float_graphs = Sessions(exact, plan.sequence)
    crops = golden_crops(side)
    if material is not None:
        crops = np.concatenate([crops, material.crops])
    figures = [
        *plan.figures,
        float_proof(plan.checkpoint, plan.readout, float_graphs, crops, frames),
    ]
    if material is None:
        return exact, GraphSettings(quantization="float32"), figures
    if len(material.crops) < VALIDATION:
        raise TruelightError(
            f"{request.calibrate} has {len(material.crops)} crops; at least {VALIDATION} are "
            "needed.",
            "Some hundred are sensible.",
        )
    quantized, settings = _make_int8(request, plan, material, report)
    report("proving the int8 graph", 0, 1)
    int8_graphs = Sessions(quantized, plan.sequence)
    figures += int8_proofs(float_graphs, int8_graphs, material, frames)
    if request.check is not None:
        other = _gather(request.check, request, plan, report)
        figures += int8_proofs(float_graphs, int8_graphs, other, frames)
    return quantized, settings, figures


def _make_int8(
    request: BundleRequest, plan: Plan, material: LabelledCrops, report: StageProgress
) -> tuple[bytes, GraphSettings]:
    """The int8 features graph and how it was made."""
    side = plan.input.side
    report("measuring how to merge groups", 0, 1)
    factors = request.group_factors or fastest_factors(plan.trunk, side)
    trunk = regroup(plan.trunk, factors)
    report("choosing the ranges of int8", 0, 1)
    choice = choose(trunk, side, material.crops, plan.sequence)
    settings = GraphSettings(
        group_factors=dict(zip(STAGES, factors, strict=True)),
        quantization=f"int8, weights by channel, activations by tensor ({choice.method})",
    )
    return lay_features(trunk, side, choice.ranges).model.SerializeToString(), settings


def _gather(
    folder: Path, request: BundleRequest, plan: Plan, report: StageProgress
) -> LabelledCrops:
    return sample_crops(folder, plan.spec, request.crops, partial(report, f"reading {folder}"))


def write_bundle(
    out: Path,
    manifest: Manifest,
    files: Mapping[File, bytes],
    about: str,
    tower: Path | None = None,
    reference: bytes | None = None,
) -> Manifest:
    """Write a bundle beside `out`, load it as the box would, and move it to `out`.

    `about` is the maker's part of the card; `tower` is copied into a bundle of the kind `tower`;
    `reference` are reference findings to keep. Hashes are computed here. Raises TruelightError: it
    cannot be written, or would not load.
    """
    figures = _figure_file(manifest.figures).model_dump_json(indent=1, exclude_defaults=True)
    contents: dict[str, bytes] = {str(name): content for name, content in files.items()}
    contents |= {CARD: card(manifest, about).encode(), FIGURES: f"{figures}\n".encode()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    if tower is not None:
        with tower.open("rb") as weights:
            hashes[TOWER] = hashlib.file_digest(weights, "sha256").hexdigest()
    # Validated again: `model_copy` checks nothing.
    changes = {"format": 2, "figures": (), "files": hashes}
    manifest = Manifest.model_validate(manifest.model_dump() | changes)
    contents[MANIFEST] = (manifest.model_dump_json(indent=1, exclude={"figures"}) + "\n").encode()
    if reference is not None:
        contents[REFERENCE] = reference
    try:
        with _replacing(out) as unfinished:
            for name, content in contents.items():
                atomic_write(unfinished / name, content)
            if tower is not None:
                shutil.copyfile(tower, unfinished / TOWER)
            load_bundle(unfinished)
    except OSError as failure:
        raise TruelightError(f"{out} cannot be written: {failure.strerror}.") from None
    return manifest_with_figures(out)


def _figure_file(figures: Sequence[MeasuredFigure]) -> FigureFile:
    commands = tuple(dict.fromkeys(figure.command for figure in figures))
    groups: dict[tuple[str, str], list[MeasuredFigure]] = {}
    for figure in figures:
        bare = figure.model_copy(update={"data": "", "command": ""})
        groups.setdefault((figure.data, figure.command), []).append(bare)
    return FigureFile(
        commands=commands,
        groups=tuple(
            FigureGroup(data=data, command=commands.index(command), figures=tuple(part))
            for (data, command), part in groups.items()
        ),
    )


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that replaces it at the end, or is deleted if anything fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as workshop:
        unfinished = Path(workshop) / "new"
        unfinished.mkdir()
        yield unfinished
        if out.exists():
            out.rename(Path(workshop) / "old")
        unfinished.rename(out)
