"""Folding norms and merging groups leave the function as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from checkpoints import unsettle
from torch import nn
from torch.nn.functional import conv2d

from edge.errors import TruelightError
from export.convert.fold import Convolution, fold_norm, merge_groups


def answer(conv: Convolution, x: torch.Tensor) -> torch.Tensor:
    weight, bias = torch.from_numpy(conv.weight), torch.from_numpy(conv.bias)
    padding = conv.weight.shape[-1] // 2
    return conv2d(x, weight, bias, conv.stride, padding, groups=conv.groups)


def test_a_folded_norm_changes_nothing() -> None:
    conv, norm = nn.Conv2d(16, 32, 3, 2, 1, groups=4, bias=False), nn.BatchNorm2d(32)
    unsettle(norm)
    x = torch.randn(2, 16, 9, 9)
    with torch.inference_mode():
        expected = norm(conv(x))
    assert torch.allclose(answer(fold_norm("c", conv, norm), x), expected, atol=1e-5)


@pytest.mark.parametrize("factor", [1, 2, 4, 8, 32])
def test_merged_groups_change_nothing(factor: int) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(128, 4, 3, 3)).astype(np.float32)
    conv = Convolution("c", weight, rng.normal(size=128).astype(np.float32), 2, 32)
    merged = merge_groups(conv, factor)
    assert merged.groups == 32 // factor
    assert merged.weight.shape == (128, 4 * factor, 3, 3)
    x = torch.from_numpy(rng.normal(size=(2, 128, 8, 8)).astype(np.float32))
    assert torch.allclose(answer(merged, x), answer(conv, x), atol=1e-5)


def test_a_factor_that_does_not_divide_is_refused() -> None:
    conv = Convolution("c", np.zeros((8, 2, 3, 3), np.float32), np.zeros(8, np.float32), 1, 4)
    with pytest.raises(TruelightError, match="3 does not divide"):
        merge_groups(conv, 3)
