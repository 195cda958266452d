"""Trains the LSTM over frame features, next to the mean of the frames; the trunk is frozen.

Both are compared on the same windows of sources that the LSTM did not learn from. Its gate opens
only if the lower bound of the gain is positive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.errors import TruelightError
from edge.scan.faces.detector import load_detector
from edge.scan.model.manifest import CropRule
from export.data.folders import Progress, StageProgress, TrainingData
from export.data.video_windows import AnimatedWindows, ClipWindows, WindowSampling, clip_windows
from export.metrics import bootstrap_interval, weighted_auc
from export.train.checkpoint import Temporal, write_checkpoint
from export.train.network import Detector, best_device, normalise
from export.train.validation import source_weights

BATCH = 16  # windows through the trunk
MIN_GAIN = 0.001  # of AUC, at the lower end of its interval, for the gate to open
CLIP_CACHE = "clips.npz"


@dataclass(frozen=True)
class HeadRecipe:
    """How the LSTM is trained."""

    frames: int = 8
    rate: float = 4.0  # Hz, the frame rate of a scan's windows
    pairs: int = 1600
    validation_pairs: int = 300
    epochs: int = 12
    batch: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    dropout: float = 0.3  # of the features
    smoothing: float = 0.05  # of the labels
    folds: int = 5  # over the clips' sources, for cross-validation
    seed: int = 0


@dataclass(frozen=True)
class WindowFeatures:
    """The trunk's features of windows."""

    features: Tensor  # float32 [n, T, 2048]
    labels: Tensor  # float32 [n], 1 for FAKE
    sources: tuple[str, ...]

    def subset(self, rows: NDArray[np.intp]) -> WindowFeatures:
        """Some of the windows."""
        sources = tuple(self.sources[row] for row in rows)
        return WindowFeatures(self.features[rows], self.labels[rows], sources)


def finish(
    network: Detector,
    train: TrainingData,
    held_out: TrainingData,
    clips: Path | None,
    recipe: HeadRecipe,
    config: dict[str, Any],
    out: Path,
    progress: StageProgress,
) -> list[Temporal]:
    """Train the LSTM, set its gate and write `out`/checkpoint.pt.

    The LSTM's gain is measured on held-out stills animated to windows and, if given, on clips;
    the last measurement sets the gate and is stored in the checkpoint.
    """
    network.to(best_device())
    made, made_held_out = (
        animated_features(
            network,
            AnimatedWindows(data, recipe.frames, config["side"], recipe.seed),
            count,
            partial(progress, "windows"),
        )
        for data, count in ((train, recipe.pairs), (held_out, recipe.validation_pairs))
    )
    parts = [made]
    found = []
    if clips is not None:
        recorded = _features_of_clips(network, clips, recipe, config, out, progress)
        logits = cross_validated_logits(network, made, recorded, recipe, partial(progress, "folds"))
        name = f"{clips.resolve().name}, by an LSTM trained on other sources"
        found.append(compare(network, recorded, logits, name))
        parts.append(recorded)
    train_head(network, parts, recipe, lambda epoch, _: progress("head", epoch, recipe.epochs))
    logits = window_logits(network, made_held_out)
    found.insert(0, compare(network, made_held_out, logits, "held-out stills, animated"))
    network.gate = gate_for(found[-1])
    window = {"frames": recipe.frames, "rate": recipe.rate}
    more = {"window": window, "gate": network.gate, "temporal": found[-1].model_dump()}
    write_checkpoint(out / "checkpoint.pt", network, config | more)
    return found


def _features_of_clips(
    network: Detector,
    clips: Path,
    recipe: HeadRecipe,
    config: dict[str, Any],
    out: Path,
    progress: StageProgress,
) -> WindowFeatures:
    spec = CropRule(**config["crop"]).spec(config["side"])
    sampling = WindowSampling(spec, recipe.frames, recipe.rate)
    show = partial(progress, "clips")
    windows = clip_windows(clips, sampling, load_detector, out / CLIP_CACHE, show)
    if not len(windows.crops):
        raise TruelightError(f"No face was found in the clips of {clips}.")
    return clip_features(network, windows, show)


def animated_features(
    network: Detector, windows: AnimatedWindows, count: int, progress: Progress
) -> WindowFeatures:
    """Features of `count` pairs of animated windows."""
    network.eval()
    features, labels, sources = [], list[float](), list[str]()
    for number in range(count):
        real, fake, source = windows.pair(number)
        features.append(_features(network, np.stack([real, fake])))
        labels += [0.0, 1.0]
        sources += [source, source]
        progress(number + 1, count)
    return WindowFeatures(torch.cat(features), torch.tensor(labels), tuple(sources))


