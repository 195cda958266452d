"""Training the trunk and its frame head: from folders of crops to a checkpoint."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge.errors import TruelightError
from export.data.folders import Material, Picture
from export.train import curve
from export.train.batches import Batch, Batches, Mix, Phase
from export.train.checkpoint import FORMAT
from export.train.curve import Moment
from export.train.distillation import LABEL, MEASURED, Losses, OnlineTeacher, Teacher, losses
from export.train.network import Detector, normalise
from export.train.validation import best_device, bf16_is_fast, judged, loaded, save


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


class Training:
    """A run in a folder: `last.pt` to resume from, `best.pt`, `curve.csv` and `curve.png`."""

    def __init__(
        self,
        folder: Path,
        network: Detector,
        recipe: Recipe,
        material: Material,
        validation: Mapping[str, Sequence[Picture]],
        config: dict[str, Any],
        teacher: Teacher | None = None,
        tutor: OnlineTeacher | None = None,
    ) -> None:
        """Begin, or go on where the folder's last.pt stands.

        The first validation set chooses the best checkpoint; the others are only watched.

        Raises:
            TruelightError: a phase is of a teacher or tutor that is not there, or both are; or the
                folder holds another recipe's run, or one with other pictures or another tutor.
        """
        _check(recipe.phases, teacher, tutor)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._recipe = recipe
        self._tutor_side = tutor.side if tutor else 0
        self._batches = Batches(material, recipe.phases, recipe.mix, recipe.seed, self._tutor_side)
        self._material = material
        self._origins = {
            "recipe": asdict(recipe),
            "material": material.fingerprint(),
            "tutor": tutor.name if tutor else "",
        }
        self._validation = validation
        self._config = config
        self._teacher = teacher
        self._device = best_device()
        self._tutor = tutor
        torch.backends.cudnn.deterministic = True
        network = network.to(self._device)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._averaged = copy.deepcopy(self._network).eval()
        torch.manual_seed(recipe.seed)
        master = teacher or tutor
        guess = nn.Linear(network.trunk.features, master.width) if master else nn.Identity()
        self._guess = guess.to(self._device)  # the teacher's features, of ours
        self._optimiser = torch.optim.AdamW(
            _groups([self._network, self._guess], recipe.weight_decay)
        )
        self._step = 0
        self._best = -1.0
        self._seconds = 0.0
        self._resume()

    def __len__(self) -> int:
        return len(self._batches)

    def run(
        self,
        every: int,
        show: Callable[[Moment], None],
        tick: Callable[[int, float], None],
        workers: int | None = None,
    ) -> Path:
        """Train to the end; validate and save every so many steps. Gives the best checkpoint."""
        if self._tutor and not self._tutor.scale:
            self._tutor.measure(loaded(self._sample(), 0, workers))
        batches = loaded(self._batches, self._step, workers)
        learned: list[dict[str, float]] = []
        began_at, before, began = self._step, self._seconds, time.monotonic()
        for batch in batches:
            learned.append(self._learn(batch))
            self._step += 1
            self._seconds = before + time.monotonic() - began
            tick(self._step, learned[-1]["loss"])
            if self._step % every == 0 or self._step == len(self._batches):
                pace = (self._seconds - before) / (self._step - began_at)
                show(self._take_stock(_means(learned), pace))
                learned.clear()
        return self._folder / "best.pt"

    def _learn(self, batch: Batch) -> dict[str, float]:
        phase, _ = self._batches.phase(self._step)
        rate = self._rate()
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._network.train()
        labels = batch.labels * (1 - self._recipe.smoothing) + self._recipe.smoothing / 2
        with torch.autocast(self._device.type, torch.bfloat16, enabled=bf16_is_fast()):
            crops = batch.crops.to(self._device)
            features = self._network.frame_features(_ready(brought(crops, phase.side)))
            logits = self._network.frame_logits(features).float()
            parts = self._losses(batch, features, logits, labels.to(self._device))
        loss = parts.total()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(
            [p for group in self._optimiser.param_groups for p in group["params"]], 1.0
        )
        self._optimiser.step()
        self._average()
        return {"loss": float(loss.detach()), **parts.values()}

    def _losses(self, batch: Batch, features: Tensor, logits: Tensor, labels: Tensor) -> Losses:
        phase, step = self._batches.phase(self._step)
        if phase.kind == "tutor" and self._tutor:
            said, rows = self._tutor.about(batch.crops), torch.arange(len(labels))
            weight = LABEL + (1 - LABEL) * step / phase.steps
        elif phase.kind == "distil" and self._teacher:
            said, rows, weight = self._teacher, batch.rows, LABEL
        else:
            label = nn.functional.binary_cross_entropy_with_logits(logits, labels)
            return Losses(None, None, label)
        rows = rows.to(self._device)
        return losses(said, self._guess(features), logits, labels, rows, weight)

    def _sample(self) -> Batches:
        """Batches like those of the tutor's phase, but none of them."""
        tutors = [phase for phase in self._recipe.phases if phase.kind == "tutor"]
        phases = [replace(phase, steps=MEASURED) for phase in tutors[:1]]
        recipe, side = self._recipe, self._tutor_side
        return Batches(self._material, phases, recipe.mix, recipe.seed + 1, side)

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

    def _take_stock(self, learned: dict[str, float], pace: float) -> Moment:
        phase, _ = self._batches.phase(self._step - 1)
        scores = {name: judged(p, phase.side, self._ask) for name, p in self._validation.items()}
        moment = Moment(
            step=self._step,
            steps=len(self._batches),
            minutes=self._seconds / 60,
            minutes_left=pace * (len(self._batches) - self._step) / 60,
            kind=phase.kind,
            side=phase.side,
            rate=self._rate() if self._step < len(self._batches) else 0.0,
            losses=learned,
            scores=scores,
        )
        first = next(iter(scores.values())).auc
        # A larger picture begins a new contest: its scores are those of the network to be shipped.
        final = phase.side == max(phase.side for phase in self._recipe.phases)
        if final and not first <= self._best:
            self._best = first
            save(self._folder / "best.pt", self._kept())
        save(self._folder / "last.pt", self._kept() | self._state())
        curve.append(self._folder / "curve.csv", moment)
        return moment

    @torch.inference_mode()
    def _ask(self, crops: Tensor) -> Tensor:
        features = self._averaged.frame_features(_ready(crops.to(self._device)))
        logits: Tensor = self._averaged.frame_logits(features)
        return logits

    def _kept(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "config": self._config,
            "model": self._averaged.state_dict(),
            "step": self._step,
        }

    def _state(self) -> dict[str, Any]:
        return {
            "network": self._network.state_dict(),
            "guess": self._guess.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scale": self._tutor.scale if self._tutor else {},
            **self._origins,
            "best": self._best,
            "seconds": self._seconds,
        }

    def _resume(self) -> None:
        last = self._folder / "last.pt"
        if not last.is_file():
            return
        kept = torch.load(last, weights_only=True, map_location=self._device)
        for what, ours in self._origins.items():
            if kept.get(what) != ours:
                raise TruelightError(
                    f"{self._folder} holds a run with another {what}.",
                    "Name another folder with --out, or remove it to begin anew.",
                )
        self._network.load_state_dict(kept["network"])
        self._guess.load_state_dict(kept["guess"])
        self._averaged.load_state_dict(kept["model"])
        self._optimiser.load_state_dict(kept["optimiser"])
        if self._tutor:
            self._tutor.scale = kept["scale"]
        self._step, self._best, self._seconds = kept["step"], kept["best"], kept["seconds"]
        curve.trim(self._folder / "curve.csv", self._step)


