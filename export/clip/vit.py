"""The first layers of a CLIP ViT in torch, of a tower's own int8 weights: its norms can learn.

It computes what the graph that `export.clip.graph.lay_tower` lays does, but for the rounding
of what goes into a product: weights are halved as there. Only the layer norms are parameters, so
the state dict holds nothing else, by the names that their initializers have in the tower's file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edge.errors import TruelightError
from export.clip.graph import MEAN, SCALE, SPREAD, WEIGHT, Tap, Tower

HEAD = 64  # numbers a head of attention has, in every CLIP
ROOT = "vision_model."
PRODUCT = re.compile(r"^/vision_model/(.+)/MatMul_quant$")
EPSILON = 1e-5


class Vit(nn.Module):
    """uint8 crops [n, side, side, 3] RGB -> float32 features [n, D], `width` in all."""

    mean: Tensor
    spread: Tensor
    patches: Tensor
    token: Tensor
    places: Tensor

    def __init__(
        self, tower: Tower, taps: Sequence[Tap], dtype: torch.dtype = torch.float32
    ) -> None:
        """Take the weights up to the last tap; `dtype` is what is computed in.

        Raises TruelightError if there is no such layer, or the tower is no CLIP.
        """
        super().__init__()
        self.side, self.taps, self.width = tower.side, tuple(taps), tower.width * len(taps)
        depth = max(tap.layer for tap in taps)
        if not {tap.layer for tap in taps} <= tower.streams.keys():
            raise TruelightError(f"There are {len(tower.streams)} layers, not {depth}.")
        given = _Given(tower, dtype)
        try:
            _keep(self, "mean", 255 * torch.tensor(MEAN))
            _keep(self, "spread", 255 * torch.tensor(SPREAD))
            _keep(self, "patches", given.plain("embeddings.patch_embedding.weight"))
            _keep(self, "token", given.plain("embeddings.class_embedding"))
            _keep(self, "places", given.plain("embeddings.position_embedding.weight"))
            self.pre_layrnorm = Norm(given, "pre_layrnorm")  # so it is spelled
            layers = nn.ModuleList(Layer(given, f"encoder.layers.{at}") for at in range(depth))
        except KeyError as missing:
            raise TruelightError(f"The tower is no CLIP: it lacks {missing}.") from None
        self.encoder = nn.ModuleDict({"layers": layers})

    def forward(self, crops: Tensor) -> Tensor:
        """The taps' statistics, one after the other."""
        pixels = ((crops - self.mean) / self.spread).permute(0, 3, 1, 2)
        kernel = self.patches
        grid = nn.functional.conv2d(pixels.to(kernel.dtype), kernel, stride=kernel.shape[-1])
        tokens = grid.flatten(2).transpose(1, 2)
        first = self.token.expand(len(crops), 1, -1)
        x = self.pre_layrnorm(torch.cat([first, tokens], 1) + self.places)
        behind = []
        for layer in self.encoder["layers"].children():
            x = layer(x)
            behind.append(x)
        return torch.cat([_statistic(behind[tap.layer - 1].float(), tap) for tap in self.taps], 1)

    def norms(self) -> dict[str, Tensor]:
        """The layer norms' scales and offsets, by the names of the tower's initializers."""
        return {ROOT + name: value for name, value in self.state_dict().items()}

    def load_norms(self, norms: Mapping[str, Tensor]) -> None:
        """Take tuned ones, all of them.

        Raises TruelightError if they are of other layers.
        """
        try:
            self.load_state_dict({n.removeprefix(ROOT): value for n, value in norms.items()})
        except RuntimeError as failure:
            reason = " ".join(str(failure).split())[:200]
            raise TruelightError(f"The norms are of another tower: {reason}") from None


class Layer(nn.Module):
    """Attention, then two products, each on normed tokens and added to the stream."""

    def __init__(self, given: _Given, name: str) -> None:
        super().__init__()
        self.layer_norm1 = Norm(given, f"{name}.layer_norm1")
        self.layer_norm2 = Norm(given, f"{name}.layer_norm2")
        self.query, self.key, self.value, self.out = (
            Product(given, f"{name}.self_attn.{part}_proj") for part in ("q", "k", "v", "out")
        )
        self.grow, self.shrink = (Product(given, f"{name}.mlp.{part}") for part in ("fc1", "fc2"))

    def forward(self, x: Tensor) -> Tensor:
        """`[n, tokens, width]`, like what comes out."""
        h = self.layer_norm1(x)
        query, key, value = (
            part(h).unflatten(2, (-1, HEAD)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        heard = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(heard.transpose(1, 2).flatten(2))
        h = self.grow(self.layer_norm2(x))
        shrunk: Tensor = self.shrink(h * torch.sigmoid(1.702 * h))  # CLIP's cheaper GELU
        return x + shrunk


class Norm(nn.Module):
    """A layer norm whose parameters are float32 whatever it computes in."""

    def __init__(self, given: _Given, name: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(given.plain(f"{name}.weight").float())
        self.bias = nn.Parameter(given.plain(f"{name}.bias").float())

    def forward(self, x: Tensor) -> Tensor:
        """`[..., width]`, like what comes out."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return nn.functional.layer_norm(x, weight.shape, weight, bias, EPSILON)


class Product(nn.Module):
    """A linear map that does not learn."""

    weight: Tensor
    bias: Tensor

    def __init__(self, given: _Given, name: str) -> None:
        super().__init__()
        _keep(self, "weight", given.halved(name))
        _keep(self, "bias", given.plain(f"{name}.bias"))

    def forward(self, x: Tensor) -> Tensor:
        """`[..., columns]` -> `[..., rows]`."""
        return nn.functional.linear(x, self.weight, self.bias)


class _Given:
    """A tower's initializers, as torch wants them. KeyError if one is missing."""

    def __init__(self, tower: Tower, dtype: torch.dtype) -> None:
        graph = tower.model.graph
        self._dtype = dtype
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        nodes = ((PRODUCT.match(node.name), node) for node in graph.node)
        # Of the modules between, the name of a node has slashes where that of a tensor has dots.
        self._products = {m[1].replace("/", "."): node.input[1] for m, node in nodes if m}

    def plain(self, name: str) -> Tensor:
        """A float tensor."""
        return self._array(ROOT + name).to(self._dtype)

    def halved(self, name: str) -> Tensor:
        """A product's int8 weights [rows, columns] as floats: half of each, rounded to even."""
        weight = self._products[name]
        scale = self._array(weight.removesuffix(WEIGHT) + SCALE)
        whole = torch.round(self._array(weight).float() / 2) * (2 * scale)
        return whole.T.contiguous().to(self._dtype)

    def _array(self, name: str) -> Tensor:
        return torch.from_numpy(numpy_helper.to_array(self._tensors[name]).copy())


def _keep(module: nn.Module, name: str, value: Tensor) -> None:
    """Of the module, but neither learned nor saved."""
    module.register_buffer(name, value, persistent=False)


def _statistic(tokens: Tensor, tap: Tap) -> Tensor:
    """float32 [n, tokens, width] -> [n, width]."""
    if tap.statistic == "class":
        return tokens[:, 0]
    if tap.statistic == "mean":
        return tokens[:, 1:].mean(1)
    return tokens[:, 1:].std(1, correction=0)
