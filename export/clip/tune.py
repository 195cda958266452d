"""Tuning a tower: its layer norms and a linear head, on pairs of one source and on self-blends.

After GenD (Yermakov, Cech, Matas and Fritz, "Deepfake Detection that Generalizes Across
Benchmarks", WACV 2026): next to nothing is changed of what a network knows of all pictures, and a
fake is learned beside the real that it was made of. Ours is the part of the loss that compares the
two.
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
from export.clip.adapter import FORMAT, Tuned
from export.clip.graph import Tap, Tower
from export.clip.online_teacher import features_of
from export.clip.vit import ROOT, Vit
from export.data.folders import Material, Pairs
from export.metrics import auc
from export.train.batches import SUBTLE, Batch, Batches, Mix, Phase
from export.train.curve import Moment
from export.train.distillation import MEASURED
from export.train.run import Tell, validation_sets
from export.train.validation import Score, best_device, bf16_is_fast, judged, loaded, save

ENDLESS = 2**31  # steps of a run that ends by the clock
HELD_OUT_BLENDS = 300  # at most, of as many faces
APART = 0.5  # weight of the loss that compares both of a pair
BLENDS = "held-out blends"
LOSSES = ("loss", "label", "pairs")


@dataclass(frozen=True)
class TuningRecipe:
    """Everything that decides what is learned, besides the pictures. Ends by steps or minutes."""

    steps: int = 0
    minutes: float = 0.0
    batch: int = 256
    rate: float = 3e-4  # of the norms, at its peak
    head_rate: float = 1e-3
    head_decay: float = 0.5
    warm_ups: tuple[int, int] = (200, 60)  # steps, of the norms and of the head
    mix: Mix = SUBTLE
    smoothing: float = 0.06  # of the labels
    ema: float = 0.995  # decay of the averaged parameters a step; those are what is kept
    seed: int = 0

    def way(self, step: int, seconds: float) -> float:
        """How much is done, 0 to 1."""
        return min(1.0, step / self.steps if self.steps else seconds / 60 / self.minutes)


class Judge(nn.Module):
    """A tower and a linear head on its standardised features: crops to logits of FAKE."""

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
        """Features [D] are centred and scaled by these from now on."""
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """uint8 [n, side, side, 3] RGB -> float32 [n]."""
        logits: Tensor = self.head((self.vit(crops) - self.mean) / self.spread).squeeze(1)
        return logits


class Tuning:
    """A run: `run` learns to the end and gives what was learned."""

    def __init__(
        self,
        tower: Tower,
        taps: Sequence[Tap],
        recipe: TuningRecipe,
        train: Material,
        held_out: Material,
        watch: Sequence[Path] = (),
    ) -> None:
        """Get ready; `watch` are folders that are only measured.

        Raises TruelightError if there is nothing to learn from, or no such tap.
        """
        if not Pairs(train.pictures).by_source and not train.blendable:
            raise TruelightError(
                "No source has a real and a fake picture, and no face is to blend."
            )
        torch.manual_seed(recipe.seed)
        self._recipe, self._train, self._held_out = recipe, train, held_out
        self._tower = tower.sha256
        self._device = best_device()
        vit = Vit(tower, taps, torch.bfloat16 if bf16_is_fast() else torch.float32)
        self._judge = Judge(vit).to(self._device)
        self._averaged = {n: p.detach().clone() for n, p in self._judge.named_parameters()}
        self._validation = validation_sets(held_out, watch)
        groups = (
            (vit, recipe.rate, 0.0, recipe.warm_ups[0]),
            (self._judge.head, recipe.head_rate, recipe.head_decay, recipe.warm_ups[1]),
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
        show: Callable[[Moment], None],
        tell: Tell,
        workers: int | None = None,
    ) -> tuple[Tuned, int]:
        """Learn to the end, and measure every so many steps; what was learned, and the steps."""
        features = features_of(
            self._judge.vit,
            self._drawn(self._train, MEASURED, 1, workers),
            lambda done: tell("measuring features", done, MEASURED),
        )
        self._judge.standardise(features.mean(0), features.std(0) + 1e-6)
        blends = self._blends(workers)
        learned: list[tuple[float, ...]] = []
        step, way, began = 0, 0.0, time.monotonic()
        for batch in self._drawn(self._train, self._recipe.steps or ENDLESS, 0, workers):
            learned.append(self._learn(batch, step, way))
            step += 1
            way = self._recipe.way(step, time.monotonic() - began)
            tell("tuning", step, round(step / way))
            if step % every == 0 or way == 1.0:
                losses = dict(zip(LOSSES, np.mean(learned, axis=0).tolist(), strict=True))
                scores = self._scores(blends)
                learned.clear()
                show(self._moment(step, way, time.monotonic() - began, losses, scores))
            if way == 1.0:
                break
        return self._tuned(), step

    def _drawn(
        self,
        material: Material,
        steps: int,
        stream: int,
        workers: int | None,
        mix: Mix | None = None,
    ) -> DataLoader[Batch]:
        """Batches of one of the run's streams, which differ."""
        recipe = self._recipe
        phase = Phase(self._judge.vit.side, steps, recipe.batch, recipe.rate)
        return loaded(
            Batches(material, [phase], mix or recipe.mix, recipe.seed + stream), 0, workers
        )

    def _blends(self, workers: int | None) -> list[Batch]:
        """Blends of held-out faces, the same at every validation."""
        count = min(HELD_OUT_BLENDS, len(self._held_out.blendable))
        if not count or not self._recipe.mix.any_blends:
            return []
        only = replace(self._recipe.mix, blends_at_start=1.0, blends_at_end=1.0)
        steps = math.ceil(2 * count / self._recipe.batch)
        return list(self._drawn(self._held_out, steps, 2, workers, only))

    def _learn(self, batch: Batch, step: int, way: float) -> tuple[float, ...]:
        recipe = self._recipe
        decay = 0.02 + 0.98 * (1 + math.cos(math.pi * way)) / 2
        for group in self._optimiser.param_groups:
            group["lr"] = group["peak"] * min(1.0, (step + 1) / group["warm_up"]) * decay
        logits = self._judge(batch.crops.to(self._device))
        wanted = batch.labels.to(self._device) * (1 - recipe.smoothing) + recipe.smoothing / 2
        label = nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        pairs = nn.functional.softplus(logits[::2] - logits[1::2]).mean()
        loss = label + APART * pairs
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._judge.vit.parameters(), 1.0)
        self._optimiser.step()
        self._average(step)
        return tuple(torch.stack([loss, label, pairs]).tolist())

    @torch.no_grad()
    def _average(self, step: int) -> None:
        decay = min(self._recipe.ema, (2 + step) / (11 + step))
        for name, parameter in self._judge.named_parameters():
            self._averaged[name].lerp_(parameter, 1 - decay)

    @torch.inference_mode()
    def _ask(self, crops: Tensor) -> Tensor:
        """Logits by the averaged parameters."""
        logits: Tensor = functional_call(self._judge, self._averaged, crops.to(self._device))
        return logits

    def _scores(self, blends: Sequence[Batch]) -> dict[str, Score]:
        side = self._judge.vit.side
        scores = {name: judged(p, side, self._ask) for name, p in self._validation.items()}
        if blends:
            logits = torch.cat([self._ask(batch.crops) for batch in blends]).cpu().numpy()
            above = float((logits[1::2] > logits[::2]).mean())
            fakes = torch.cat([batch.labels for batch in blends]).numpy()
            scores[BLENDS] = Score(auc(fakes, logits), above)
        return scores

    def _moment(
        self,
        step: int,
        way: float,
        seconds: float,
        losses: dict[str, float],
        scores: dict[str, Score],
    ) -> Moment:
        return Moment(
            step=step,
            steps=round(step / way),
            minutes=seconds / 60,
            minutes_left=seconds / 60 * (1 - way) / way,
            kind="tuning",
            side=self._judge.vit.side,
            rate=float(self._optimiser.param_groups[0]["lr"]),
            losses=losses,
            scores=scores,
        )

    def _tuned(self) -> Tuned:
        """The averaged parameters; the head as it is for raw features."""
        learned = {name: value.cpu() for name, value in self._averaged.items()}
        weight = learned["head.weight"][0] / self._judge.spread.cpu()
        bias = learned["head.bias"][0] - weight @ self._judge.mean.cpu()
        norms = {
            ROOT + name.removeprefix("vit."): value.numpy()
            for name, value in learned.items()
            if name.startswith("vit.")
        }
        return Tuned(self._judge.vit.taps, self._tower, norms, weight.numpy(), float(bias))


def write_tuned(file: Path, tuned: Tuned, steps: int) -> None:
    """Write what `export.clip.adapter.read_tuned` reads."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "format": FORMAT,
        "taps": ",".join(map(str, tuned.taps)),
        "tower": tuned.tower,
        "norms": {name: torch.from_numpy(norm) for name, norm in tuned.norms.items()},
        "weight": torch.from_numpy(tuned.weight),
        "bias": tuned.bias,
        "steps": steps,
    }
    save(file, content)
