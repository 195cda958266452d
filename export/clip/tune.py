"""Tunes a CLIP encoder's layer norms and a linear head on pairs of one source and self-blends.

After GenD (Yermakov, Cech, Matas and Fritz, "Deepfake Detection that Generalizes Across
Benchmarks", WACV 2026), which changes very few parameters and trains on each fake beside the real
it was made from. The loss that compares the two is added here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader

from edge.errors import TruelightError
from export.clip.adapter import Adapter
from export.clip.graph import Encoder, Tap
from export.clip.teacher import vit_features
from export.clip.vit import ROOT, Vit
from export.data.folders import PairSampler, StageProgress, TrainingData
from export.metrics import auc
from export.train.batches import SUBTLE, Batch, Batches, Mix, Phase, load_batches
from export.train.distillation import MEASURED_BATCHES
from export.train.loop import learning_rate, update_average
from export.train.network import best_device, bf16_is_fast
from export.train.validation import LogEntry, Score, validate, validation_sets

UNLIMITED = 2**31  # steps of a run that ends by the clock
MAX_BLENDS = 300  # held-out faces that are blended for validation
PAIR_WEIGHT = 0.5  # of the loss that compares both images of a pair
BLENDS = "held-out blends"
LOSSES = ("loss", "label", "pairs")


@dataclass(frozen=True)
class TuningRecipe:
    """Everything besides the images that determines the result. Ends by steps or minutes."""

    steps: int = 0
    minutes: float = 0.0
    batch: int = 256
    rate: float = 3e-4  # peak learning rate of the norms
    head_rate: float = 1e-3
    head_decay: float = 0.5
    warm_ups: tuple[int, int] = (200, 60)  # steps, of the norms and of the head
    mix: Mix = SUBTLE
    smoothing: float = 0.06  # of the labels
    ema: float = 0.995  # decay per step of the averaged parameters, which are the result
    seed: int = 0

    def progress(self, step: int, seconds: float) -> float:
        """From 0 to 1."""
        return min(1.0, step / self.steps if self.steps else seconds / 60 / self.minutes)


class Classifier(nn.Module):
    """An encoder and a linear head on its standardised features: crops to logits of FAKE."""

    mean: Tensor
    spread: Tensor

    def __init__(self, vit: Vit) -> None:
        super().__init__()
        self.vit = vit
        self.head = nn.Linear(vit.width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.standardise(torch.zeros(vit.width), torch.ones(vit.width))

    def standardise(self, mean: Tensor, spread: Tensor) -> None:
        """Set the statistics of the features, [D] each."""
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """uint8 [n, side, side, 3] RGB -> float32 [n]."""
        logits: Tensor = self.head((self.vit(crops) - self.mean) / self.spread).squeeze(1)
        return logits


class Tuning:
    """A run; `run` returns its result."""

    def __init__(
        self,
        encoder: Encoder,
        taps: Sequence[Tap],
        recipe: TuningRecipe,
        train: TrainingData,
        held_out: TrainingData,
        watch: Sequence[Path] = (),
    ) -> None:
        """Prepare; the folders `watch` are only measured.

        Raises TruelightError if there is nothing to learn from, or no such tap.
        """
        if not PairSampler(train.examples).groups and not train.blendable:
            raise TruelightError(
                "No source has a real and a fake image, and there is no face to blend."
            )
        torch.manual_seed(recipe.seed)
        self._recipe, self._train, self._held_out = recipe, train, held_out
        self._encoder = encoder.sha256
        self._device = best_device()
        vit = Vit(encoder, taps, torch.bfloat16 if bf16_is_fast() else torch.float32)
        self._model = Classifier(vit).to(self._device)
        # Not AveragedModel, which would copy the frozen weights as well.
        self._average = {n: p.detach().clone() for n, p in self._model.named_parameters()}
        self._validation = validation_sets(held_out.examples, watch)
        groups = (
            (vit, recipe.rate, 0.0, recipe.warm_ups[0]),
            (self._model.head, recipe.head_rate, recipe.head_decay, recipe.warm_ups[1]),
        )
        self._optimiser = torch.optim.AdamW(
            [
                {"params": part.parameters(), "peak": peak, "weight_decay": decay, "warm_up": steps}
                for part, peak, decay, steps in groups
            ],
            betas=(0.9, 0.99),
        )

    def run(
        self,
        every: int,
        show: Callable[[LogEntry], None],
        report: StageProgress,
        workers: int | None = None,
    ) -> tuple[Adapter, int]:
        """Train to the end and validate every `every` steps; returns the adapter and the steps."""
        features = vit_features(
            self._model.vit,
            self._batches(self._train, MEASURED_BATCHES, 1, workers),
            lambda done: report("measuring features", done, MEASURED_BATCHES),
        )
        self._model.standardise(features.mean(0), features.std(0) + 1e-6)
        blends = self._blends(workers)
        losses: list[tuple[float, ...]] = []
        step, progress, began = 0, 0.0, time.monotonic()
        for batch in self._batches(self._train, self._recipe.steps or UNLIMITED, 0, workers):
            losses.append(self._train_step(batch, step, progress))
            step += 1
            progress = self._recipe.progress(step, time.monotonic() - began)
            report("tuning", step, round(step / progress))
            if step % every == 0 or progress == 1.0:
                means = dict(zip(LOSSES, np.mean(losses, axis=0).tolist(), strict=True))
                losses.clear()
                minutes = (time.monotonic() - began) / 60
                show(
                    LogEntry(
                        step=step,
                        steps=round(step / progress),
                        minutes=minutes,
                        minutes_left=minutes * (1 - progress) / progress,
                        kind="tuning",
                        side=self._model.vit.side,
                        rate=float(self._optimiser.param_groups[0]["lr"]),
                        losses=means,
                        scores=self._scores(blends),
                    )
                )
            if progress == 1.0:
                break
        return self._adapter(), step

    def _batches(
        self,
        data: TrainingData,
        steps: int,
        stream: int,
        workers: int | None,
        mix: Mix | None = None,
    ) -> DataLoader[Batch]:
        """Batches of one of the run's random streams."""
        recipe = self._recipe
        phase = Phase(self._model.vit.side, steps, recipe.batch, recipe.rate)
        batches = Batches(data, [phase], mix or recipe.mix, recipe.seed + stream)
        return load_batches(batches, 0, workers)

    def _blends(self, workers: int | None) -> list[Batch]:
        """Blends of held-out faces, the same at every validation."""
        count = min(MAX_BLENDS, len(self._held_out.blendable))
        if not count or not self._recipe.mix.any_blends:
            return []
        only = replace(self._recipe.mix, blends_at_start=1.0, blends_at_end=1.0)
        steps = math.ceil(2 * count / self._recipe.batch)
        return list(self._batches(self._held_out, steps, 2, workers, only))

    def _train_step(self, batch: Batch, step: int, progress: float) -> tuple[float, ...]:
        recipe = self._recipe
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(group["peak"], step, group["warm_up"], progress, 0.02)
        logits = self._model(batch.crops.to(self._device))
        wanted = batch.labels.to(self._device) * (1 - recipe.smoothing) + recipe.smoothing / 2
        label = nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        pairs = nn.functional.softplus(logits[::2] - logits[1::2]).mean()
        loss = label + PAIR_WEIGHT * pairs
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._model.vit.parameters(), 1.0)
        self._optimiser.step()
        update_average(self._average, dict(self._model.named_parameters()), recipe.ema, step)
        return tuple(torch.stack([loss, label, pairs]).tolist())

    @torch.inference_mode()
    def _predict(self, crops: Tensor) -> Tensor:
        """Logits with the averaged parameters."""
        logits: Tensor = functional_call(self._model, self._average, crops.to(self._device))
        return logits

    def _scores(self, blends: Sequence[Batch]) -> dict[str, Score]:
        side = self._model.vit.side
        scores = {name: validate(e, side, self._predict) for name, e in self._validation.items()}
        if blends:
            logits = torch.cat([self._predict(batch.crops) for batch in blends]).cpu().numpy()
            above = float((logits[1::2] > logits[::2]).mean())
            fakes = torch.cat([batch.labels for batch in blends]).numpy()
            scores[BLENDS] = Score(auc(fakes, logits), above)
        return scores

    def _adapter(self) -> Adapter:
        """The averaged parameters; the head for features that are not standardised."""
        learned = {name: value.cpu() for name, value in self._average.items()}
        weight = learned["head.weight"][0] / self._model.spread.cpu()
        bias = learned["head.bias"][0] - weight @ self._model.mean.cpu()
        norms = {
            ROOT + name.removeprefix("vit."): value.numpy()
            for name, value in learned.items()
            if name.startswith("vit.")
        }
        return Adapter(self._model.vit.taps, self._encoder, norms, weight.numpy(), float(bias))
