"""From a checkpoint to a bundle: graphs, proofs, golden vector, card; whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.errors import TruelightError
from edge.finding import Thresholds
from edge.scan.bundle import Graphs, load_bundle, read_manifest
from edge.scan.crops import CropSpec
from edge.scan.manifest import (
    CARD,
    FEATURES,
    FILES,
    GOLDEN,
    MANIFEST,
    SEQUENCE,
    Calibration,
    CropRule,
    Figure,
    File,
    Input,
    Manifest,
    QualityLimits,
    Window,
)
from edge.scan.manifest import Graphs as GraphsPart
from export.card import about_of, card
from export.checkpoint import PUBLISHED_RATE, Own, Published, load_checkpoint
from export.folded import STAGES, FoldedTrunk, fold, regroup
from export.golden import golden_vector
from export.graphs import lay_features
from export.material import Material, gather
from export.network import MEAN, STD, Readout
from export.proofs import Decision, float_proof, int8_proofs
from export.published import DLIB_BOX
from export.quantize import CHOOSING, choose
from export.regroup import fastest_factors
from export.sequence import own_sequence, published_sequence

Tell = Callable[[str, int, int], None]
"""Is told what is being done, and how far that is."""


@dataclass(frozen=True)
class Order:
    """What is to be made of which checkpoint; None leaves a thing to the checkpoint."""

    checkpoint: Path
    out: Path
    calibrate: Path | None = None
    """Folder of clips or crops; without it the graphs stay float32."""
    check: Path | None = None
    crops: int = 256
    readout: Readout | None = None
    frames: int | None = None
    rate: float | None = None
    group_factors: tuple[int, ...] | None = None
    name: str = ""
    version: str = "1"
    licence: str = "not stated"
    summary: str = ""
    about: str = ""
    """Markdown for the card: what it was trained on, what it cannot see."""
    replace: bool = False
    command: str = ""


@dataclass(frozen=True)
class _Plan:
    """A checkpoint's network, ready to be laid, and how it is used."""

    checkpoint: Own | Published
    kind: Literal["truelight", "published"]
    trunk: FoldedTrunk
    sequence: bytes
    input: Input
    window: Window
    readout: Readout

    @property
    def spec(self) -> CropSpec:
        crop = self.input.crop
        return CropSpec(self.input.side, crop.scale, crop.shift_x, crop.shift_y)


@dataclass(frozen=True)
class _Made:
    """The features graph as it ships."""

    features: bytes
    part: GraphsPart
    figures: Sequence[Figure]


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
    plan = _plan(order, load_checkpoint(order.checkpoint))
    made = _make_features(order, plan, tell)
    tell("golden vector", 0, 1)
    side, frames = plan.input.side, plan.window.frames
    files: dict[File, bytes] = {
        FEATURES: made.features,
        SEQUENCE: plan.sequence,
        GOLDEN: golden_vector(made.features, plan.sequence, side, frames),
    }
    manifest = Manifest(
        name=order.name or order.out.name,
        version=order.version,
        licence=order.licence,
        summary=order.summary or _summary(plan),
        input=plan.input,
        window=plan.window,
        kind=plan.kind,
        readout=plan.readout,
        graphs=made.part,
        figures=tuple(made.figures),
        files=dict.fromkeys(FILES, "0" * 64),
    )
    return _write(order.out, manifest, files, order.about)