def clip_features(network: Detector, clips: ClipWindows, progress: Progress) -> WindowFeatures:
    """Features of the windows of clips."""
    network.eval()
    features = []
    for begin in range(0, len(clips.crops), BATCH):
        progress(begin, len(clips.crops))
        features.append(_features(network, clips.crops[begin : begin + BATCH]))
    return WindowFeatures(torch.cat(features), torch.tensor(clips.fakes).float(), clips.sources)


@torch.inference_mode()
def _features(network: Detector, crops: NDArray[np.uint8]) -> Tensor:
    """uint8 [n, T, side, side, 3] RGB -> float32 [n, T, 2048]."""
    device = next(network.parameters()).device
    x = normalise(torch.from_numpy(crops).flatten(0, 1).to(device))
    features = network.frame_features(x.contiguous(memory_format=torch.channels_last))
    return features.view(*crops.shape[:2], -1).cpu()


def train_head(
    network: Detector,
    parts: Sequence[WindowFeatures],
    recipe: HeadRecipe,
    show: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> None:
    """Fit `network.lstm` and `network.head` from random weights, with the gate open.

    All parts weigh the same, as do all sources within a part.
    """
    torch.manual_seed(recipe.seed)
    network.gate = 1.0
    network.lstm.reset_parameters()
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    device = next(network.parameters()).device
    head = nn.ModuleList([network.lstm, network.head]).train()
    optimiser = torch.optim.AdamW(
        head.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs)
    features = torch.cat([part.features for part in parts])
    labels = torch.cat([part.labels for part in parts])
    weights = torch.cat([_weights(part) for part in parts])
    labels = labels * (1 - recipe.smoothing) + recipe.smoothing / 2
    for epoch in range(recipe.epochs):
        losses = []
        for rows in torch.split(torch.randperm(len(labels)), recipe.batch):
            x = nn.functional.dropout(features[rows].to(device), recipe.dropout)
            loss = nn.functional.binary_cross_entropy_with_logits(
                network.window_logits(x), labels[rows].to(device), weights[rows].to(device)
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
        schedule.step()
        show(epoch + 1, float(np.mean(losses)))
    head.eval()


def _weights(part: WindowFeatures) -> Tensor:
    """Source weights with a mean of 1."""
    weights = source_weights(part.labels.numpy() > 0.5, part.sources)
    return torch.from_numpy(weights / weights.mean()).float()


def cross_validated_logits(
    network: Detector,
    made: WindowFeatures,
    clips: WindowFeatures,
    recipe: HeadRecipe,
    progress: Progress,
) -> Tensor:
    """Logits [n] of the clips' windows, each by an LSTM trained on other sources."""
    logits = torch.zeros(len(clips.labels))
    names, index = np.unique(np.asarray(clips.sources), return_inverse=True)
    folds = np.random.default_rng(recipe.seed).permutation(len(names))[index] % recipe.folds
    for fold in np.unique(folds):
        progress(int(fold), recipe.folds)
        test = np.flatnonzero(folds == fold)
        train_head(network, [made, clips.subset(np.flatnonzero(folds != fold))], recipe)
        logits[test] = window_logits(network, clips.subset(test))
    return logits


@torch.inference_mode()
def window_logits(network: Detector, windows: WindowFeatures) -> Tensor:
    """Logits [n] of windows."""
    device = next(network.parameters()).device
    parts = torch.split(windows.features, 256)
    return torch.cat([network.window_logits(x.to(device)).cpu() for x in parts])


def compare(network: Detector, windows: WindowFeatures, logits: Tensor, on: str) -> Temporal:
    """Compare the AUC of `logits` with that of the frames' mean alone.

    All sources weigh the same; the bootstrap is paired.
    """
    gate, network.gate = network.gate, 0.0
    frame_mean, combined = window_logits(network, windows).numpy(), logits.numpy()
    network.gate = gate
    fakes = windows.labels.numpy() > 0.5
    base = source_weights(fakes, windows.sources)

    def auc(scores: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return weighted_auc(fakes, scores, weights * base)

    low, high = bootstrap_interval(
        windows.sources, lambda weights: auc(combined, weights) - auc(frame_mean, weights)
    )
    ones = np.ones(len(fakes))
    return Temporal(
        on=on,
        windows=len(fakes),
        sources=len(set(windows.sources)),
        frame_mean_auc=float(auc(frame_mean, ones)),
        lstm_auc=float(auc(combined, ones)),
        low=low,
        high=high,
    )


def gate_for(gain: Temporal) -> float:
    """1 if the LSTM's gain is certain, else 0."""
    return 1.0 if gain.low > MIN_GAIN else 0.0
