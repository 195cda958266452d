"""Training the LSTM over frame features, beside the mean of the frames: the trunk stays as it is.

The LSTM learns what the mean of the frames' logits lacks. Both are compared on the same windows,
of sources that it did not learn from; its gate opens only where it gains, beyond doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.data.video_windows import ClipWindows, Windows
from export.metrics import over_sources, weighted_auc
from export.train.checkpoint import FORMAT, Temporal
from export.train.network import Detector, normalise
from export.train.validation import source_weights

Progress = Callable[[int, int], None]
AT_ONCE = 16  # windows through the trunk
LEAST_GAIN = 0.001  # of AUC, at the lower end of its interval, for the gate to open


@dataclass(frozen=True)
class HeadRecipe:
    """How the head is trained."""

    frames: int = 8
    rate: float = 4.0  # Hz: what the deployed sampling hands out
    pairs: int = 1600
    validation_pairs: int = 300
    epochs: int = 12
    batch: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    dropout: float = 0.3  # of the features
    smoothing: float = 0.05  # of the labels
    folds: int = 5  # of the clips' sources, to measure on those left out
    seed: int = 0


@dataclass(frozen=True)
class Seen:
    """Windows as the trunk sees them."""

    features: Tensor
    """float32 [n, T, 2048]."""
    labels: Tensor
    """float32 [n], 1 of FAKE."""
    sources: tuple[str, ...]

    def only(self, which: NDArray[np.bool_]) -> Seen:
        """Some of the windows."""
        kept = torch.from_numpy(which)
        sources = tuple(source for source, keep in zip(self.sources, which, strict=True) if keep)
        return Seen(self.features[kept], self.labels[kept], sources)


def seen_of_stills(network: Detector, windows: Windows, count: int, progress: Progress) -> Seen:
    """Draw so many pairs of windows and show them to the trunk."""
    network.eval()
    features, labels, sources = [], list[float](), list[str]()
    for number in range(count):
        real, fake, source = windows.pair(number)
        features.append(_features(network, np.stack([real, fake])))
        labels += [0.0, 1.0]
        sources += [source, source]
        progress(number + 1, count)
    return Seen(torch.cat(features), torch.tensor(labels), tuple(sources))


def seen_of_clips(network: Detector, clips: ClipWindows, progress: Progress) -> Seen:
    """Show the windows of clips to the trunk."""
    network.eval()
    features = []
    for at in range(0, len(clips.crops), AT_ONCE):
        progress(at, len(clips.crops))
        features.append(_features(network, clips.crops[at : at + AT_ONCE]))
    return Seen(torch.cat(features), torch.tensor(clips.fakes).float(), clips.sources)


@torch.inference_mode()
def _features(network: Detector, crops: NDArray[np.uint8]) -> Tensor:
    """uint8 [n, T, side, side, 3] RGB -> float32 [n, T, 2048]."""
    device = next(network.parameters()).device
    x = normalise(torch.from_numpy(crops).flatten(0, 1).to(device))
    found = network.frame_features(x.contiguous(memory_format=torch.channels_last))
    return found.view(*crops.shape[:2], -1).cpu()


def train_head(
    network: Detector,
    parts: Sequence[Seen],
    recipe: HeadRecipe,
    show: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> None:
    """Fit `network.lstm` and `network.head` from nothing, the gate open.

    Each of `parts` weighs the same in all, and so does each source in its part.
    """
    torch.manual_seed(recipe.seed)
    network.gate = 1.0
    network.lstm.reset_parameters()
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    device = next(network.parameters()).device
    part = nn.ModuleList([network.lstm, network.head]).train()
    optimiser = torch.optim.AdamW(
        part.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs)
    features = torch.cat([one.features for one in parts])
    labels = torch.cat([one.labels for one in parts])
    weights = torch.cat([_weights(one) for one in parts])
    labels = labels * (1 - recipe.smoothing) + recipe.smoothing / 2
    for epoch in range(recipe.epochs):
        losses = []
        for drawn in torch.split(torch.randperm(len(labels)), recipe.batch):
            x = nn.functional.dropout(features[drawn].to(device), recipe.dropout)
            loss = nn.functional.binary_cross_entropy_with_logits(
                network.window_logits(x), labels[drawn].to(device), weights[drawn].to(device)
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
        schedule.step()
        show(epoch + 1, float(np.mean(losses)))
    part.eval()


def _weights(part: Seen) -> Tensor:
    """Of a part's windows, their mean 1."""
    weights = source_weights(part.labels.numpy() > 0.5, part.sources)
    return torch.from_numpy(weights / weights.mean()).float()


def left_out(
    network: Detector, made: Seen, clips: Seen, recipe: HeadRecipe, progress: Progress
) -> Tensor:
    """Logits [n] of every clip window by an LSTM that learned from other sources only."""
    logits = torch.zeros(len(clips.labels))
    for number, fold in enumerate(_folds(clips.sources, recipe)):
        progress(number, recipe.folds)
        train_head(network, [made, clips.only(~fold)], recipe)
        logits[torch.from_numpy(fold)] = window_logits(network, clips.only(fold))
    return logits


def _folds(sources: Sequence[str], recipe: HeadRecipe) -> Iterator[NDArray[np.bool_]]:
    names, of = np.unique(np.asarray(sources), return_inverse=True)
    order = np.random.default_rng(recipe.seed).permutation(len(names))
    for number in range(recipe.folds):
        fold = np.isin(of, order[number :: recipe.folds])
        if fold.any():
            yield fold


@torch.inference_mode()
def window_logits(network: Detector, seen: Seen) -> Tensor:
    """Logits [n] of windows, by the frames' mean and the LSTM as its gate lets it."""
    device = next(network.parameters()).device
    parts = [network.window_logits(x.to(device)).cpu() for x in torch.split(seen.features, 256)]
    return torch.cat(parts)


def compare(network: Detector, seen: Seen, joined: Tensor, on: str) -> Temporal:
    """Hold what the LSTM gave together with the frames' mean against the mean alone.

    AUC over sources, each weighing the same; paired: a bootstrap draw is the same for both.
    """
    open_gate, network.gate = network.gate, 0.0
    alone = window_logits(network, seen).numpy()
    network.gate = open_gate
    fakes = seen.labels.numpy() > 0.5
    base = source_weights(fakes, seen.sources)

    def measured(scores: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return weighted_auc(fakes, scores, weights * base)

    together = joined.numpy()
    low, high = over_sources(
        seen.sources, lambda drawn: measured(together, drawn) - measured(alone, drawn)
    )
    every = np.ones(len(fakes))
    return Temporal(
        on=on,
        windows=len(fakes),
        sources=len(set(seen.sources)),
        frame_mean_auc=float(measured(alone, every)),
        lstm_auc=float(measured(together, every)),
        low=low,
        high=high,
    )


def gate_for(found: Temporal) -> float:
    """1 where the LSTM earned its place, 0 where the mean of the frames judges alone."""
    return 1.0 if found.low > LEAST_GAIN else 0.0


def save(path: Path, network: Detector, config: dict[str, Any]) -> None:
    """Write the finished checkpoint, weights as bfloat16, whole or not at all."""
    weights = {
        key: value.bfloat16().cpu() if value.is_floating_point() else value.cpu()
        for key, value in network.state_dict().items()
    }
    unfinished = path.with_suffix(".part")
    torch.save({"format": FORMAT, "config": config, "model": weights}, unfinished)
    unfinished.replace(path)
