"""The networks in torch: our detector, and the published one that it descends from.

Both are a ResNeXt50-32x4d over single crops and an LSTM over the crops of a window. Inputs are
float32 `[n, 3, side, side]` from `normalise`: RGB planes in 0..1, less `MEAN`, divided by `STD`.
The published network uses the same statistics on BGR planes. The ResNeXt is written here because
torchvision's wheel does not import beside a CPU build of torch.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
LAYERS = (3, 4, 6, 3)
WIDTH = 64

Readout = Literal["mean", "last"]


def best_device() -> torch.device:
    """CUDA if available, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def bf16_is_fast() -> bool:
    """Whether the processor has bf16 instructions; without, bf16 is about ten times slower."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())  # has no public name


def normalise(crops: Tensor) -> Tensor:
    """uint8 `[n, side, side, 3]` RGB -> float32 `[n, 3, side, side]`."""
    planes = crops.permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(MEAN, device=crops.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=crops.device).view(1, 3, 1, 1)
    return (planes - mean) / std


def area_resize(crops: Tensor, side: int) -> Tensor:
    """Scale crops uint8 [n, s, s, 3] down; each pixel is the mean of the area it covers."""
    if crops.shape[1] == side:
        return crops
    planes = crops.permute(0, 3, 1, 2).float()
    smaller = nn.functional.interpolate(planes, (side, side), mode="area")
    return smaller.round().to(torch.uint8).permute(0, 2, 3, 1)


class Block(nn.Module):
    """Bottleneck: 1x1, grouped 3x3 (which carries the stride), 1x1, and a residual connection."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inputs, h, w]` -> `[n, outputs, h / stride, w / stride]`."""
        residual = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        result: Tensor = self.relu(self.bn3(self.conv3(x)) + residual)
        return result


class Trunk(nn.Module):
    """ResNeXt50-32x4d without its classifier; state dict keys are torchvision's.

    Smaller `layers` and `width` (channels of the stem) make smaller networks; there are
    `32 * width` features, 2048 by default. With `zero_init` every block starts as the identity,
    which trains faster from random weights.
    """

    def __init__(
        self,
        layers: tuple[int, int, int, int] = LAYERS,
        width: int = WIDTH,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        self.width = width
        self.features = 32 * width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2, self.layer3, self.layer4 = map(self._stage, range(4), layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Block) and zero_init:
                nn.init.zeros_(module.bn3.weight)

    def _stage(self, number: int, depth: int) -> nn.Sequential:
        inner, outputs = 2 * self.width << number, 4 * self.width << number
        inputs = outputs // 2 if number else self.width
        blocks = [Block(inputs, inner, outputs, 2 if number else 1, self.width // 2)]
        blocks += [Block(outputs, inner, outputs, 1, self.width // 2) for _ in range(depth - 1)]
        return nn.Sequential(*blocks)

    def maps(self, x: Tensor) -> Tensor:
        """Normalised `[n, 3, side, side]` -> feature maps `[n, 2048, side / 32, side / 32]`."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        result: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return result

    def forward(self, x: Tensor) -> Tensor:
        """Normalised `[n, 3, side, side]` -> `[n, 2048]`, the mean over the feature maps."""
        return self.maps(x).mean((2, 3))


class Detector(nn.Module):
    """Our network: trunk, a head for single frames, and an LSTM (batch first) over windows.

    Every logit is of FAKE. `readout` reduces the LSTM's outputs to their mean or the last one. A
    window's logit is the mean of its frames' logits plus `gate` times the LSTM's; at 0 the LSTM
    has no effect. With `gate` None, as in older checkpoints, it is the LSTM's logit alone.
    """

    def __init__(
        self,
        hidden: int = 256,
        readout: Readout = "mean",
        *,
        gate: float | None = None,
        layers: tuple[int, int, int, int] = LAYERS,
        width: int = WIDTH,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        self.readout = readout
        self.gate = gate
        self.trunk = Trunk(layers, width, zero_init)
        self.frame_head = nn.Linear(self.trunk.features, 1)
        self.lstm = nn.LSTM(self.trunk.features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def frame_features(self, x: Tensor) -> Tensor:
        """Normalised `[n, 3, side, side]` -> `[n, 2048]`."""
        result: Tensor = self.trunk(x)
        return result

    def frame_logits(self, features: Tensor) -> Tensor:
        """`[..., 2048]` -> `[...]`."""
        result: Tensor = self.frame_head(features).squeeze(-1)
        return result

    def window_logits(self, features: Tensor) -> Tensor:
        """`[b, T, 2048]` -> `[b]`."""
        logits = self.lstm_logits(features)
        if self.gate is None:
            return logits
        return self.frame_logits(features).mean(1) + self.gate * logits

    def lstm_logits(self, features: Tensor) -> Tensor:
        """`[b, T, 2048]` -> `[b]`, before the gate."""
        outputs, _ = self.lstm(features)
        pooled = outputs.mean(1) if self.readout == "mean" else outputs[:, -1]
        result: Tensor = self.head(pooled).squeeze(-1)
        return result

    def forward(self, windows: Tensor) -> Tensor:
        """Normalised `[b, T, 3, side, side]` -> `[b]`."""
        features = self.trunk(windows.flatten(0, 1))
        return self.window_logits(features.unflatten(0, windows.shape[:2]))


class PublishedNetwork(nn.Module):
    """The published network: 322 keys, BGR planes, outputs (FAKE, REAL).

    Its LSTM has no biases and treats the batch axis as time: at batch 1 every frame is a sequence
    of one step, so `weight_hh_l0`, the forget gate and the order of frames have no effect.
    """

    def __init__(self) -> None:
        super().__init__()
        t = Trunk()
        self.model = nn.Sequential(
            t.conv1, t.bn1, t.relu, t.maxpool, t.layer1, t.layer2, t.layer3, t.layer4
        )
        self.lstm = nn.LSTM(t.features, t.features, bias=False)
        self.linear1 = nn.Linear(t.features, 2)

    def trunk(self) -> Trunk:
        """A `Trunk` with the same weights; its stem expects BGR planes."""
        stages = ("conv1", "bn1", "", "", "layer1", "layer2", "layer3", "layer4")
        weights = {}
        for key, value in self.model.state_dict().items():
            stage, rest = key.split(".", 1)
            weights[f"{stages[int(stage)]}.{rest}"] = value
        trunk = Trunk()
        trunk.load_state_dict(weights)
        return trunk

    def forward(self, windows: Tensor, readout: Readout = "mean") -> Tensor:
        """Normalised BGR `[1, T, 3, side, side]` -> `[1, 2]`, logits of FAKE and REAL."""
        features = self.model(windows.flatten(0, 1)).mean((2, 3))
        outputs, _ = self.lstm(features.unflatten(0, windows.shape[:2]))
        pooled = outputs.mean(1) if readout == "mean" else outputs[:, -1]
        result: Tensor = self.linear1(pooled)
        return result
