"""From a bundle's int8 graphs back to a checkpoint that training can start from.

The features graph has every convolution as integers with scales, its BatchNorm folded in and its
groups merged. This splits the groups, divides the pixel scale out of the stem, and puts a
BatchNorm behind each convolution whose statistics are measured on crops and whose scale and offset
undo them: the network computes the same in inference and, up to the noise of a batch, in training.
What rounding lost stays lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from edge.errors import TruelightError
from edge.scan.frames import Crops, CropSpec
from edge.scan.model.bundle import load_bundle
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.manifest import FEATURES, SEQUENCE, Manifest
from export.convert.fold import STAGES
from export.data.crop_folders import sample_crops
from export.data.folders import StageProgress
from export.metrics import Floats
from export.train.checkpoint import FORMAT, save
from export.train.network import STD, Block, Detector, normalise

BATCH = 64
COMPARED = 4
"""One crop in this many compares the network with the bundle instead of measuring statistics."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Recovered:
    """How the recovered network's logits differ from the bundle's, on crops."""

    crops: int
    mean: float
    largest: float
    spread: float
    """Standard deviation of the bundle's own logits."""


def recover(
    bundle: Path, folder: Path, crops: int, out: Path, report: StageProgress
) -> Recovered:  # fmt: skip
    """Write the checkpoint of a bundle to `out` and compare it with the bundle.

    Statistics are measured on about `crops` face crops of `folder`.
    Raises TruelightError if the bundle is not an int8 export of our network.
    """
    info = read_bundle(bundle)
    manifest, loaded = info.manifest, load_bundle(info)
    spec = CropSpec(manifest.input.side, **manifest.input.crop.model_dump())
    found = sample_crops(folder, spec, crops, lambda d, t: report("reading crops", d, t)).crops
    compared = np.arange(len(found)) % COMPARED == 0
    report("recovering", 0, 1)
    network = recovered_network(bundle, manifest, found[~compared])
    save(
        out,
        {"format": FORMAT, "config": _config(manifest, network), "model": network.state_dict()},
    )
    windows = loaded.features(found[compared])[:, None]
    ours = _frame_logits(network, found[compared])
    theirs = np.asarray(loaded.sequence(windows), np.float64)
    off = np.abs(ours - theirs)
    return Recovered(len(off), float(off.mean()), float(off.max()), float(theirs.std()))


def recovered_network(bundle: Path, manifest: Manifest, crops: Crops) -> Detector:
    """The network of a bundle, in inference mode; crops are uint8 `[n, side, side, 3]` RGB.

    If the bundle leaves the LSTM out, the network's LSTM has random weights and its gate is 0.
    Raises TruelightError if the bundle is not an int8 export of our network.
    """
    factors = manifest.graphs.group_factors
    if manifest.kind != "truelight" or not factors:
        raise TruelightError(
            f"{bundle} is not an int8 export of our network.", "Only such bundles are recovered."
        )
    features, sequence = _arrays(bundle / FEATURES), _arrays(bundle / SEQUENCE)
    try:
        network = _empty(features, sequence)
        _fill_trunk(network, features, factors)
        _fill_heads(network, sequence)
    except (KeyError, ValueError, RuntimeError) as failure:
        raise TruelightError(f"{bundle} cannot be recovered: {failure}.") from None
    _measure_norms(network.eval(), crops)
    return network


def _config(manifest: Manifest, network: Detector) -> dict[str, Any]:
    trunk = network.trunk
    stages = (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4)
    return {
        "name": manifest.name,
        "side": manifest.input.side,
        "crop": manifest.input.crop.model_dump(),
        "window": manifest.window.model_dump(),
        "hidden": network.lstm.hidden_size,
        "readout": "mean",
        "gate": network.gate,
        "layers": [len(stage) for stage in stages],
        "width": trunk.width,
    }


def _arrays(file: Path) -> Arrays:
    """The constants of a graph, by name."""
    graph = onnx.load(str(file)).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def _empty(features: Arrays, sequence: Arrays) -> Detector:
    """A network of the bundle's size. The graph does not say the read-out; ours is the mean."""
    width = len(features["stem.bias.int32"])
    first, second, third, fourth = (
        sum(bool(re.fullmatch(rf"{stage}\.\d+\.conv1\.bias\.int32", name)) for name in features)
        for stage in STAGES
    )
    recurrent = sequence.get("lstm.recurrent")
    hidden = 256 if recurrent is None else recurrent.shape[-1]
    # The exporter multiplied the LSTM's head by the gate. Zeros are a gate of 0.
    used = recurrent is not None and bool(sequence["head.weight"].any())
    gate = (1.0 if "frame.weight" in sequence else None) if used else 0.0
    return Detector(hidden, gate=gate, layers=(first, second, third, fourth), width=width)


def _dequantized(arrays: Arrays, name: str) -> Floats:
    """Integers times their scales, by output channel."""
    values = arrays[f"{name}.{'int32' if name.endswith('bias') else 'int8'}"].astype(np.float64)
    scales = arrays[f"{name}.scale"].astype(np.float64)
    return np.asarray(values * scales.reshape(-1, *[1] * (values.ndim - 1)))


