"""The shipped features graph as ONNX Runtime runs it: int8 from end to end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest
from frontdoor import ROOT

CONVOLUTIONS, ADDITIONS = 53, 16
"""Of a ResNeXt50."""


@pytest.fixture(scope="module")
def optimised(tmp_path_factory: pytest.TempPathFactory) -> onnx.GraphProto:
    """The graph after ONNX Runtime's optimisations for this machine."""
    file: Path = tmp_path_factory.mktemp("graph") / "optimised.onnx"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(file)
    options.log_severity_level = 3
    shipped = ROOT / "models" / "truelight" / "features.onnx"
    onnxruntime.InferenceSession(str(shipped), options, providers=["CPUExecutionProvider"])
    return onnx.load(str(file)).graph


def test_every_convolution_addition_and_pool_is_int8(optimised: onnx.GraphProto) -> None:
    kinds = Counter(node.op_type for node in optimised.node)
    assert kinds["QLinearConv"] == CONVOLUTIONS
    assert kinds["QLinearAdd"] == ADDITIONS
    assert kinds["Conv"] == kinds["FusedConv"] == kinds["Add"] == kinds["MaxPool"] == 0
    assert kinds["NhwcMaxPool"] == 1, "of float32 it would be a MaxPool"


def test_no_part_in_the_middle_is_float(optimised: onnx.GraphProto) -> None:
    """Values become int8 once, at the crops, and float once for each of the two outputs."""
    kinds = Counter(node.op_type for node in optimised.node)
    assert kinds["QuantizeLinear"] == 1
    assert kinds["DequantizeLinear"] <= len(optimised.output)
    floats = {
        name
        for node in optimised.node
        if node.op_type == "DequantizeLinear"
        for name in node.output
    }
    islands = [
        n.name for n in optimised.node if n.op_type == "QuantizeLinear" and n.input[0] in floats
    ]
    assert islands == []
