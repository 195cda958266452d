"""The trunk as plain arrays: BatchNorm folded into the convolutions, groups merged.

Neither changes the function but for rounding; both must come before quantization.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge.errors import TruelightError
from edge.scan.frames import Floats
from export.train.network import Block, Trunk

STAGES = ("layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True)
class Convolution:
    """Weights `[outputs, inputs / groups, k, k]`, bias `[outputs]`; padded by `k // 2`."""

    name: str
    weight: Floats
    bias: Floats
    stride: int = 1
    groups: int = 1


@dataclass(frozen=True)
class FoldedBlock:
    """A bottleneck block with its norms folded."""

    conv1: Convolution
    conv2: Convolution
    conv3: Convolution
    shortcut: Convolution | None


@dataclass(frozen=True)
class FoldedTrunk:
    """A whole trunk; the stem wants RGB planes of 0 to 255, less `mean`."""

    stem: Convolution
    stages: tuple[tuple[FoldedBlock, ...], ...]
    mean: Floats

    def convolutions(self) -> Iterator[Convolution]:
        """Yield every convolution."""
        yield self.stem
        for block in (block for stage in self.stages for block in stage):
            yield from (block.conv1, block.conv2, block.conv3)
            if block.shortcut is not None:
                yield block.shortcut


def fold(trunk: Trunk, mean: Sequence[float], std: Sequence[float], bgr: bool) -> FoldedTrunk:
    """Fold a trunk's norms into its convolutions, and `std` into its stem.

    `mean` and `std` belong to the trunk's input planes, 0 to 1. With `bgr` the stem's planes and
    the statistics are reversed, so that the folded trunk takes RGB.
    """
    stem = fold_norm("stem", trunk.conv1, trunk.bn1)
    gain = 1 / (255 * np.asarray(std, np.float64)).reshape(1, 3, 1, 1)
    weight = (stem.weight * gain).astype(np.float32)
    planes = slice(None, None, -1 if bgr else 1)
    stages = (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4)
    return FoldedTrunk(
        replace(stem, weight=np.ascontiguousarray(weight[:, planes])),
        tuple(
            tuple(_fold_block(f"{name}.{at}", block) for at, block in enumerate(stage))
            for name, stage in zip(STAGES, stages, strict=True)
        ),
        (255 * np.asarray(mean, np.float64)).astype(np.float32)[planes],
    )


def _fold_block(name: str, block: nn.Module) -> FoldedBlock:
    assert isinstance(block, Block)
    shortcut = None
    if block.downsample is not None:
        conv, norm = block.downsample
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        shortcut = fold_norm(f"{name}.shortcut", conv, norm)
    return FoldedBlock(
        fold_norm(f"{name}.conv1", block.conv1, block.bn1),
        fold_norm(f"{name}.conv2", block.conv2, block.bn2),
        fold_norm(f"{name}.conv3", block.conv3, block.bn3),
        shortcut,
    )


def fold_norm(name: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Convolution:
    """One convolution that equals `conv` followed by `norm` in inference."""
    fused = fuse_conv_bn_eval(deepcopy(conv).double().eval(), deepcopy(norm).double().eval())
    assert fused.bias is not None
    weight, bias = fused.weight.detach().float(), fused.bias.detach().float()
    return Convolution(name, weight.numpy(), bias.numpy(), conv.stride[0], conv.groups)


def merge_groups(conv: Convolution, factor: int) -> Convolution:
    """Merge `factor` neighbouring groups: the same function in fewer, larger products.

    The weights are blocks on the diagonal, with zeros elsewhere. Raises TruelightError if `factor`
    does not divide the groups.
    """
    if conv.groups % factor:
        raise TruelightError(
            f"{conv.name} has {conv.groups} groups; {factor} does not divide them.",
            "Give four group factors, one a stage, that divide the stage's groups.",
        )
    outputs, inputs, height, width = conv.weight.shape
    groups, per_group = conv.groups // factor, outputs // conv.groups
    narrow = conv.weight.reshape(groups, factor, per_group, inputs, height, width)
    wide = np.zeros((groups, factor, per_group, factor, inputs, height, width), np.float32)
    for at in range(factor):
        wide[:, at, :, at] = narrow[:, at]
    weight = wide.reshape(outputs, factor * inputs, height, width)
    return replace(conv, weight=weight, groups=groups)


def regroup(trunk: FoldedTrunk, factors: Sequence[int]) -> FoldedTrunk:
    """Merge the groups of every 3x3 convolution by its stage's factor."""
    if len(factors) != len(trunk.stages):
        raise TruelightError(f"There are {len(trunk.stages)} stages, but {len(factors)} factors.")
    stages = tuple(
        tuple(replace(block, conv2=merge_groups(block.conv2, factor)) for block in stage)
        for stage, factor in zip(trunk.stages, factors, strict=True)
    )
    return replace(trunk, stages=stages)