def split_groups(weight: Floats, groups: int, factor: int) -> Floats:
    """Undo `fold.merge_groups`: keep the blocks on the diagonal of each of `groups` groups.

    `[outputs, factor * inputs, k, k]` -> `[outputs, inputs, k, k]`.
    """
    outputs, wide, height, width = weight.shape
    inputs, per_group = wide // factor, outputs // (groups * factor)
    blocks = weight.reshape(groups, factor, per_group, factor, inputs, height, width)
    kept = np.stack([blocks[:, at, :, at] for at in range(factor)], axis=1)
    return kept.reshape(outputs, inputs, height, width)


def _fill_trunk(network: Detector, arrays: Arrays, factors: Mapping[str, int]) -> None:
    trunk = network.trunk
    gain = 255 * np.asarray(STD, np.float64).reshape(1, 3, 1, 1)
    stem = _dequantized(arrays, "stem.weight") * gain
    _fill(trunk.conv1, trunk.bn1, stem, _dequantized(arrays, "stem.bias"))
    stages = (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4)
    for name, stage in zip(STAGES, stages, strict=True):
        for at, block in enumerate(stage):
            assert isinstance(block, Block)
            _fill_block(block, f"{name}.{at}", arrays, factors[name])


def _fill_block(block: Block, name: str, arrays: Arrays, factor: int) -> None:
    parts: list[tuple[str, nn.Module, nn.Module]] = [
        ("conv1", block.conv1, block.bn1),
        ("conv2", block.conv2, block.bn2),
        ("conv3", block.conv3, block.bn3),
    ]
    if block.downsample is not None:
        parts.append(("shortcut", block.downsample[0], block.downsample[1]))
    for part, conv, norm in parts:
        weight = _dequantized(arrays, f"{name}.{part}.weight")
        if part == "conv2":
            weight = split_groups(weight, block.conv2.groups // factor, factor)
        _fill(conv, norm, weight, _dequantized(arrays, f"{name}.{part}.bias"))


@torch.no_grad()
def _fill(conv: nn.Module, norm: nn.Module, weight: Floats, bias: Floats) -> None:
    """Set a convolution's weights, and a norm that only adds the bias."""
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    conv.weight.copy_(_tensor(weight))
    norm.reset_running_stats()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1.0)
    norm.bias.copy_(_tensor(bias))


@torch.no_grad()
def _fill_heads(network: Detector, arrays: Arrays) -> None:
    """The head for frames and, if the bundle uses it, the LSTM with its head."""
    frame = "frame" if "frame.weight" in arrays else "head"
    if network.gate is not None:
        network.frame_head.weight.copy_(_tensor(arrays[f"{frame}.weight"].T))
        network.frame_head.bias.copy_(_tensor(arrays[f"{frame}.bias"]))
    if network.gate == 0:
        return
    network.head.weight.copy_(_tensor(arrays["head.weight"].T))
    network.head.bias.copy_(_tensor(arrays["head.bias"]))
    inner, outer = np.split(arrays["lstm.bias"][0], 2)
    state = {
        "weight_ih_l0": arrays["lstm.input"][0],
        "weight_hh_l0": arrays["lstm.recurrent"][0],
        "bias_ih_l0": inner,
        "bias_hh_l0": outer,
    }
    network.lstm.load_state_dict(
        {key: _tensor(_torch_order(value)) for key, value in state.items()}
    )


def _torch_order(gates: NDArray[Any]) -> NDArray[Any]:
    """ONNX stacks the gates i, o, f, g; torch wants i, f, g, o."""
    i, o, f, g = np.split(gates, 4)
    return np.concatenate([i, f, g, o])


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


@torch.no_grad()
def _measure_norms(network: Detector, crops: Crops) -> None:
    """Give every norm the statistics of its input, and a scale and an offset that undo them.

    The network's function does not change, so one pass measures all of them.
    """
    norms = [module for module in network.trunk.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = {id(norm): torch.zeros(2, norm.num_features, dtype=torch.float64) for norm in norms}
    batches = 0

    def note(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].double()
        sums[id(norm)] += torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))])

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    for at in range(0, len(crops), BATCH):
        network.frame_features(normalise(torch.from_numpy(crops[at : at + BATCH])))
        batches += 1
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, square = sums[id(norm)] / max(batches, 1)
        variance = (square - mean**2).clamp_min(1e-6)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean.float())


@torch.no_grad()
def _frame_logits(network: Detector, crops: Crops) -> Floats:
    """`[n]`: each crop as a window of one frame."""
    parts = [
        network.window_logits(
            network.frame_features(normalise(torch.from_numpy(crops[at : at + BATCH])))[:, None]
        )
        for at in range(0, len(crops), BATCH)
    ]
    return np.asarray(torch.cat(parts).double().numpy())
