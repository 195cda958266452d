"""What shows that the exported graphs are the network: measured each time a bundle is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from edge.errors import TruelightError
from edge.finding import Thresholds, Verdict, verdict_of
from edge.scan.model.bundle import Crops, Sessions
from edge.scan.model.manifest import UNCALIBRATED, Calibration, MeasuredFigure
from export.convert.fold import Floats
from export.data.crops_from_clips import Material
from export.metrics import auc
from export.train.checkpoint import Own, Published
from export.train.network import Readout, normalise

PARITY = 1e-4
WINDOWS = 2


class ParityError(TruelightError):
    """The float graphs do not answer as the network does in torch."""


@dataclass(frozen=True)
class Decision:
    """What makes a verdict of a logit: as a bundle does that was not calibrated yet."""

    calibration: Calibration = field(default_factory=Calibration)
    thresholds: Thresholds = UNCALIBRATED

    def probabilities(self, logits: Floats) -> Floats:
        """Of FAKE."""
        lean = self.calibration.scale * logits + self.calibration.offset
        return np.asarray(1 / (1 + np.exp(-lean)), np.float32)

    def verdicts(self, probabilities: Floats) -> list[Verdict]:
        """As the box says them."""
        return [verdict_of(float(p), self.thresholds) for p in probabilities]


def float_proof(
    checkpoint: Own | Published, readout: Readout, graphs: Sessions, crops: Crops, frames: int
) -> MeasuredFigure:
    """The largest difference of a logit between torch and the float graphs, on windows of `crops`.

    Raises:
        ParityError: it is not under `PARITY`.
    """
    slots = np.resize(np.arange(len(crops)), (WINDOWS, frames))
    expected = np.array([_torch_logit(checkpoint, readout, crops[window]) for window in slots])
    got = graphs.sequence(graphs.features(crops)[slots])
    difference = float(np.abs(got - expected).max())
    if not difference < PARITY:
        raise ParityError(
            f"The graphs differ from the network by a logit of {difference:.2g}.",
            f"It must be under {PARITY:.0e}: this is a fault of the exporter, please report it.",
        )
    return MeasuredFigure(
        name="largest logit difference, ONNX float32 to PyTorch",
        value=difference,
        data=f"{WINDOWS} windows of {len(np.unique(slots))} crops",
    )


@torch.inference_mode()
def _torch_logit(checkpoint: Own | Published, readout: Readout, window: Crops) -> float:
    """The network's own answer to one window, uint8 `[T, side, side, 3]` RGB."""
    if isinstance(checkpoint, Own):
        return float(checkpoint.network(normalise(torch.from_numpy(window))[None])[0])
    planes = normalise(torch.from_numpy(window[..., ::-1].copy()))
    fake, real = checkpoint.network(planes[None], readout)[0]
    return float(fake - real)


def int8_proofs(
    exact: Sessions, quick: Sessions, material: Material, decision: Decision, frames: int
) -> list[MeasuredFigure]:
    """How the int8 graph's answers differ from the float graph's, every crop judged alone."""
    before, after = (
        decision.probabilities(_standing(graphs, material.crops, frames))
        for graphs in (exact, quick)
    )
    differences = np.abs(after - before)
    changed = sum(
        a is not b
        for a, b in zip(decision.verdicts(before), decision.verdicts(after), strict=True)
    )  # fmt: skip
    data = f"{len(material.crops)} crops of {material.name}"
    figures = [
        ("probability difference int8 to float32, mean", float(differences.mean())),
        ("probability difference int8 to float32, largest", float(differences.max())),
        ("verdicts that int8 changes, share", changed / len(differences)),
    ]
    if material.fakes is not None and 0 < sum(material.fakes) < len(material.fakes):
        figures += [
            ("AUC of crops, float32", auc(material.fakes, before)),
            ("AUC of crops, int8", auc(material.fakes, after)),
        ]
    return [MeasuredFigure(name=name, value=value, data=data) for name, value in figures]


def _standing(graphs: Sessions, crops: Crops, frames: int) -> Floats:
    """Logits of windows in which one crop stands still."""
    features = graphs.features(crops)
    parts: Sequence[Floats] = [
        graphs.sequence(np.repeat(features[at : at + 32, None], frames, axis=1))
        for at in range(0, len(features), 32)
    ]
    return np.concatenate(parts)
