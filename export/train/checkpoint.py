"""Trained checkpoints: which are taken, and why the others are refused.

Nothing in a file is ever run: torch reads weights only, and what it reads must have exactly the
keys and shapes of the network it claims to be.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from edge.errors import TruelightError
from edge.scan.faces.crops import CropSpec
from edge.scan.model.manifest import CropRule, Window
from export.train.network import LAYERS, WIDTH, Detector, PublishedNetwork, Readout

FORMAT = "truelight-checkpoint-1"
NAMED = 5
PUBLISHED_SIDE = 112
PUBLISHED_RATE = 30.0


class CheckpointError(TruelightError):
    """A checkpoint that cannot be exported."""


class Temporal(BaseModel):
    """What the LSTM adds to the mean of single frames, measured on the same windows."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    on: str
    """The windows: what they are, of what."""
    windows: int
    sources: int
    frame_mean_auc: float
    lstm_auc: float
    """Of the frames' mean and the LSTM together."""
    low: float
    high: float
    """95 % interval of the difference of the two, drawn by source."""


class Config(BaseModel):
    """What our own checkpoints say of themselves beside the weights."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    side: int = Field(ge=32, le=512)
    crop: CropRule
    window: Window = Window(frames=16, rate=8.0)
    hidden: int = Field(ge=1, le=4096)
    readout: Readout
    gate: float | None = None
    temporal: Temporal | None = None
    layers: tuple[int, int, int, int] = LAYERS
    width: int = Field(default=WIDTH, ge=8, le=256, multiple_of=8)


@dataclass(frozen=True)
class Own:
    """A checkpoint of our own network."""

    network: Detector
    config: Config


@dataclass(frozen=True)
class Published:
    """A published checkpoint; `frames` is what its file name says, None if it does not."""

    network: PublishedNetwork
    frames: int | None


def load_checkpoint(file: Path) -> Own | Published:
    """Read a checkpoint of our own format, or a published state dict of 322 keys.

    Raises:
        CheckpointError: it is neither, or lacks keys, or has foreign ones, or other shapes.
    """
    content = _read(file)
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise CheckpointError(
            f"{file} holds no state dict.", "Save it with torch.save(network.state_dict(), …)."
        )
    if "format" in content:
        return _own(file, content)
    published = PublishedNetwork()
    _fill(file, published, content)
    return Published(published, frames_of(file.name))


def frames_of(name: str) -> int | None:
    """The number of frames in a published file's name: its fourth token between underscores."""
    tokens = name.split("_")
    return int(tokens[3]) if len(tokens) > 3 and tokens[3].isdecimal() else None


def _read(file: Path) -> Any:  # noqa: ANN401 a pickle may hold anything
    try:
        with file.open("rb") as opened:
            head = opened.read(4)
    except OSError as failure:
        raise CheckpointError(f"{file} cannot be read: {failure.strerror}.") from None
    if not head:
        raise CheckpointError(f"{file} is empty.")
    if head[:2] != b"PK" and head[:1] != b"\x80":
        raise CheckpointError(f"{file} is no checkpoint: torch did not write it.")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as failure:
        if "global" in str(failure).lower():
            raise CheckpointError(
                f"{file} holds more than weights: reading it would run its code.",
                "Ask its maker for the state dict alone.",
            ) from None
        raise CheckpointError(f"{file} is damaged.", "Fetch it again.") from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError):
        raise CheckpointError(f"{file} is damaged.", "Fetch it again.") from None


def _own(file: Path, content: Mapping[str, Any]) -> Own:
    if content["format"] != FORMAT:
        raise CheckpointError(f"{file} is of the format {content['format']!r}, not {FORMAT!r}.")
    try:
        config = Config.model_validate(content.get("config"))
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ".".join(str(part) for part in ("config", *error["loc"]))
        raise CheckpointError(f"{file} is not right: {where}: {error['msg']}.") from None
    weights = content.get("model")
    if not isinstance(weights, Mapping):
        raise CheckpointError(f"{file} has no weights under 'model'.")
    network = Detector(
        config.hidden,
        config.readout,
        gate=config.gate,
        layers=config.layers,
        width=config.width,
    )
    _fill(file, network, weights)
    return Own(network, config)


def _fill(file: Path, network: torch.nn.Module, weights: Mapping[str, Any]) -> None:
    """Load weights that fit exactly, in float32 whatever they were; leave the network judging."""
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in weights]
    foreign = [key for key in weights if key not in wanted]
    if missing or foreign:
        complaints = [
            f"{len(keys)} keys are {kind} ({_some(keys)})"
            for kind, keys in (("missing", missing), ("foreign", foreign))
            if keys
        ]
        remedy = "It must be the state dict of the network that docs/bundle.md describes."
        if foreign and all(key.startswith("module.") for key in foreign):
            remedy = "It was saved from DataParallel: save network.module.state_dict() instead."
        raise CheckpointError(f"{file} does not fit: {'; '.join(complaints)}.", remedy)
    for key, value in wanted.items():
        given = weights[key]
        if not isinstance(given, Tensor):
            raise CheckpointError(f"{file} does not fit: {key} is no tensor.")
        if given.shape != value.shape:
            shapes = f"{list(given.shape)}, not {list(value.shape)}"
            raise CheckpointError(f"{file} does not fit: {key} has the shape {shapes}.")
        if not torch.isfinite(given.float()).all():
            raise CheckpointError(f"{file} is spoilt: {key} holds numbers that are not finite.")
    network.load_state_dict(dict(weights))
    network.eval()


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(keys[:NAMED]) + more


# They were trained on dlib's boxes without a margin, at 112 pixels. The square that stands in for
# dlib's HOG box (upsampled once), measured by
#     python benchmarks/dlib_box.py CLIPS
# on 351 frames of 93 clips of 34 sources: IoU with dlib's box, each source judged by a fit that
# did not see it, median 0.844 and mean 0.834 over frames, worst source 0.72. dlib's boxes come in
# steps of a fifth in size, so nearer than that no mapping gets.
DLIB_BOX = CropSpec(side=112, scale=0.962, shift_x=0.0, shift_y=-0.003)
