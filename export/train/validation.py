"""How good a network is on labelled crops while it is trained: every source weighs the same."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from export.data.augment import PLAIN
from export.data.folders import Picture
from export.metrics import weighted_auc
from export.train.batches import Batch, Batches

AT_ONCE = 64  # pictures


@dataclass(frozen=True)
class Score:
    """Two measures of the same answers."""

    auc: float
    """Over sources: each weighs the same, however many files it has."""
    pairs: float
    """Share of the fakes that score above the reals of their own source; a source weighs 1."""


def judged(pictures: Sequence[Picture], side: int, ask: Callable[[Tensor], Tensor]) -> Score:
    """Ask for logits [n] of the pictures as plain crops, uint8 [n, side, side, 3], and judge."""
    if not pictures:
        return Score(math.nan, math.nan)
    logits: list[Tensor] = []
    for at in range(0, len(pictures), AT_ONCE):
        part = pictures[at : at + AT_ONCE]
        crops = np.stack([PLAIN.apply(p.read(), p.margin, side) for p in part])
        logits.append(ask(torch.from_numpy(crops)).float().cpu())
    return score(pictures, torch.cat(logits).numpy())


def score(pictures: Sequence[Picture], logits: ArrayLike) -> Score:
    """Judge the logits [n] of pictures. NaN where nothing can be compared."""
    values = np.asarray(logits, dtype=np.float64)
    fakes = np.array([picture.fake for picture in pictures])
    sources = [picture.source for picture in pictures]
    weights = source_weights(fakes, sources)
    return Score(float(weighted_auc(fakes, values, weights)), _pairs(fakes, sources, values))


def source_weights(fakes: NDArray[np.bool_], sources: Sequence[str]) -> NDArray[np.float64]:
    """Weights [n] with which every source's reals together weigh 1, and its fakes 1."""
    kinds = list(zip(sources, fakes.tolist(), strict=True))
    counts = Counter(kinds)
    return np.array([1.0 / counts[kind] for kind in kinds])


def _pairs(
    fakes: NDArray[np.bool_], sources: Sequence[str], values: NDArray[np.float64]
) -> float:  # fmt: skip
    groups: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for source, fake, value in zip(sources, fakes.tolist(), values.tolist(), strict=True):
        groups[source][fake].append(value)
    shares = []
    for reals, found in groups.values():
        if reals and found:
            above = np.subtract.outer(np.array(found), np.array(reals))
            shares.append(float((np.sign(above) + 1).mean() / 2))
    return float(np.mean(shares)) if shares else float("nan")


def best_device() -> torch.device:
    """The GPU, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def bf16_is_fast() -> bool:
    """bf16 pays where the processor multiplies it: without, it is some ten times slower."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())  # has no public name


def loaded(batches: Batches, begin: int = 0, workers: int | None = None) -> DataLoader[Batch]:
    """Batches from step `begin` on, made ahead by so many processes; 0: by this one."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(begin, len(batches)),
        num_workers=_workers() if workers is None else workers,
        prefetch_factor=4 if workers != 0 else None,
    )


def _workers() -> int:
    """A GPU wants many, a CPU is busy enough with the network."""
    cores = os.cpu_count() or 1
    return max(1, cores - 1 if best_device().type == "cuda" else cores // 8)


def save(path: Path, what: dict[str, Any]) -> None:
    """Write a file of torch's whole or not at all."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        torch.save(what, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
