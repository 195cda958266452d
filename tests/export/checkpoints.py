"""Checkpoints of random weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from export.train.network import Detector, Readout

SIDE = 64
FRAMES = 6


def unsettle(network: nn.Module) -> nn.Module:
    """Give every norm statistics of its own, as if it had been trained."""
    torch.manual_seed(7)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.2)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


def small_detector(readout: Readout = "mean") -> Detector:
    torch.manual_seed(3)
    network = Detector(8, readout, layers=(1, 2, 1, 1), width=16)
    unsettle(network)
    return network


def write_checkpoint(file: Path, network: Detector, **changes: object) -> Path:
    config = {
        "side": SIDE,
        "crop": {"scale": 1.3, "shift_x": 0.0, "shift_y": -0.1},
        "window": {"frames": FRAMES, "rate": 5.0},
        "hidden": 8,
        "readout": network.readout,
        "layers": [1, 2, 1, 1],
        "width": 16,
    }
    content = {
        "format": "truelight-checkpoint-1",
        "config": config,
        "model": network.state_dict(),
    }
    torch.save(content | changes, file)
    return file


def noise(count: int, side: int, seed: int) -> np.ndarray:
    """Pictures of soft spots: uint8 [count, side, side, 3]."""
    rng = np.random.default_rng(seed)
    grids = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    sides = (side, side)
    return np.stack([cv2.resize(grid, sides, interpolation=cv2.INTER_CUBIC) for grid in grids])