def amend(
    path: Path,
    calibration: Calibration | None = None,
    thresholds: Thresholds | None = None,
    quality: QualityLimits | None = None,
    figures: Sequence[Figure] | None = None,
    about: str | None = None,
) -> Manifest:
    """Change what a bundle says of itself, and its card with it. Figures replace those of the same
    name and data.

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
    return _write(path, manifest, kept, said)


def _plan(order: Order, checkpoint: Own | Published) -> _Plan:
    if isinstance(checkpoint, Own):
        return _plan_own(order, checkpoint)
    frames = order.frames or checkpoint.frames
    if frames is None or order.readout is None:
        what = "--frames N" if frames is None else "--readout mean (or last)"
        raise TruelightError(
            f"{order.checkpoint} is a published checkpoint and does not say all: {what} is needed.",
            "Its training took the mean; the published programs take the last frame.",
        )
    crop = CropRule(scale=DLIB_BOX.scale, shift_x=DLIB_BOX.shift_x, shift_y=DLIB_BOX.shift_y)
    network = checkpoint.network
    return _Plan(
        checkpoint,
        "published",
        fold(network.trunk(), MEAN, STD, bgr=True),
        published_sequence(network, order.readout).SerializeToString(),
        Input(side=DLIB_BOX.side, colour="bgr", crop=crop),
        Window(frames=frames, rate=order.rate or PUBLISHED_RATE),
        order.readout,
    )


def _plan_own(order: Order, checkpoint: Own) -> _Plan:
    config, network = checkpoint.config, checkpoint.network
    if order.readout not in (None, config.readout):
        raise TruelightError(
            f"{order.checkpoint} was trained with the read-out {config.readout}.",
            "Leave --readout out.",
        )
    frames, rate = order.frames or config.window.frames, order.rate or config.window.rate
    return _Plan(
        checkpoint,
        "truelight",
        fold(network.trunk, MEAN, STD, bgr=False),
        own_sequence(network).SerializeToString(),
        Input(side=config.side, crop=config.crop),
        Window(frames=frames, rate=rate),
        config.readout,
    )


def _summary(plan: _Plan) -> str:
    return (
        "A ResNeXt50 and an LSTM, trained by Truelight."
        if plan.kind == "truelight"
        else "A published ResNeXt50 and LSTM checkpoint."
    )


def _make_features(order: Order, plan: _Plan, tell: Tell) -> _Made:
    """Lay the features graph, int8 if there is material to calibrate on, with its proofs."""
    side, frames = plan.input.side, plan.window.frames
    tell("proving the float graphs", 0, 1)
    exact = lay_features(plan.trunk, side).model.SerializeToString()
    float_graphs = Graphs(exact, plan.sequence)
    figures = [float_proof(plan.checkpoint, plan.readout, float_graphs, side, frames)]
    if order.calibrate is None:
        part = GraphsPart(quantization="float32")
        return _Made(exact, part, _signed(figures, order.command))
    material = _gather(order.calibrate, order, plan, tell)
    if len(material.crops) < CHOOSING:
        raise TruelightError(
            f"{order.calibrate} gives {len(material.crops)} crops.", "Some hundred are sensible."
        )
    tell("measuring how to merge groups", 0, 1)
    factors = order.group_factors or fastest_factors(plan.trunk, side)
    trunk = _regroup(plan.trunk, factors)
    tell("choosing the ranges of int8", 0, 1)
    choice = choose(trunk, side, material.crops, plan.sequence)
    quick = lay_features(trunk, side, choice.ranges).model.SerializeToString()
    tell("proving the int8 graph", 0, 1)
    proven = [material]
    if order.check is not None:
        proven.append(_gather(order.check, order, plan, tell))
    decision = Decision()
    for part_of in proven:
        figures += int8_proofs(
            float_graphs, Graphs(quick, plan.sequence), part_of, decision, frames
        )
    part = GraphsPart(
        group_factors=dict(zip(STAGES, factors, strict=True)),
        quantization=f"int8, weights by channel, activations by tensor ({choice.method})",
    )
    return _Made(quick, part, _signed(figures, order.command))


def _gather(folder: Path, order: Order, plan: _Plan, tell: Tell) -> Material:
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


def _signed(figures: Sequence[Figure], command: str) -> list[Figure]:
    return [figure.model_copy(update={"command": command}) for figure in figures]


def _write(
    out: Path, manifest: Manifest, files: Mapping[File, bytes], about: str
) -> Manifest:  # fmt: skip
    """Write a bundle beside `out`, load it as the box would, and put it in its place."""
    contents = {**files, CARD: card(manifest, about).encode()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    # Through JSON, so that what is written is checked as what is read.
    manifest = Manifest.model_validate(manifest.model_dump() | {"files": hashes})
    text = manifest.model_dump_json(indent=1) + "\n"
    try:
        with _replacing(out) as unfinished:
            for name, content in (*contents.items(), (MANIFEST, text.encode())):
                _write_file(unfinished / name, content)
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
