"""What training makes of the machine that it runs on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from export.training.batches import Batch, Batches


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