def _ready(crops: Tensor) -> Tensor:
    """What the network is given of uint8 crops."""
    return normalise(crops).contiguous(memory_format=torch.channels_last)


def _check(phases: Sequence[Phase], teacher: Teacher | None, tutor: OnlineTeacher | None) -> None:
    """Whoever a phase is to learn from must be there; there is one guess of features to learn."""
    if teacher and tutor:
        raise TruelightError("There are a teacher and a tutor.", "Name one of them.")
    kinds = {phase.kind for phase in phases}
    if "distil" in kinds and not teacher:
        raise TruelightError(
            "There is no teacher to learn from.", "Name its features by --teacher."
        )
    if "tutor" in kinds and not tutor:
        raise TruelightError("There is no tutor to learn from.", "Name what was tuned by --tutor.")


def _groups(networks: Sequence[nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    """Norms and biases are not decayed."""
    parameters = [p for network in networks for p in network.parameters()]
    decayed = [p for p in parameters if p.ndim > 1]
    kept = [p for p in parameters if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0}]


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each part over the steps that had it; NaN where none had."""
    means = {}
    for name in rows[0]:
        known = [row[name] for row in rows if not math.isnan(row[name])]
        means[name] = float(np.mean(known)) if known else math.nan
    return means


def brought(crops: Tensor, side: int) -> Tensor:
    """Crops uint8 [n, s, s, 3] at another side, each pixel the mean of what it covers."""
    if crops.shape[1] == side:
        return crops
    planes = crops.permute(0, 3, 1, 2).float()
    smaller = nn.functional.interpolate(planes, (side, side), mode="area")
    return smaller.round().to(torch.uint8).permute(0, 2, 3, 1)
