"""From a checkpoint to a bundle: graphs, proofs, golden vector, card; whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from edge.errors import TruelightError
from edge.finding import Thresholds
from edge.scan.model.bundle import Sessions, load_bundle, read_manifest
from edge.scan.model.manifest import (
    CARD,
    FEATURES,
    FILES,
    GOLDEN,
    MANIFEST,
    SEQUENCE,
    TOWER,
    Calibration,
    File,
    GraphSettings,
    Manifest,
    MeasuredFigure,
    QualityLimits,
)
from export.convert.card import about_of, card
from export.convert.features_graph import lay_features
from export.convert.fold import STAGES, FoldedTrunk, regroup
from export.convert.golden import golden_crops, golden_vector
from export.convert.plan import SUMMARIES, Order, Plan, plan
from export.convert.proofs import Decision, float_proof, int8_proofs
from export.convert.quantize import CHOOSING, choose
from export.convert.regroup import fastest_factors
from export.data.crops_from_clips import Material, gather

Tell = Callable[[str, int, int], None]
"""Is told what is being done, and how far that is."""


@dataclass(frozen=True)
class _Made:
    """The features graph as it ships."""

    features: bytes
    part: GraphSettings
    figures: Sequence[MeasuredFigure]


def make_bundle(order: Order, tell: Tell) -> Manifest:
    """Export a checkpoint to the folder `order.out`, prove it, and return its manifest.

    Raises:
        TruelightError: the checkpoint, the material or the place cannot be used, or the graphs do
            not do what the network does. Nothing is left behind then.
    """
    if order.out.exists() and not (order.replace and (order.out / MANIFEST).is_file()):
        raise TruelightError(
            f"{order.out} is there already.",
            "Name another --out, or replace a bundle by --replace.",
        )
    tell("reading the checkpoint", 0, 1)
    try:
        made_of = plan(order)
        draft = _draft(order, made_of)
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ".".join(str(part) for part in error["loc"])
        raise TruelightError(f"{where} cannot be {error['input']!r}: {error['msg']}.") from None
    made = _make_features(order, made_of, tell)
    tell("golden vector", 0, 1)
    side, frames = made_of.input.side, made_of.window.frames
    files: dict[File, bytes] = {
        FEATURES: made.features,
        SEQUENCE: made_of.sequence,
        GOLDEN: golden_vector(made.features, made_of.sequence, side, frames),
    }
    manifest = draft.model_copy(update={"graphs": made.part, "figures": tuple(made.figures)})
    return write_bundle(order.out, manifest, files, order.about)


def _draft(order: Order, plan: Plan) -> Manifest:
    """The manifest as far as it is known before the work; what cannot be is refused at once."""
    return Manifest(
        name=order.name or order.out.name,
        version=order.version,
        licence=order.licence,
        summary=order.summary or SUMMARIES[plan.kind],
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
    figures: Sequence[MeasuredFigure] | None = None,
    about: str | None = None,
) -> Manifest:
    """Change what a bundle says of itself, and its card with it.

    Figures replace those of the same name and data.

    Raises:
        BundleError: there is no whole bundle at `path`.
    """
    bundle = load_bundle(path)
    kept: dict[File, bytes] = {name: (path / name).read_bytes() for name in FILES}
    card_text = kept.pop(CARD).decode()
    said = about_of(card_text) if about is None else about
    told = (*bundle.manifest.figures, *(figures or ()))
    named = {(figure.name, figure.data): figure for figure in told}
    manifest = bundle.manifest.model_copy(
        update={
            "calibration": calibration or bundle.manifest.calibration,
            "thresholds": thresholds or bundle.manifest.thresholds,
            "quality": quality or bundle.manifest.quality,
            "figures": tuple(named.values()),
        }
    )
    tower = path / TOWER if TOWER in bundle.manifest.files else None
    return write_bundle(path, manifest, kept, said, tower)


def _make_features(order: Order, plan: Plan, tell: Tell) -> _Made:
    """Lay the features graph, in int8 if there is material to calibrate on, and prove it."""
    side, frames = plan.input.side, plan.window.frames
    material = _gather(order.calibrate, order, plan, tell) if order.calibrate else None
    tell("proving the float graphs", 0, 1)
    exact = lay_features(plan.trunk, side).model.SerializeToString()
    float_graphs = Sessions(exact, plan.sequence)
    crops = golden_crops(side)
    if material is not None:
        crops = np.concatenate([crops, material.crops])
    figures = [*plan.figures]
    figures.append(float_proof(plan.checkpoint, plan.readout, float_graphs, crops, frames))
    if material is None:
        return _Made(exact, GraphSettings(quantization="float32"), _signed(figures, order.command))
    if len(material.crops) < CHOOSING:
        raise TruelightError(
            f"{order.calibrate} gives {len(material.crops)} crops.", "Some hundred are sensible."
        )
    quick, part = _make_int8(order, plan, material, tell)
    tell("proving the int8 graph", 0, 1)
    graphs, decision = Sessions(quick, plan.sequence), Decision()
    figures += int8_proofs(float_graphs, graphs, material, decision, frames)
    if order.check is not None:
        other = _gather(order.check, order, plan, tell)
        figures += int8_proofs(float_graphs, graphs, other, decision, frames)
    return _Made(quick, part, _signed(figures, order.command))


def _make_int8(
    order: Order, plan: Plan, material: Material, tell: Tell
) -> tuple[bytes, GraphSettings]:  # fmt: skip
    """Lay the int8 features graph, and say how it was made."""
    side = plan.input.side
    tell("measuring how to merge groups", 0, 1)
    factors = order.group_factors or fastest_factors(plan.trunk, side)
    trunk = _regroup(plan.trunk, factors)
    tell("choosing the ranges of int8", 0, 1)
    choice = choose(trunk, side, material.crops, plan.sequence)
    part = GraphSettings(
        group_factors=dict(zip(STAGES, factors, strict=True)),
        quantization=f"int8, weights by channel, activations by tensor ({choice.method})",
    )
    return lay_features(trunk, side, choice.ranges).model.SerializeToString(), part


def _gather(folder: Path, order: Order, plan: Plan, tell: Tell) -> Material:
    return gather(
        folder, plan.spec, order.crops, lambda done, total: tell(f"reading {folder}", done, total)
    )


def _regroup(trunk: FoldedTrunk, factors: Sequence[int]) -> FoldedTrunk:
    try:
        return regroup(trunk, factors)
    except ValueError as failure:
        raise TruelightError(
            f"The group factors {','.join(map(str, factors))} do not fit: {failure}.",
            "Four factors are wanted, one a stage, each of which divides the groups.",
        ) from None


def _signed(figures: Sequence[MeasuredFigure], command: str) -> list[MeasuredFigure]:
    return [figure.model_copy(update={"command": command}) for figure in figures]


def write_bundle(
    out: Path,
    manifest: Manifest,
    files: Mapping[File, bytes],
    about: str,
    tower: Path | None = None,
) -> Manifest:
    """Write a bundle beside `out`, load it as the box would, and put it in its place.

    `tower` is the file that goes into a bundle of the kind `tower` as it is; `about` is what the
    card says of the model. The hashes in the manifest are made here.

    Raises:
        TruelightError: it cannot be written, or would not load.
    """
    contents = {**files, CARD: card(manifest, about).encode()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    if tower is not None:
        with tower.open("rb") as weights:
            hashes[TOWER] = hashlib.file_digest(weights, "sha256").hexdigest()
    # Through JSON, so that what is written is checked as what is read.
    manifest = Manifest.model_validate(manifest.model_dump() | {"files": hashes})
    text = manifest.model_dump_json(indent=1) + "\n"
    try:
        with _replacing(out) as unfinished:
            for name, content in (*contents.items(), (MANIFEST, text.encode())):
                _write_file(unfinished / name, content)
            if tower is not None:
                shutil.copyfile(tower, unfinished / TOWER)
            load_bundle(unfinished)
    except OSError as failure:
        raise TruelightError(f"{out} cannot be written: {failure.strerror}.") from None
    return read_manifest(out)[0]


def _write_file(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place at the end, or goes if anything fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as workshop:
        unfinished = Path(workshop) / "new"
        unfinished.mkdir()
        yield unfinished
        if out.exists():
            out.rename(Path(workshop) / "old")
        unfinished.rename(out)
