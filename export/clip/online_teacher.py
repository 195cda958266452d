"""Learning from a tuned tower that sees every batch: what it says of each picture is the target.

It sees what the student sees, whatever was done to the picture, only larger. That costs more than
features that were cached once, and gives no picture twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from export.clip.adapter import Tuned
from export.clip.graph import Tower
from export.clip.vit import Vit
from export.train.batches import Batch
from export.train.distillation import Targets
from export.train.validation import best_device, bf16_is_fast


class Tutor:
    """A tuned tower and what its answers to a run's pictures are like."""

    def __init__(self, tower: Tower, tuned: Tuned) -> None:
        """Take the tower's weights and what was tuned of it, to the best device.

        Raises TruelightError if the norms are of other layers.
        """
        device = best_device()
        vit = Vit(tower, tuned.taps, torch.bfloat16 if bf16_is_fast() else torch.float32)
        vit.load_norms({name: torch.from_numpy(norm) for name, norm in tuned.norms.items()})
        self._vit = vit.to(device)
        self._weight = torch.from_numpy(tuned.weight).to(device)
        self._bias = tuned.bias
        self.side, self.width = vit.side, vit.width
        digest = hashlib.sha256(tuned.tower.encode())
        for part in (*tuned.norms.values(), tuned.weight):
            digest.update(part.tobytes())
        self.name = digest.hexdigest()
        self.scale: dict[str, Tensor] = {}
        """Mean and spread of the features [D], and spread of the logit; empty until measured."""

    def measure(self, batches: Iterable[Batch]) -> None:
        """Look at some batches, for answers to be standardised."""
        features = features_of(self._vit, batches)
        logits = features @ self._weight + self._bias
        self.scale = {
            "mean": features.mean(0),
            "spread": features.std(0) + 1e-6,
            "logit": logits.std() + 1e-6,
        }

    @torch.no_grad()
    def about(self, crops: Tensor) -> Targets:
        """What is to be learned of crops, uint8 [n, side, side, 3] of the tutor's side.

        The logit keeps its zero: on either side of it lies another answer.
        """
        with torch.autocast(self._weight.device.type, enabled=False):
            features = self._vit(crops.to(self._weight.device))
            logits = features @ self._weight + self._bias
        standard = (features - self.scale["mean"]) / self.scale["spread"]
        return Targets(standard, logits / self.scale["logit"])


@torch.no_grad()
def features_of(
    vit: Vit, batches: Iterable[Batch], told: Callable[[int], None] = lambda _: None
) -> Tensor:
    """float32 [n, D] of all crops of the batches, where the tower is; `told` how many are done."""
    found: list[Tensor] = []
    for batch in batches:
        found.append(vit(batch.crops.to(vit.mean.device)))
        told(len(found))
    return torch.cat(found)
