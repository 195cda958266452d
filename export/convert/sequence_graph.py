"""sequence.onnx, node by node.

float32 `features [n, T, 2048]` -> float32 `logits [n]` of FAKE; n and T are free.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from edge.scan.frames import Floats
from export.convert.builder import Builder, floats
from export.train.network import Detector, PublishedNetwork, Readout


def own_sequence(network: Detector) -> onnx.ModelProto:
    """The sequence graph of our own network: the LSTM over the window, batch first.

    With a gate, the LSTM's logit is added to the mean of the frames' logits; a gate of 0 leaves
    the LSTM out.
    """
    if network.gate == 0:
        weight, bias = _linear(network.frame_head)
        return linear_sequence(weight[:, 0], float(bias[0]))
    g = Builder()
    x = g.then("Transpose", ["features"], "time_first", perm=[1, 0, 2])
    gates = {key: _gates(value.numpy()) for key, value in network.lstm.state_dict().items()}
    biases = np.concatenate([gates["bias_ih_l0"], gates["bias_hh_l0"]])
    weights = [
        g.weight("lstm.input", gates["weight_ih_l0"][None]),
        g.weight("lstm.recurrent", gates["weight_hh_l0"][None]),
        g.weight("lstm.bias", biases[None]),
    ]
    y = g.then("LSTM", [x, *weights], "lstm", hidden_size=network.lstm.hidden_size)
    y = g.then("Squeeze", [y, g.weight("direction", np.array([1], np.int64))], "outputs")
    y = _read_out(g, y, network.readout, axis=0)
    weight, bias = _linear(network.head)
    width = network.lstm.input_size
    if network.gate is None:
        return _finish(g, y, weight, bias, width)
    # The frames' head is linear: the mean of its logits is its logit of the features' mean.
    mean = g.then("ReduceMean", ["features"], "frame_mean", axes=[1], keepdims=0)
    frame_weight, frame_bias = _linear(network.frame_head)
    weights = [g.weight("frame.weight", frame_weight), g.weight("frame.bias", frame_bias)]
    frames = g.then("Gemm", [mean, *weights], "frames")
    return _finish(g, y, weight * network.gate, bias * network.gate, width, frames)


def _gates(torch_order: Floats) -> Floats:
    """Torch stacks the gates i, f, g, o; ONNX wants i, o, f, g."""
    i, f, g, o = np.split(torch_order, 4)
    return np.concatenate([i, o, f, g])


def published_sequence(network: PublishedNetwork, readout: Readout) -> onnx.ModelProto:
    """The sequence graph of the published network in closed form.

    Every frame is a sequence of one step from a zero state: h = sig(o) tanh(sig(i) tanh(g)). The
    recurrent weights and the forget gate have no effect and are left out.
    """
    g = Builder()
    x = "features"
    if readout == "last":
        x = _read_out(g, x, readout, axis=1)
    parts = np.split(network.lstm.state_dict()["weight_ih_l0"].numpy(), 4)
    live = np.concatenate([parts[0], parts[2], parts[3]])
    x = g.then("MatMul", [x, g.weight("gates.weight", live.T)], "gates")
    i, cell, o = g.split(x, ["gate.i", "gate.g", "gate.o"])
    i, o = g.then("Sigmoid", [i], "input_gate"), g.then("Sigmoid", [o], "output_gate")
    state = g.then("Mul", [i, g.then("Tanh", [cell], "candidate")], "state")
    y = g.then("Mul", [o, g.then("Tanh", [state], "squashed")], "outputs")
    if readout == "mean":
        y = _read_out(g, y, readout, axis=1)
    weight, bias = network.linear1.weight.detach().numpy(), network.linear1.bias.detach().numpy()
    # Of two classes, FAKE first, softmax is the sigmoid of the logits' difference.
    return _finish(g, y, (weight[0] - weight[1])[:, None], bias[:1] - bias[1:], weight.shape[1])


def linear_sequence(
    weight: NDArray[np.floating],
    bias: float,
    generated: tuple[NDArray[np.floating], float] | None = None,
) -> onnx.ModelProto:
    """The sequence graph of a linear head `[D]` on the mean of a window's features.

    `generated` is another such head, for faces generated whole: the output `generated` `[n]`.
    """
    g = Builder()
    mean = _read_out(g, "features", "mean", axis=1)
    if generated is None:
        return _finish(g, mean, *_columns(weight, bias), len(weight))
    _output(g, mean, *_columns(*generated), "generated")
    return _finish(g, mean, *_columns(weight, bias), len(weight), more=("generated",))


def _columns(weight: NDArray[np.floating], bias: float) -> tuple[Floats, Floats]:
    return weight.astype(np.float32)[:, None], np.array([bias], np.float32)


def _output(g: Builder, x: str, weight: Floats, bias: Floats, name: str) -> None:
    weights = g.weight(f"{name}.weight", weight), g.weight(f"{name}.bias", bias)
    head = g.then("Gemm", [x, *weights], f"{name}.head")
    g.then("Squeeze", [head, g.weight(f"{name}.only", np.array([1], np.int64))], name)


def _read_out(g: Builder, outputs: str, readout: Readout, axis: int) -> str:
    if readout == "mean":
        return g.then("ReduceMean", [outputs], "read_out", axes=[axis], keepdims=0)
    last = g.weight("last", np.array(-1, np.int64))
    return g.then("Gather", [outputs, last], "read_out", axis=axis)


def _linear(layer: nn.Linear) -> tuple[Floats, Floats]:
    """Weight `[inputs, outputs]` and bias `[outputs]`, as Gemm wants them."""
    return layer.weight.detach().numpy().T, layer.bias.detach().numpy()


def _finish(
    g: Builder,
    x: str,
    weight: Floats,
    bias: Floats,
    width: int,
    beside: str | None = None,
    more: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """The head over `x`, to which `beside` `[n, 1]` is added; `more` are other outputs `[n]`."""
    x = g.then("Gemm", [x, g.weight("head.weight", weight), g.weight("head.bias", bias)], "head")
    if beside is not None:
        x = g.then("Add", [x, beside], "joined")
    g.then("Squeeze", [x, g.weight("only", np.array([1], np.int64))], "logits")
    outputs = [floats(name, ["n"]) for name in ("logits", *more)]
    return g.model([floats("features", ["n", "T", width])], outputs)
