"""What a checkpoint becomes: its network ready to be exported, and how that is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.errors import TruelightError
from edge.scan.frames import CropSpec
from edge.scan.model.manifest import CropRule, Input, MeasuredFigure, Window
from export.convert.fold import FoldedTrunk, fold
from export.convert.sequence_graph import own_sequence, published_sequence
from export.train.checkpoint import (
    DLIB_BOX,
    PUBLISHED_RATE,
    Config,
    Own,
    Published,
    load_checkpoint,
)
from export.train.network import MEAN, STD, Readout

SUMMARIES = {
    "truelight": "A ResNeXt50 and an LSTM over windows of crops, trained by Truelight.",
    "published": "A published ResNeXt50 and LSTM checkpoint, judging every frame by itself.",
}


@dataclass(frozen=True)
class BundleRequest:
    """A bundle to make; None leaves a value to the checkpoint."""

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
class Plan:
    """A checkpoint's network, ready to be exported, and how it is used."""

    checkpoint: Own | Published
    kind: Literal["truelight", "published"]
    trunk: FoldedTrunk
    sequence: bytes
    input: Input
    window: Window
    readout: Readout
    figures: tuple[MeasuredFigure, ...] = ()
    """What its training measured."""

    @property
    def spec(self) -> CropSpec:
        """How its crops are cut."""
        return self.input.crop_spec


def plan(request: BundleRequest) -> Plan:
    """Read the requested checkpoint.

    Raises TruelightError if it cannot be used or lacks something.
    """
    checkpoint = load_checkpoint(request.checkpoint)
    if isinstance(checkpoint, Own):
        return _own(request, checkpoint)
    return _published(request, checkpoint)


def _published(request: BundleRequest, checkpoint: Published) -> Plan:
    frames = request.frames or checkpoint.frames
    if frames is None or request.readout is None:
        what = "--frames N" if frames is None else "--readout mean (or last)"
        raise TruelightError(
            f"{request.checkpoint} is a published checkpoint, which needs {what}.",
            "Its training took the mean; the published programs take the last frame.",
        )
    crop = CropRule(scale=DLIB_BOX.scale, shift_x=DLIB_BOX.shift_x, shift_y=DLIB_BOX.shift_y)
    network = checkpoint.network
    return Plan(
        checkpoint,
        "published",
        fold(network.trunk(), MEAN, STD, bgr=True),
        published_sequence(network, request.readout).SerializeToString(),
        Input(side=DLIB_BOX.side, colour="bgr", crop=crop),
        Window(frames=frames, rate=request.rate or PUBLISHED_RATE),
        request.readout,
    )


def _own(request: BundleRequest, checkpoint: Own) -> Plan:
    config, network = checkpoint.config, checkpoint.network
    if request.readout not in (None, config.readout):
        raise TruelightError(
            f"{request.checkpoint} was trained with the read-out {config.readout}.",
            "Omit --readout.",
        )
    frames, rate = request.frames or config.window.frames, request.rate or config.window.rate
    return Plan(
        checkpoint,
        "truelight",
        fold(network.trunk, MEAN, STD, bgr=False),
        own_sequence(network).SerializeToString(),
        Input(side=config.side, crop=config.crop),
        Window(frames=frames, rate=rate),
        config.readout,
        _temporal(config),
    )


def _temporal(config: Config) -> tuple[MeasuredFigure, ...]:
    """What the LSTM does beside the mean of single frames, as figures."""
    if config.temporal is None or config.gate is None:
        return ()
    t = config.temporal
    data = f"{t.windows} windows of {t.sources} sources: {t.on}"
    gain = t.lstm_auc - t.frame_mean_auc
    gate = "gate of the LSTM" if config.gate else "gate of the LSTM (0: it does nothing)"
    return (
        MeasuredFigure(
            name="AUC of windows, mean of the frames", value=t.frame_mean_auc, data=data
        ),
        MeasuredFigure(name="AUC of windows, with the LSTM", value=t.lstm_auc, data=data),
        MeasuredFigure(name="gain by the LSTM, AUC", value=gain, low=t.low, high=t.high, data=data),
        MeasuredFigure(name=gate, value=config.gate, data=data),
    )
