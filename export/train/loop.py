"""Trains the trunk and its frame head: from folders of crops to a checkpoint."""

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
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from edge.errors import TruelightError
from export.data.folders import Example, TrainingData
from export.train.batches import Batch, Batches, Mix, Phase, load_batches
from export.train.checkpoint import FORMAT, save
from export.train.distillation import (
    MEASURED_BATCHES,
    Losses,
    TargetSource,
    losses,
)
from export.train.network import (
    Detector,
    area_resize,
    best_device,
    bf16_is_fast,
    normalise,
)
from export.train.validation import LogEntry, append_entry, trim, validate

MISSING = {"features": "cached features", "online_teacher": "an online teacher"}
"""What a phase of a kind needs; the kind is its key in the recipe."""


@dataclass(frozen=True)
class Recipe:
    """Everything besides the images that determines the result."""

    phases: tuple[Phase, ...] = (Phase(64, 1600, 64, 2e-3), Phase(96, 400, 48, 1.2e-3))
    mix: Mix = field(default_factory=Mix)
    seed: int = 0
    warm_up: int = 50  # steps at the start of each phase
    weight_decay: float = 0.02
    smoothing: float = 0.05  # of the labels: some DFDC fakes show the face that was not swapped
    ema: float = 0.995  # decay per step of the averaged weights, which are the result
    validation: float = 0.06  # share of the sources that is held out


class Training:
    """A run in a folder: `last.pt` to resume from, `best.pt`, `curve.csv` and `curve.png`."""

    def __init__(
        self,
        folder: Path,
        network: Detector,
        recipe: Recipe,
        data: TrainingData,
        validation: Mapping[str, Sequence[Example]],
        config: dict[str, Any],
        teacher: TargetSource | None = None,
    ) -> None:
        """Start a run, or resume from the folder's last.pt.

        The first validation set chooses the best checkpoint; the others are only measured.
        Raises TruelightError if a phase lacks its teacher, or the folder holds a run with another
        recipe, other data or another online teacher.
        """
        self._teacher = teacher or TargetSource()
        self._labels = TargetSource()
        for phase in recipe.phases:
            if phase.kind not in ("labels", self._teacher.kind):
                remedy = f"Add `{phase.kind}` to the recipe."
                raise TruelightError(f"A phase needs {MISSING[phase.kind]}.", remedy)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._recipe = recipe
        self._data = data
        self._batches = self._batches_of(recipe.phases, recipe.seed)
        self._origin = {
            "recipe": asdict(recipe),
            "material": data.fingerprint(),
            "online_teacher": self._teacher.name,
        }
        self._validation = validation
        self._config = config
        self._device = best_device()
        torch.backends.cudnn.deterministic = True
        network = network.to(self._device)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._averaged = copy.deepcopy(self._network).eval()
        torch.manual_seed(recipe.seed)
        width = self._teacher.width
        guess = nn.Linear(network.trunk.features, width) if width else nn.Identity()
        self._guess = guess.to(self._device)  # predicts the teacher's features from ours
        self._optimiser = torch.optim.AdamW(
            _parameter_groups([self._network, self._guess], recipe.weight_decay), lr=1.0
        )
        self._step = 0
        self._best = -1.0
        self._seconds = 0.0
        self._resume()
        for group in self._optimiser.param_groups:
            group["initial_lr"] = 1.0  # the schedule gives absolute rates
        self._schedule = LambdaLR(self._optimiser, self._rate, last_epoch=self._step - 1)

    def __len__(self) -> int:
        return len(self._batches)

    def run(
        self,
        every: int,
        show: Callable[[LogEntry], None],
        tick: Callable[[int, float], None],
        workers: int | None = None,
    ) -> Path:
        """Train to the end; validate and save every `every` steps. Returns the best checkpoint."""
        self._teacher.prepare(lambda: self._sample(workers))
        means: list[dict[str, float]] = []
        first_step, before, began = self._step, self._seconds, time.monotonic()
        for batch in load_batches(self._batches, self._step, workers):
            means.append(self._train_step(batch))
            self._step += 1
            self._seconds = before + time.monotonic() - began
            tick(self._step, means[-1]["loss"])
            if self._step % every == 0 or self._step == len(self._batches):
                pace = (self._seconds - before) / (self._step - first_step)
                show(self._validate(_means(means), pace))
                means.clear()
        return self._folder / "best.pt"

    def _batches_of(self, phases: Sequence[Phase], seed: int) -> Batches:
        return Batches(self._data, phases, self._recipe.mix, seed, self._teacher.side)

    def _sample(self, workers: int | None) -> DataLoader[Batch]:
        """Batches as in the first phase with the teacher, from another seed."""
        phases = [phase for phase in self._recipe.phases if phase.kind == self._teacher.kind]
        sample = [replace(phase, steps=MEASURED_BATCHES) for phase in phases[:1]]
        return load_batches(self._batches_of(sample, self._recipe.seed + 1), 0, workers)

    def _train_step(self, batch: Batch) -> dict[str, float]:
        phase, _ = self._batches.phase(self._step)
        self._network.train()
        with torch.autocast(self._device.type, torch.bfloat16, enabled=bf16_is_fast()):
            crops = area_resize(batch.crops.to(self._device), phase.side)
            features = self._network.frame_features(_network_input(crops))
            logits = self._network.frame_logits(features).float()
            parts = self._losses(batch, features, logits)
        loss = parts.total()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(
            [p for group in self._optimiser.param_groups for p in group["params"]], 1.0
        )
        self._optimiser.step()
        self._schedule.step()
        average, current = self._averaged.state_dict(), self._network.state_dict()
        update_average(average, current, self._recipe.ema, self._step)
        return {"loss": float(loss.detach()), **parts.values()}

    def _losses(self, batch: Batch, features: Tensor, logits: Tensor) -> Losses:
        phase, step = self._batches.phase(self._step)
        teacher = self._teacher if phase.kind == self._teacher.kind else self._labels
        labels = batch.labels * (1 - self._recipe.smoothing) + self._recipe.smoothing / 2
        return losses(
            teacher.targets(batch),
            self._guess(features),
            logits,
            labels.to(self._device),
            teacher.label_weight(step / phase.steps),
        )

    def _rate(self, step: int) -> float:
        """Warm-up and cosine decay in each phase."""
        if step == len(self._batches):
            return 0.0
        phase, step = self._batches.phase(step)
        return learning_rate(phase.rate, step, self._recipe.warm_up, step / phase.steps, 0.01)

    def _validate(self, means: dict[str, float], pace: float) -> LogEntry:
        phase, _ = self._batches.phase(self._step - 1)
        scores = {name: validate(e, phase.side, self._ask) for name, e in self._validation.items()}
        entry = LogEntry(
            step=self._step,
            steps=len(self._batches),
            minutes=self._seconds / 60,
            minutes_left=pace * (len(self._batches) - self._step) / 60,
            kind=phase.kind,
            side=phase.side,
            rate=self._rate(self._step),
            losses=means,
            scores=scores,
        )
        first = next(iter(scores.values())).auc
        # Only scores at the largest, final size compare: it is the size of the shipped network.
        final = phase.side == max(phase.side for phase in self._recipe.phases)
        if final and not first <= self._best:
            self._best = first
            save(self._folder / "best.pt", self._checkpoint())
        save(self._folder / "last.pt", self._checkpoint() | self._state())
        append_entry(self._folder / "curve.csv", entry)
        return entry

    @torch.inference_mode()
    def _ask(self, crops: Tensor) -> Tensor:
        features = self._averaged.frame_features(_network_input(crops.to(self._device)))
        logits: Tensor = self._averaged.frame_logits(features)
        return logits

    def _checkpoint(self) -> dict[str, Any]:
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
            "scale": self._teacher.scale,
            **self._origin,
            "best": self._best,
            "seconds": self._seconds,
        }

    def _resume(self) -> None:
        last = self._folder / "last.pt"
        if not last.is_file():
            return
        kept = torch.load(last, weights_only=True, map_location=self._device)
        names = {
            "recipe": "another recipe",
            "material": "other images",
            "online_teacher": "another teacher",
        }
        for key, name in names.items():
            if kept.get(key) != self._origin[key]:
                raise TruelightError(
                    f"{self._folder} holds a run with {name}.",
                    "Name another folder with --out, or delete this one.",
                )
        self._network.load_state_dict(kept["network"])
        self._guess.load_state_dict(kept["guess"])
        self._averaged.load_state_dict(kept["model"])
        self._optimiser.load_state_dict(kept["optimiser"])
        self._teacher.scale = kept["scale"]
        self._step, self._best, self._seconds = kept["step"], kept["best"], kept["seconds"]
        trim(self._folder / "curve.csv", self._step)


