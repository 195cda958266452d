"""A tuned tower: layer norms of another maker's transformer and our linear head, in a file.

Its weights stay as their maker ships them. What `truelight-export tune` learned is small: of each
layer norm a scale and an offset, and the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge.errors import TruelightError
from export.clip.graph import Tap, Tower, read_taps

FORMAT = "truelight-tuning-1"

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tuned:
    """What was learned on top of a tower."""

    taps: tuple[Tap, ...]
    tower: str
    """SHA-256 of the tower's file."""
    norms: dict[str, Floats]
    """By the name of the initializer that it takes the place of."""
    weight: Floats
    """`[D]`: logit of FAKE = features @ weight + bias."""
    bias: float


def read_tuned(file: Path, tower: Tower) -> Tuned:
    """Read what was tuned of this tower.

    Raises TruelightError if the file is something else, or another tower's.
    """
    try:
        kept = torch.load(file, weights_only=True, map_location="cpu")
        if kept["format"] != FORMAT:
            raise ValueError(f"it says {kept['format']!r}")
        tuned = Tuned(
            read_taps(kept["taps"]),
            kept["tower"],
            {name: value.float().numpy() for name, value in kept["norms"].items()},
            kept["weight"].float().numpy(),
            float(kept["bias"]),
        )
    except OSError as failure:
        raise TruelightError(f"{file} cannot be read: {failure.strerror}.") from None
    except Exception as failure:  # whatever a foreign file makes of the loader
        raise TruelightError(
            f"{file} is no tuned tower: {' '.join(str(failure).split())[:200]}",
            "Make one with truelight-export tune.",
        ) from None
    if tuned.tower != tower.sha256:
        raise TruelightError(f"{file} was tuned on another tower.", "Name its tower by --tower.")
    return tuned
