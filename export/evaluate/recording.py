"""A scanner that keeps the features by which its second model judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edge.scan.frames import Crops, Floats, Pixels
from edge.scan.model.bundle import Bundle
from edge.scan.model.second_opinion import FaceAnswers, SecondModel
from edge.scan.scanner import Scanner
from edge.settings import Settings


class RecordingScanner(Scanner):
    """Judges as its base does."""

    def __init__(self, settings: Settings) -> None:
        """As its base."""
        super().__init__(settings)
        self.clip = 0
        """Set before each clip: the key of its features."""
        self.features: dict[int, dict[int, Floats]] = {}
        """By clip and face, float32 `[crops, D]`."""
        if self._second is not None:
            self._second = _RecordingModel(self._second, settings, self._keep)

    def _keep(self, features: dict[int, Floats]) -> None:
        self.features[self.clip] = features


class _RecordingModel(SecondModel):
    def __init__(
        self, model: SecondModel, settings: Settings, keep: Callable[[dict[int, Floats]], None]
    ) -> None:
        super().__init__(model.info, settings)
        self._keep = keep
        self._batches: list[Floats] = []

    def answers(
        self, crops: Mapping[int, Sequence[Pixels]], report: Callable[[int], None]
    ) -> dict[int, FaceAnswers]:
        self._batches = []
        answers = super().answers(crops, report)
        rows = np.concatenate(self._batches)
        ends = np.cumsum([len(kept) for kept in crops.values()])[:-1]
        self._keep(dict(zip(crops, np.split(rows, ends), strict=True)))
        return answers

    def _features(self, bundle: Bundle, crops: Crops) -> Floats:
        self._batches.append(super()._features(bundle, crops))
        return self._batches[-1]
