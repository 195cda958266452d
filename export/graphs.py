"""The two ONNX graphs, laid node by node.

features.onnx: uint8 `crops [n, side, side, 3]` RGB -> float32 `features [n, 2048]`, and the
`map [n, 2048, h, w]` they are the mean of. sequence.onnx: float32 `features [n, T, 2048]` ->
float32 `logits [n]` of FAKE. n and T are free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.folded import Convolution, Floats, FoldedBlock, FoldedTrunk
from export.network import Detector, PublishedNetwork, Readout

Attribute = int | list[int]

OPSET = 17
IR_VERSION = 8


class _Graph:
    """Nodes and weights as they come."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def then(self, op: str, inputs: Sequence[str], name: str, **attributes: Attribute) -> str:
        """Add a node of one output, which is called as the node."""
        self._add(op, inputs, [name], attributes)
        return name

    def split(self, x: str, names: Sequence[str]) -> Sequence[str]:
        """Cut the last axis into equal parts."""
        self._add("Split", [x], names, {"axis": -1})
        return names

    def _add(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, Attribute],
    ) -> None:
        node = helper.make_node(op, inputs, outputs, name=outputs[0])
        node.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
        self.nodes.append(node)

    def weight(self, name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        """Add a constant."""
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """The whole, checked."""
        graph = helper.make_graph(self.nodes, "truelight", inputs, outputs, self.weights)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="truelight"
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def features_graph(trunk: FoldedTrunk, side: int) -> onnx.ModelProto:
    """Lay the features graph of a trunk for crops of `side` pixels."""
    g = _Graph()
    x = g.then("Cast", ["crops"], "pixels", to=TensorProto.FLOAT)
    x = g.then("Transpose", [x], "planes", perm=[0, 3, 1, 2])
    x = g.then("Sub", [x, g.weight("mean", 255 * trunk.mean.reshape(1, 3, 1, 1))], "centred")
    gain = 1 / (255 * trunk.std.astype(np.float64).reshape(1, 3, 1, 1))
    x = g.then("Mul", [x, g.weight("gain", gain.astype(np.float32))], "normalised")
    x = g.then("Relu", [_convolve(g, x, trunk.stem)], "stem.relu")
    x = g.then("MaxPool", [x], "stem.pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    blocks = [block for stage in trunk.stages for block in stage]
    for at, block in enumerate(blocks):
        x = _block(g, x, block, "map" if at == len(blocks) - 1 else f"block{at}")
    g.then("ReduceMean", [x], "features", axes=[2, 3], keepdims=0)
    width, cells = len(blocks[-1].conv3.bias), -(-side // 32)
    return g.model(
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", side, side, 3])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width]),
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", width, cells, cells]),
        ],
    )


def _block(g: _Graph, x: str, block: FoldedBlock, name: str) -> str:
    kept = x if block.shortcut is None else _convolve(g, x, block.shortcut)
    x = g.then("Relu", [_convolve(g, x, block.conv1)], f"{block.conv1.name}.relu")
    x = g.then("Relu", [_convolve(g, x, block.conv2)], f"{block.conv2.name}.relu")
    x = g.then("Add", [_convolve(g, x, block.conv3), kept], f"{block.conv3.name}.add")
    return g.then("Relu", [x], name)


def _convolve(g: _Graph, x: str, conv: Convolution) -> str:
    weight = g.weight(f"{conv.name}.weight", conv.weight)
    bias = g.weight(f"{conv.name}.bias", conv.bias)
    kernel = conv.weight.shape[-1]
    return g.then(
        "Conv",
        [x, weight, bias],
        conv.name,
        kernel_shape=[kernel, kernel],
        strides=[conv.stride, conv.stride],
        pads=[kernel // 2] * 4,
        group=conv.groups,
    )


def own_sequence_graph(network: Detector) -> onnx.ModelProto:
    """Lay the sequence graph of our own network: the LSTM over the window, batch first."""
    g = _Graph()
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
    weight, bias = network.head.weight.detach().numpy(), network.head.bias.detach().numpy()
    return _finish(g, y, weight.T, bias, network.lstm.input_size)


def _gates(torch_order: Floats) -> Floats:
    """Torch stacks the gates i, f, g, o; ONNX wants i, o, f, g."""
    i, f, g, o = np.split(torch_order, 4)
    return np.concatenate([i, o, f, g])


def published_sequence_graph(network: PublishedNetwork, readout: Readout) -> onnx.ModelProto:
    """Lay the sequence graph of the published network in its closed form.

    Every frame is a sequence of one step from a zero state: h = sig(o) tanh(sig(i) tanh(g)). The
    recurrent weights and the forget gate have no part in it and stay behind.
    """
    g = _Graph()
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


def _read_out(g: _Graph, outputs: str, readout: Readout, axis: int) -> str:
    if readout == "mean":
        return g.then("ReduceMean", [outputs], "read_out", axes=[axis], keepdims=0)
    last = g.weight("last", np.array(-1, np.int64))
    return g.then("Gather", [outputs, last], "read_out", axis=axis)


def _finish(g: _Graph, x: str, weight: Floats, bias: Floats, width: int) -> onnx.ModelProto:
    x = g.then("Gemm", [x, g.weight("head.weight", weight), g.weight("head.bias", bias)], "head")
    g.then("Squeeze", [x, g.weight("only", np.array([1], np.int64))], "logits")
    return g.model(
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", "T", width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n"])],
    )
