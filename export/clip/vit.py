"""A CLIP encoder in torch with its own int8 weights, whose layer norms can learn.

The network computes what `export.clip.graph.features_graph` does, except for the rounding of the
products' inputs. Only the layer norms are parameters; an adapter file holds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edge.errors import TruelightError
from export.clip.graph import MEAN, SCALE, STD, WEIGHT, Encoder, Tap

HEAD = 64  # channels of an attention head, in every CLIP
ROOT = "vision_model."
PRODUCT = re.compile(r"^/vision_model/(.+)/MatMul_quant$")
EPSILON = 1e-5


class Vit(nn.Module):
    """uint8 crops [n, side, side, 3] RGB -> float32 features [n, width]."""

    mean: Tensor
    std: Tensor
    patches: Tensor
    token: Tensor
    places: Tensor

    def __init__(
        self, encoder: Encoder, taps: Sequence[Tap], dtype: torch.dtype = torch.float32
    ) -> None:
        """Load the weights up to the last tap; computes in `dtype`.

        Raises TruelightError if there is no such layer, or the file is not a CLIP encoder.
        """
        super().__init__()
        self.side, self.taps, self.width = encoder.side, tuple(taps), encoder.width * len(taps)
        depth = max(tap.layer for tap in taps)
        if not {tap.layer for tap in taps} <= encoder.streams.keys():
            raise TruelightError(f"There are {len(encoder.streams)} layers, not {depth}.")
        weights = _Weights(encoder, dtype)
        try:
            _buffer(self, "mean", 255 * torch.tensor(MEAN))
            _buffer(self, "std", 255 * torch.tensor(STD))
            _buffer(self, "patches", weights.plain("embeddings.patch_embedding.weight"))
            _buffer(self, "token", weights.plain("embeddings.class_embedding"))
            _buffer(self, "places", weights.plain("embeddings.position_embedding.weight"))
            self.pre_layrnorm = Norm(weights, "pre_layrnorm")  # CLIP's spelling
            layers = nn.ModuleList(Layer(weights, f"encoder.layers.{at}") for at in range(depth))
        except KeyError as missing:
            raise TruelightError(f"The encoder is not a CLIP: {missing} is missing.") from None
        self.encoder = nn.ModuleDict({"layers": layers})

    def forward(self, crops: Tensor) -> Tensor:
        """The statistics of all taps."""
        pixels = ((crops - self.mean) / self.std).permute(0, 3, 1, 2)
        kernel = self.patches
        grid = nn.functional.conv2d(pixels.to(kernel.dtype), kernel, stride=kernel.shape[-1])
        tokens = grid.flatten(2).transpose(1, 2)
        first = self.token.expand(len(crops), 1, -1)
        x = self.pre_layrnorm(torch.cat([first, tokens], 1) + self.places)
        streams = []
        for layer in self.encoder["layers"].children():
            x = layer(x)
            streams.append(x)
        return torch.cat([_statistic(streams[tap.layer - 1].float(), tap) for tap in self.taps], 1)

    def norms(self) -> dict[str, Tensor]:
        """The layer norms' parameters, by the names of the encoder's initializers."""
        return {ROOT + name: value for name, value in self.state_dict().items()}

    def load_norms(self, norms: Mapping[str, Tensor]) -> None:
        """Load all norms. Raises TruelightError if they are of other layers."""
        try:
            self.load_state_dict({n.removeprefix(ROOT): value for n, value in norms.items()})
        except RuntimeError as failure:
            reason = " ".join(str(failure).split())[:200]
            raise TruelightError(f"The norms are of another encoder: {reason}") from None


class Layer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, weights: _Weights, name: str) -> None:
        super().__init__()
        self.layer_norm1 = Norm(weights, f"{name}.layer_norm1")
        self.layer_norm2 = Norm(weights, f"{name}.layer_norm2")
        self.query, self.key, self.value, self.out = (
            Linear(weights, f"{name}.self_attn.{part}_proj") for part in ("q", "k", "v", "out")
        )
        self.fc1, self.fc2 = (Linear(weights, f"{name}.mlp.{part}") for part in ("fc1", "fc2"))

    def forward(self, x: Tensor) -> Tensor:
        """`[n, tokens, width]` -> the same shape."""
        h = self.layer_norm1(x)
        query, key, value = (
            part(h).unflatten(2, (-1, HEAD)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        h = self.fc1(self.layer_norm2(x))
        result: Tensor = x + self.fc2(h * torch.sigmoid(1.702 * h))  # CLIP's QuickGELU
        return result


class Norm(nn.Module):
    """A layer norm with float32 parameters in any dtype of computation."""

    def __init__(self, weights: _Weights, name: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(weights.plain(f"{name}.weight").float())
        self.bias = nn.Parameter(weights.plain(f"{name}.bias").float())

    def forward(self, x: Tensor) -> Tensor:
        """`[..., width]` -> the same shape."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return nn.functional.layer_norm(x, weight.shape, weight, bias, EPSILON)


class Linear(nn.Module):
    """A frozen linear layer."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weights: _Weights, name: str) -> None:
        super().__init__()
        _buffer(self, "weight", weights.halved(name))
        _buffer(self, "bias", weights.plain(f"{name}.bias"))

    def forward(self, x: Tensor) -> Tensor:
        """`[..., columns]` -> `[..., rows]`."""
        return nn.functional.linear(x, self.weight, self.bias)


class _Weights:
    """An encoder's initializers as tensors. KeyError if one is missing."""

    def __init__(self, encoder: Encoder, dtype: torch.dtype) -> None:
        graph = encoder.model.graph
        self._dtype = dtype
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        nodes = ((PRODUCT.match(node.name), node) for node in graph.node)
        # A node's name has slashes where a tensor's has dots.
        self._products = {m[1].replace("/", "."): node.input[1] for m, node in nodes if m}

    def plain(self, name: str) -> Tensor:
        """A float tensor."""
        return self._array(ROOT + name).to(self._dtype)

    def halved(self, name: str) -> Tensor:
        """A product's int8 weights [rows, columns] as floats, rounded as the graph halves them."""
        weight = self._products[name]
        scale = self._array(weight.removesuffix(WEIGHT) + SCALE)
        whole = torch.round(self._array(weight).float() / 2) * (2 * scale)
        return whole.T.contiguous().to(self._dtype)

    def _array(self, name: str) -> Tensor:
        return torch.from_numpy(numpy_helper.to_array(self._tensors[name]).copy())


def _buffer(module: nn.Module, name: str, value: Tensor) -> None:
    """Register a tensor that is neither learned nor saved."""
    module.register_buffer(name, value, persistent=False)


def _statistic(tokens: Tensor, tap: Tap) -> Tensor:
    """float32 [n, tokens, width] -> [n, width]."""
    if tap.statistic == "class":
        return tokens[:, 0]
    if tap.statistic == "mean":
        return tokens[:, 1:].mean(1)
    return tokens[:, 1:].std(1, correction=0)
