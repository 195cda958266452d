"""Training the trunk and its frame head: from folders of crops to a checkpoint."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edge.errors import TruelightError
from export.metrics import auc
from export.network import Detector, normalise
from export.training.augment import PLAIN
from export.training.batches import Batches, Mix, Phase
from export.training.data import Picture


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is trained, besides the pictures."""

    phases: tuple[Phase, ...] = (Phase(64, 1600, 64, 2e-3), Phase(96, 400, 48, 1.2e-3))
    mix: Mix = field(default_factory=Mix)
    seed: int = 0
    warm_up: int = 50  # steps, at the start of each phase
    weight_decay: float = 0.02
    smoothing: float = 0.05  # of the labels: some DFDC fakes show the face that was not swapped
    ema: float = 0.995  # decay of the averaged weights a step; those are what is kept
    validation: float = 0.06  # share of the sources


@dataclass(frozen=True)
class Moment:
    """What is known at a validation: a row of the curve."""

    step: int
    steps: int
    minutes: float
    minutes_left: float
    side: int
    rate: float
    loss: float
    aucs: dict[str, float]  # by name of the validation set


class Training:
    """A run in a folder: `last.pt` to resume from, `best.pt`, `curve.csv`."""

    def __init__(
        self,
        folder: Path,
        network: Detector,
        recipe: Recipe,
        batches: Batches,
        validation: Mapping[str, Sequence[Picture]],
        config: dict[str, Any],
        threads: int = 0,
    ) -> None:
        """Begin, or go on where the folder's last.pt stands.

        The first validation set chooses the best checkpoint; the others are only watched.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if threads:
            torch.set_num_threads(threads)
        self._folder = folder
        self._recipe = recipe
        self._batches = batches
        self._validation = validation
        self._config = config
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = network.to(self._device)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._averaged = copy.deepcopy(self._network).eval()
        self._optimiser = torch.optim.AdamW(_groups(self._network, recipe.weight_decay))
        self._step = 0
        self._best = -1.0
        self._seconds = 0.0
        self._resume()

    def run(
        self, every: int, show: Callable[[Moment], None], tick: Callable[[int, float], None]
    ) -> Path:
        """Train to the end; validate and save every so many steps. Gives the best checkpoint."""
        batches = DataLoader(
            self._batches,
            batch_size=None,
            sampler=range(self._step, len(self._batches)),
            num_workers=1,
            prefetch_factor=4,
        )
        losses: list[float] = []
        began_at, before, began = self._step, self._seconds, time.monotonic()
        for crops, labels in batches:
            losses.append(self._learn(crops, labels))
            self._step += 1
            self._seconds = before + time.monotonic() - began
            tick(self._step, losses[-1])
            if self._step % every == 0 or self._step == len(self._batches):
                pace = (self._seconds - before) / (self._step - began_at)
                show(self._take_stock(float(np.mean(losses)), pace))
                losses.clear()
        return self._folder / "best.pt"

    def _learn(self, crops: Tensor, labels: Tensor) -> float:
        rate = self._rate()
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        smooth = labels * (1 - self._recipe.smoothing) + self._recipe.smoothing / 2
        self._network.train()
        with torch.autocast(self._device.type, torch.bfloat16, enabled=_bf16_is_fast()):
            logits = self._frame_logits(self._network, crops)
            loss = nn.functional.binary_cross_entropy_with_logits(
                logits.float(), smooth.to(self._device)
            )
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimiser.step()
        self._average()
        return float(loss.detach())

    def _frame_logits(self, network: Detector, crops: Tensor) -> Tensor:
        x = normalise(crops.to(self._device)).contiguous(memory_format=torch.channels_last)
        return network.frame_logits(network.frame_features(x))

    def _rate(self) -> float:
        """Linear warm-up and cosine decay, anew in each phase."""
        phase, step = self._batches.phase(self._step)
        warm = min(1.0, (step + 1) / self._recipe.warm_up)
        return phase.rate * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * step / phase.steps)) / 2)

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self._recipe.ema, (1 + self._step) / (10 + self._step))
        ours, theirs = self._averaged.state_dict(), self._network.state_dict()
        for key, value in ours.items():
            if value.is_floating_point():
                value.lerp_(theirs[key], 1 - decay)
            else:
                value.copy_(theirs[key])

    def _take_stock(self, loss: float, pace: float) -> Moment:
        side = self._batches.phase(self._step - 1)[0].side
        aucs = {name: self._score(p, side) for name, p in self._validation.items()}
        moment = Moment(
            step=self._step,
            steps=len(self._batches),
            minutes=self._seconds / 60,
            minutes_left=pace * (len(self._batches) - self._step) / 60,
            side=side,
            rate=self._rate() if self._step < len(self._batches) else 0.0,
            loss=loss,
            aucs=aucs,
        )
        _append(self._folder / "curve.csv", moment)
        first = next(iter(aucs.values()))
        # A larger picture begins a new contest: its scores are those of the network to be shipped.
        final = side == max(phase.side for phase in self._recipe.phases)
        if final and first > self._best:
            self._best = first
            _save(self._folder / "best.pt", self._kept() | {"auc": aucs, "step": self._step})
        _save(
            self._folder / "last.pt",
            self._kept()
            | {
                "network": self._network.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "recipe": asdict(self._recipe),
                "step": self._step,
                "best": self._best,
                "seconds": self._seconds,
            },
        )
        return moment

    def _kept(self) -> dict[str, Any]:
        return {
            "format": "truelight-checkpoint-1",
            "config": self._config,
            "model": self._averaged.state_dict(),
        }

    @torch.inference_mode()
    def _score(self, pictures: Sequence[Picture], side: int) -> float:
        scores: list[Tensor] = []
        for at in range(0, len(pictures), 64):
            part = pictures[at : at + 64]
            crops = np.stack([PLAIN.apply(p.read(), p.margin, side) for p in part])
            scores.append(self._frame_logits(self._averaged, torch.from_numpy(crops)).cpu())
        return auc([p.fake for p in pictures], torch.cat(scores).numpy())

    def _resume(self) -> None:
        last = self._folder / "last.pt"
        if not last.is_file():
            return
        kept = torch.load(last, weights_only=True, map_location=self._device)
        if kept["recipe"] != asdict(self._recipe):
            raise TruelightError(
                f"{self._folder} holds a run with another recipe.",
                "Name another folder with --out, or remove it to begin anew.",
            )
        self._network.load_state_dict(kept["network"])
        self._averaged.load_state_dict(kept["model"])
        self._optimiser.load_state_dict(kept["optimiser"])
        self._step, self._best, self._seconds = kept["step"], kept["best"], kept["seconds"]


def _bf16_is_fast() -> bool:
    """bf16 pays where the processor multiplies it: without, it is some ten times slower."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())  # has no public name


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Norms and biases are not decayed."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    kept = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0}]


def _save(path: Path, what: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".part")
    torch.save(what, unfinished)
    unfinished.replace(path)


def _append(curve: Path, moment: Moment) -> None:
    row = asdict(moment)
    row |= {f"auc {name}": value for name, value in row.pop("aucs").items()}
    new = not curve.exists()
    with curve.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, list(row))
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
