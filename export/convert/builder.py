"""An ONNX graph as it is laid: nodes and weights, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Attribute = int | list[int] | TensorProto
Dimensions = Sequence[int | str | None]

# As old as what is laid allows: every ONNX Runtime that the box may have reads it.
OPSET = 17
IR_VERSION = 8


class Builder:
    """Takes nodes in the order of their work; whatever a node makes is called as the node."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def then(self, op: str, inputs: Sequence[str], name: str, **attributes: Attribute) -> str:
        """Add a node of one output."""
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
        self._nodes.append(node)

    def weight(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a constant."""
        self._weights[name] = numpy_helper.from_array(values, name)
        return name

    def model(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        check: bool = True,
    ) -> onnx.ModelProto:
        """Return the whole, checked; with weights in another file it cannot be."""
        weights = list(self._weights.values())
        graph = helper.make_graph(self._nodes, "truelight", inputs, outputs, weights)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="truelight",
        )
        if check:
            onnx.checker.check_model(model, full_check=True)
        return model


def floats(name: str, dimensions: Dimensions) -> onnx.ValueInfoProto:
    """A float32 input or output; a dimension with a name is free."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dimensions)


def octets(name: str, dimensions: Dimensions) -> onnx.ValueInfoProto:
    """A uint8 input or output."""
    return helper.make_tensor_value_info(name, TensorProto.UINT8, dimensions)