def learning_rate(peak: float, step: int, warm_up: int, progress: float, floor: float) -> float:
    """Linear warm-up over `warm_up` steps, cosine decay over `progress` 0 to 1 to a share `floor`.

    Progress is a value because tuning may end by the clock, which no scheduler of torch knows.
    """
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return peak * min(1.0, (step + 1) / warm_up) * (floor + (1 - floor) * cosine)


@torch.no_grad()
def update_average(
    average: Mapping[str, Tensor], current: Mapping[str, Tensor], decay: float, step: int
) -> None:
    """Update an exponential moving average in place; early steps count more."""
    floats = [name for name, value in average.items() if value.is_floating_point()]
    update = get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
    update([average[name] for name in floats], [current[name] for name in floats], step)
    for name in average.keys() - set(floats):
        average[name].copy_(current[name])


def _network_input(crops: Tensor) -> Tensor:
    return normalise(crops).contiguous(memory_format=torch.channels_last)


def _parameter_groups(networks: Sequence[nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    """Norms and biases have no weight decay."""
    parameters = [p for network in networks for p in network.parameters()]
    decayed = [p for p in parameters if p.ndim > 1]
    kept = [p for p in parameters if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0}]


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each part over the steps that had it; NaN if none had."""
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        name: float(values[~np.isnan(values)].mean()) if not np.isnan(values).all() else math.nan
        for name, values in columns.items()
    }
