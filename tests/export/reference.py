"""The published network, written from its description alone, to hold the exporter against."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Bottleneck(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = 2 * width
        self.conv1 = nn.Conv2d(before, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(
            width, width, kernel_size=3, stride=stride, padding=1, groups=32, bias=False
        )
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        if before != after:
            reduce = nn.Conv2d(before, after, kernel_size=1, stride=stride, bias=False)
            self.downsample = nn.Sequential(reduce, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


def layer(before: int, width: int, depth: int, stride: int) -> nn.Sequential:
    first = Bottleneck(before, width, stride)
    return nn.Sequential(first, *(Bottleneck(2 * width, width, 1) for _ in range(depth - 1)))


class Reference(nn.Module):
    """Takes [1, T, 3, 112, 112]; answers [1, 2]: FAKE, REAL."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            layer(64, 128, 3, 1),
            layer(256, 256, 4, 2),
            layer(512, 512, 6, 2),
            layer(1024, 1024, 3, 2),
        )
        self.lstm = nn.LSTM(2048, 2048, 1, False)
        self.relu = nn.LeakyReLU()
        self.dp = nn.Dropout(0.4)
        self.linear1 = nn.Linear(2048, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor, readout: str) -> Tensor:
        batch, frames = x.shape[:2]
        maps = self.model(x.view(batch * frames, *x.shape[2:]))
        pooled = self.avgpool(maps).view(batch, frames, 2048)
        outputs, _ = self.lstm(pooled, None)
        read = torch.mean(outputs, dim=1) if readout == "mean" else outputs[:, -1, :]
        logits: Tensor = self.dp(self.linear1(read))
        return logits


def as_published(crops: np.ndarray) -> Tensor:
    """RGB crops as the published programs feed them: BGR planes under RGB statistics."""
    blue_first = torch.from_numpy(crops[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    return ((blue_first - mean) / std)[None]
