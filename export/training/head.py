"""Training the LSTM over frame features: the trunk stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from export.metrics import auc
from export.network import Detector, normalise
from export.training.sequences import Windows


@dataclass(frozen=True)
class HeadRecipe:
    """How the head is trained."""

    frames: int = 8
    rate: float = 4.0  # Hz: what the deployed sampling hands out
    pairs: int = 1600
    validation_pairs: int = 300
    epochs: int = 40
    batch: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    dropout: float = 0.3  # of the features
    seed: int = 0


@dataclass(frozen=True)
class HeadResult:
    """What the head gained on validation windows, against the frame head's mean on the same."""

    frame_mean_auc: float
    lstm_auc: float
    epoch: int


@torch.inference_mode()
def features_of(
    network: Detector, windows: Windows, count: int, progress: Callable[[int, int], None]
) -> tuple[Tensor, Tensor]:
    """Features float32 [2 * count, T, 2048] and labels float32 [2 * count] of drawn pairs."""
    network.eval()
    features, labels = [], []
    for number in range(count):
        both = np.concatenate(windows.pair(number))
        x = normalise(torch.from_numpy(both)).contiguous(memory_format=torch.channels_last)
        found = network.frame_features(x)
        features.append(found.view(2, -1, found.shape[-1]))
        labels += [0.0, 1.0]
        progress(number + 1, count)
    return torch.cat(features), torch.tensor(labels)


def train_head(
    network: Detector,
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    recipe: HeadRecipe,
    show: Callable[[int, float, float], None],
) -> HeadResult:
    """Fit `network.lstm` and `network.head`; the best epoch by validation AUC stays."""
    torch.manual_seed(recipe.seed)
    part = nn.ModuleList([network.lstm, network.head])
    optimiser = torch.optim.AdamW(
        part.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs)
    best, best_epoch, best_weights = -1.0, 0, _weights(part)
    for epoch in range(recipe.epochs):
        loss = _epoch(network, train, optimiser, recipe)
        schedule.step()
        value = _window_auc(network, validation)
        show(epoch + 1, loss, value)
        if value > best:
            best, best_epoch, best_weights = value, epoch + 1, _weights(part)
    part.load_state_dict(best_weights)
    return HeadResult(_frame_mean_auc(network, validation), best, best_epoch)


def _epoch(
    network: Detector,
    train: tuple[Tensor, Tensor],
    optimiser: torch.optim.Optimizer,
    recipe: HeadRecipe,
) -> float:
    features, labels = train
    losses = []
    for drawn in torch.split(torch.randperm(len(labels)), recipe.batch):
        x = nn.functional.dropout(features[drawn], recipe.dropout)
        loss = nn.functional.binary_cross_entropy_with_logits(
            network.window_logits(x), labels[drawn] * 0.95 + 0.025
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


@torch.inference_mode()
def _window_auc(network: Detector, part: tuple[Tensor, Tensor]) -> float:
    return auc(part[1].numpy(), network.window_logits(part[0]).numpy())


@torch.inference_mode()
def _frame_mean_auc(network: Detector, part: tuple[Tensor, Tensor]) -> float:
    return auc(
        part[1].numpy(),
        network.frame_logits(part[0].flatten(0, 1)).view(part[0].shape[:2]).mean(1).numpy(),
    )


def _weights(part: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in part.state_dict().items()}


def save(path: Path, network: Detector, config: dict[str, Any]) -> None:
    """Write the finished checkpoint, weights as bfloat16, whole or not at all."""
    weights = {
        key: value.bfloat16() if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }
    unfinished = path.with_suffix(".part")
    torch.save({"format": "truelight-checkpoint-1", "config": config, "model": weights}, unfinished)
    unfinished.replace(path)
