"""What is put on a CLIP encoder: layer norms and a linear head, in a file or from a bundle.

A head that `truelight-export heads` fitted comes with left-out heads. Clips that it learned from
cannot measure it; each of their sources names the head that saw nothing of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from edge.errors import TruelightError
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.manifest import FEATURES, SEQUENCE, TOWER
from export.clip.graph import Encoder, Tap, read_taps
from export.metrics import Floats
from export.train.checkpoint import save

FORMAT = "truelight-tuning-1"
NORM = re.compile(r"(layer_norm[12]|pre_layrnorm)\.(weight|bias)$")
TAPPED = re.compile(r"^tap\.(\d+)\.(\w+)$")

Norms = Mapping[str, NDArray[np.float32]]
"""By the name of the initializer that each replaces."""


@dataclass(frozen=True)
class LeftOutHeads:
    """Heads that learned from everything but one group of sources."""

    groups: Mapping[str, int]
    """By source: the head that saw nothing of its group."""
    weight: NDArray[np.float32]
    """`[k, D]`"""
    bias: NDArray[np.float32]
    """`[k]`"""

    def logit(self, source: str, features: Floats) -> float | None:
        """Of features `[D]`; None of a source that no head learned from."""
        if (row := self.groups.get(source)) is None:
            return None
        return float(features @ self.weight[row] + self.bias[row])


@dataclass(frozen=True)
class GeneratedHead:
    """A head that says whether a face was generated whole."""

    weight: NDArray[np.float32]
    bias: float
    fake_at: float
    """Logit from which a face is called FAKE."""
    real_at: float
    """Logit up to which it may be called REAL."""
    left_out: LeftOutHeads


@dataclass(frozen=True)
class Adapter:
    """Layer norms and a head on an encoder's features."""

    taps: tuple[Tap, ...]
    encoder: str  # SHA-256 of the encoder's file
    norms: dict[str, NDArray[np.float32]]  # by the name of the initializer that they replace
    weight: NDArray[np.float32]  # `[D]`: logit of FAKE = features @ weight + bias
    bias: float
    left_out: LeftOutHeads | None = None
    generated: GeneratedHead | None = None

    def placed(self, taps: tuple[Tap, ...]) -> NDArray[np.float32]:
        """The head's weight for the features of other taps, which must include its own.

        Raises TruelightError if one is missing.
        """
        if missing := [str(tap) for tap in self.taps if tap not in taps]:
            raise TruelightError(f"The features lack {', '.join(missing)}.", "Cache them too.")
        parts = self.weight.reshape(len(self.taps), -1)
        zero = np.zeros_like(parts[0])
        known = dict(zip(self.taps, parts, strict=True))
        return np.concatenate([known.get(tap, zero) for tap in taps])


def hash_of(norms: Norms) -> str:
    """What tells norms from others; empty for none."""
    digest = hashlib.sha256()
    for name in sorted(norms):
        digest.update(name.encode() + np.ascontiguousarray(norms[name], np.float32).tobytes())
    return digest.hexdigest() if norms else ""


def read_adapter(file: Path, encoder: Encoder) -> Adapter:
    """Read an adapter. Raises TruelightError if it is something else, or another encoder's."""
    try:
        kept = torch.load(file, weights_only=True, map_location="cpu")
        if kept["format"] != FORMAT:
            raise ValueError(f"its format is {kept['format']!r}")
        adapter = Adapter(
            read_taps(kept["taps"]),
            kept["tower"],
            {name: value.float().numpy() for name, value in kept["norms"].items()},
            kept["weight"].float().numpy(),
            float(kept["bias"]),
            _left_out(kept["left_out"]) if "left_out" in kept else None,
            _generated(kept["generated"]) if "generated" in kept else None,
        )
    except OSError as failure:
        raise TruelightError(f"{file} cannot be read: {failure.strerror}.") from None
    except Exception as failure:  # an untrusted file can make the loader raise anything
        raise TruelightError(
            f"{file} is not an adapter: {' '.join(str(failure).split())[:200]}",
            "Make one with truelight-export tune.",
        ) from None
    if adapter.encoder != encoder.sha256:
        raise TruelightError(
            f"{file} was tuned on another encoder.", "Name its encoder with --tower."
        )
    return adapter


def _left_out(kept: dict[str, Any]) -> LeftOutHeads:
    return LeftOutHeads(
        kept["groups"], kept["weight"].float().numpy(), kept["bias"].float().numpy()
    )


def _generated(kept: dict[str, Any]) -> GeneratedHead:
    return GeneratedHead(
        kept["weight"].float().numpy(),
        float(kept["bias"]),
        float(kept["fake_at"]),
        float(kept["real_at"]),
        _left_out(kept["left_out"]),
    )


def write_adapter(file: Path, adapter: Adapter, steps: int) -> None:
    """Write what `read_adapter` reads."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, object] = {
        "format": FORMAT,
        "taps": ",".join(map(str, adapter.taps)),
        "tower": adapter.encoder,
        "norms": {name: torch.from_numpy(norm.copy()) for name, norm in adapter.norms.items()},
        "weight": torch.from_numpy(adapter.weight),
        "bias": adapter.bias,
        "steps": steps,
    }
    if (heads := adapter.left_out) is not None:
        content["left_out"] = _stored(heads)
    if (head := adapter.generated) is not None:
        content["generated"] = {
            "weight": torch.from_numpy(head.weight),
            "bias": head.bias,
            "fake_at": head.fake_at,
            "real_at": head.real_at,
            "left_out": _stored(head.left_out),
        }
    save(file, content)


def _stored(heads: LeftOutHeads) -> dict[str, object]:
    return {
        "groups": dict(heads.groups),
        "weight": torch.from_numpy(heads.weight),
        "bias": torch.from_numpy(heads.bias),
    }


def bundle_adapter(folder: Path) -> Adapter:
    """The layer norms and the head of a bundle of the kind `tower`.

    Raises TruelightError if it is of another kind or has no linear head.
    """
    info = read_bundle(folder)
    if TOWER not in info.manifest.files:
        raise TruelightError(f"{folder} is no head on a CLIP encoder.")
    graph = onnx.load(str(folder / FEATURES), load_external_data=False).graph
    head = onnx.load(str(folder / SEQUENCE)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in head.initializer}
    taps = [TAPPED.match(name) for name in graph.node[-1].input]
    if not {"head.weight", "head.bias"} <= arrays.keys() or not all(taps):
        raise TruelightError(f"{folder} has no linear head.")
    norms = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if NORM.search(tensor.name) and tensor.data_location != onnx.TensorProto.EXTERNAL
    }
    return Adapter(
        read_taps(",".join(f"{tap[1]}:{tap[2]}" for tap in taps if tap)),
        info.manifest.files[TOWER],
        norms,
        arrays["head.weight"].ravel().astype(np.float32),
        float(arrays["head.bias"].ravel()[0]),
    )
