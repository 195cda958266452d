"""The networks in torch: our own detector, and the published one it descends from.

Both are a ResNeXt50-32x4d trunk over single crops and an LSTM over the crops of a window. Pictures
go in as float32 `[n, 3, side, side]`, normalised by `normalise`: RGB planes, 0 to 1, less `MEAN`,
over `STD`. The published network wants the same statistics applied to BGR planes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
LAYERS = (3, 4, 6, 3)
WIDTH = 64

Readout = Literal["mean", "last"]


def normalise(crops: Tensor) -> Tensor:
    """uint8 `[n, side, side, 3]` RGB -> float32 `[n, 3, side, side]`, as the networks want it."""
    planes = crops.permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(MEAN, device=crops.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=crops.device).view(1, 3, 1, 1)
    return (planes - mean) / std


class Block(nn.Module):
    """Bottleneck: 1x1, grouped 3x3 (which carries the stride), 1x1, added to its input."""

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
        kept = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        result: Tensor = self.relu(self.bn3(self.conv3(x)) + kept)
        return result


class Trunk(nn.Module):
    """ResNeXt50-32x4d without its classifier; keys of the state dict as torchvision names them.

    `layers` and `width` (channels of the stem) make smaller ones of the same shape; the features
    are `32 * width` wide, 2048 for the real one. `zero_init` starts every block as the identity
    (gamma of its last norm 0), which trains faster from nothing.
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
        self.layer1 = self._stage(0, layers[0])
        self.layer2 = self._stage(1, layers[1])
        self.layer3 = self._stage(2, layers[2])
        self.layer4 = self._stage(3, layers[3])
        self._initialise(zero_init)

    def _stage(self, number: int, depth: int) -> nn.Sequential:
        inner, outputs = 2 * self.width << number, 4 * self.width << number
        inputs = outputs // 2 if number else self.width
        blocks = [Block(inputs, inner, outputs, 2 if number else 1, self.width // 2)]
        blocks += [Block(outputs, inner, outputs, 1, self.width // 2) for _ in range(depth - 1)]
        return nn.Sequential(*blocks)

    def _initialise(self, zero_init: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Block) and zero_init:
                nn.init.zeros_(module.bn3.weight)

    def maps(self, x: Tensor) -> Tensor:
        """Normalised `[n, 3, side, side]` -> feature maps `[n, 2048, side / 32, side / 32]`."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        result: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return result

    def forward(self, x: Tensor) -> Tensor:
        """Normalised `[n, 3, side, side]` -> `[n, 2048]`, the feature maps' means."""
        return self.maps(x).mean((2, 3))

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Take torchvision's resnext50_32x4d state dict; its classifier `fc` is left out.

        Raises RuntimeError, naming the keys, if it is the file of another network.
        """
        self.load_state_dict({k: v for k, v in weights.items() if not k.startswith("fc.")})


class Detector(nn.Module):
    """Our own network: trunk, a head for single frames, and an LSTM (batch first) over windows.

    Every logit is of FAKE. `readout` joins the LSTM's outputs: their mean over the window, or the
    last. A window's logit is the mean of its frames' logits plus `gate` times the LSTM's: at 0 the
    LSTM does nothing. Without a gate, as older checkpoints have none, it is the LSTM's alone.
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
        """`[..., 2048]` -> `[...]`: each crop judged alone."""
        result: Tensor = self.frame_head(features).squeeze(-1)
        return result

    def window_logits(self, features: Tensor) -> Tensor:
        """`[b, T, 2048]` -> `[b]`: each window judged whole."""
        whole = self.lstm_logits(features)
        if self.gate is None:
            return whole
        return self.frame_logits(features).mean(1) + self.gate * whole

    def lstm_logits(self, features: Tensor) -> Tensor:
        """`[b, T, 2048]` -> `[b]`: what the LSTM says of each window, before its gate."""
        outputs, _ = self.lstm(features)
        joined = outputs.mean(1) if self.readout == "mean" else outputs[:, -1]
        result: Tensor = self.head(joined).squeeze(-1)
        return result

    def forward(self, windows: Tensor) -> Tensor:
        """Normalised `[b, T, 3, side, side]` -> `[b]`."""
        features = self.trunk(windows.flatten(0, 1))
        return self.window_logits(features.unflatten(0, windows.shape[:2]))


class PublishedNetwork(nn.Module):
    """The published network with its own semantics: 322 keys, BGR planes, outputs (FAKE, REAL).

    Its LSTM has no biases and takes the batch for time, so at batch 1 every frame is a sequence of
    one step: `weight_hh_l0` and the forget gate never act, and the order of frames is nothing.
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
        """The same weights as a `Trunk`; its stem wants BGR planes."""
        stages = ("conv1", "bn1", "", "", "layer1", "layer2", "layer3", "layer4")
        weights = {}
        for key, value in self.model.state_dict().items():
            stage, rest = key.split(".", 1)
            weights[f"{stages[int(stage)]}.{rest}"] = value
        trunk = Trunk()
        trunk.load_state_dict(weights)
        return trunk

    def forward(self, windows: Tensor, readout: Readout = "mean") -> Tensor:
        """Normalised BGR `[1, T, 3, side, side]` -> `[1, 2]`, logits of FAKE and of REAL."""
        features = self.model(windows.flatten(0, 1)).mean((2, 3))
        outputs, _ = self.lstm(features.unflatten(0, windows.shape[:2]))
        joined = outputs.mean(1) if readout == "mean" else outputs[:, -1]
        result: Tensor = self.linear1(joined)
        return result
