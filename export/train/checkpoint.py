"""Reads and writes checkpoints of our network, and reads published ones.

Files are untrusted: torch loads weights only, and their keys and shapes must match the network's.
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

from edge.atomic_write import publish, unfinished_file
from edge.errors import TruelightError
from edge.scan.frames import CropSpec
from edge.scan.model.manifest import CropRule, Window
from export.train.network import LAYERS, WIDTH, Detector, PublishedNetwork, Readout

FORMAT = "truelight-checkpoint-1"
NAMED = 5
PUBLISHED_RATE = 30.0


class CheckpointError(TruelightError):
    """A checkpoint that cannot be exported."""


class Temporal(BaseModel):
    """The AUC of the LSTM and of the mean of single frames, on the same windows."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    on: str  # a description of the windows
    windows: int
    sources: int
    frame_mean_auc: float
    lstm_auc: float  # of the frames' mean plus the LSTM
    low: float
    high: float  # 95 % interval of the difference, by bootstrap over sources


class Config(BaseModel):
    """The configuration stored in our checkpoints."""

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
    """A published checkpoint; `frames` is taken from the file name, None if it has none."""

    network: PublishedNetwork
    frames: int | None


def load_checkpoint(file: Path) -> Own | Published:
    """Read a checkpoint of our format, or a published state dict of 322 keys.

    Raises CheckpointError if it is neither, or its keys or shapes differ from the network's.
    """
    content = _mapping(file, _read(file))
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
        raise CheckpointError(f"{file} is not a checkpoint: torch did not write it.")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as failure:
        if "global" in str(failure).lower():
            raise CheckpointError(
                f"{file} contains code, not only weights.",
                "Ask its author for the state dict alone.",
            ) from None
        raise CheckpointError(f"{file} is damaged.", "Download it again.") from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError):
        raise CheckpointError(f"{file} is damaged.", "Download it again.") from None


def _mapping(file: Path, content: object) -> Mapping[str, Any]:
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise CheckpointError(
            f"{file} has no state dict.", "Save it with torch.save(network.state_dict(), …)."
        )
    return content


def _own(file: Path, content: Mapping[str, Any]) -> Own:
    if content["format"] != FORMAT:
        raise CheckpointError(f"{file} has the format {content['format']!r}, not {FORMAT!r}.")
    try:
        config = Config.model_validate(content.get("config"))
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ".".join(str(part) for part in ("config", *error["loc"]))
        raise CheckpointError(f"{file} is misconfigured: {where}: {error['msg']}.") from None
    network = Detector(
        config.hidden,
        config.readout,
        gate=config.gate,
        layers=config.layers,
        width=config.width,
    )
    _fill(file, network, _mapping(file, content.get("model")))
    return Own(network, config)


def _fill(file: Path, network: torch.nn.Module, weights: Mapping[str, Any]) -> None:
    """Load weights of exactly the network's keys and shapes as float32; set evaluation mode."""
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in weights]
    unexpected = [key for key in weights if key not in wanted]
    if missing or unexpected:
        kinds = {"missing": missing, "unexpected": unexpected}
        complaints = [f"{len(ks)} keys are {k} ({_some(ks)})" for k, ks in kinds.items() if ks]
        remedy = "It must be the state dict of the network in docs/bundle.md."
        if unexpected and all(key.startswith("module.") for key in unexpected):
            remedy = "It was saved from DataParallel: save network.module.state_dict() instead."
        raise CheckpointError(f"{file} does not fit: {'; '.join(complaints)}.", remedy)
    for key, value in wanted.items():
        given = weights[key]
        if not isinstance(given, Tensor):
            raise CheckpointError(f"{file} does not fit: {key} is not a tensor.")
        if given.shape != value.shape:
            shapes = f"{list(given.shape)}, not {list(value.shape)}"
            raise CheckpointError(f"{file} does not fit: {key} has the shape {shapes}.")
        if not torch.isfinite(given.float()).all():
            raise CheckpointError(f"{file} is damaged: {key} has values that are not finite.")
    network.load_state_dict(dict(weights))
    network.eval()


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(keys[:NAMED]) + more


# Published networks were trained on dlib's HOG boxes (upsampled once) without a margin, at 112 px.
# This square replaces dlib's box, measured by
#     python benchmarks/dlib_box.py CLIPS
# on 351 frames of 93 clips of 34 sources: IoU with dlib's box, fitted on the other sources, median
# 0.844, mean 0.834, worst source 0.72. dlib's boxes come in steps of 20 % in size, so no mapping
# gets much closer.
DLIB_BOX = CropSpec(side=112, scale=0.962, shift_x=0.0, shift_y=-0.003)


def load_initial_weights(network: Detector, init: Path | None, start: Path | None) -> None:
    """Load torchvision's resnext50_32x4d ImageNet weights (`init`) or a checkpoint (`start`).

    Raises CheckpointError if the file is of another network.
    """
    if init is not None:
        weights = _mapping(init, _read(init))
        trunk = {key: value for key, value in weights.items() if not key.startswith("fc.")}
        _fill(init, network.trunk, trunk)
    elif start is not None:
        content = _mapping(start, _read(start))
        _fill(start, network, _mapping(start, content.get("model")))


def write_checkpoint(file: Path, network: Detector, config: Mapping[str, Any]) -> None:
    """Write a finished checkpoint, weights as bfloat16."""
    weights = {
        key: value.bfloat16().cpu() if value.is_floating_point() else value.cpu()
        for key, value in network.state_dict().items()
    }
    save(file, {"format": FORMAT, "config": dict(config), "model": weights})


def save(file: Path, content: Mapping[str, Any]) -> None:
    """Write a torch file atomically."""
    with unfinished_file(file) as half:
        torch.save(dict(content), half)
        publish(half, file)
