"""Labelled clips with their logits: what a calibration is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.finding import Verdict
from export.evaluate.records import Prediction
from export.metrics import Floats

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """One clip with a counted face: its label and the logits that models give it."""

    fake: bool
    source: str
    logits: tuple[float, ...]
    decided: Verdict | None = None
    """Set where another rule has already given REAL or FAKE, so that this one is not asked."""
    condition: str = ""
    """How the clip was shown; `error` is kept to under each condition by itself."""


def samples(predictions: Sequence[Prediction]) -> list[Sample]:
    """A sample for every clip that has a counted face."""
    return [
        Sample(p.fake, p.source, (p.logit,), condition=p.condition.compression)
        for p in predictions
        if p.logit is not None
    ]


class Table:
    """The samples as arrays."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.logits: Floats = np.array([s.logits for s in samples], dtype=np.float64)
        self.fakes: Flags = np.array([s.fake for s in samples])
        self.sources = np.array([s.source for s in samples])
        self.source_numbers = np.unique(self.sources, return_inverse=True)[1]
        self.decided = [s.decided for s in samples]
        self.open: Flags = np.array([s.decided is None for s in samples])
        self.conditions: dict[str, Flags] = {
            name: np.array([s.condition == name for s in samples])
            for name in dict.fromkeys(s.condition for s in samples)
        }

    def weights(self, part: Flags) -> Floats:
        """Zero outside `part`; in it every source weighs the same within a label, 1 in all."""
        weights = np.zeros(len(part))
        for fake in (False, True):
            members = part & (self.fakes == fake)
            clips = np.bincount(self.source_numbers[members])
            weights[members] = 1.0 / clips[self.source_numbers[members]] / np.count_nonzero(clips)
        return weights
