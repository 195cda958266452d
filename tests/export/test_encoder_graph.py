"""The features graph of another maker's image transformer, its weights left in their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from checkpoints import noise
from encoders import LAYERS, ROOT, SIDE, WIDTH, write_encoder

from edge.errors import TruelightError
from edge.scan.model.bundle import open_graph
from export.clip.graph import MEAN, STD, features_graph, read_encoder, read_taps


def asked(folder: Path, taps: str, crops: np.ndarray) -> np.ndarray:
    """What the laid graph answers, one crop at a time: what is quantised hangs on the batch."""
    sha256 = write_encoder(folder / "tower.onnx")
    graph = features_graph(read_encoder(folder / "tower.onnx", sha256), read_taps(taps))
    session = open_graph(graph, 1, "features.onnx", folder)
    return np.concatenate([session.run(None, {"crops": crop[None]})[0] for crop in crops])


def stream(file: Path, layer: int, crops: np.ndarray) -> np.ndarray:
    """The residual stream behind a layer, as the file itself has it."""
    model = onnx.load(file)
    name = f"{ROOT}.{layer - 1}/Add_1_output_0"
    if name not in [output.name for output in model.graph.output]:
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    pixels = crops.astype(np.float32) - 255 * np.array(MEAN, np.float32)
    pixels = (pixels / (255 * np.array(STD, np.float32))).transpose(0, 3, 1, 2)
    return np.concatenate([session.run([name], {"pixel_values": p[None]})[0] for p in pixels])


def test_taps_equal_those_of_the_encoder_with_halved_weights(tmp_path: Path) -> None:
    crops = noise(5, SIDE, seed=6)
    got = asked(tmp_path, "3:class,2:mean,2:std", crops)
    write_encoder(tmp_path / "halved.onnx", halved=True)
    third, second = (stream(tmp_path / "halved.onnx", layer, crops) for layer in (3, 2))
    patches = second[:, 1:]
    expected = np.concatenate([third[:, 0], patches.mean(1), patches.std(1)], axis=1)
    assert got.shape == (5, 3 * WIDTH)
    assert np.abs(got - expected).max() < 1e-4 * np.abs(expected).max()
    assert expected.std(0).min() > 1e-3  # the crops do differ in all of it


def test_the_batch_is_free(tmp_path: Path) -> None:
    crops = noise(5, SIDE, seed=6)
    alone = asked(tmp_path, "1:mean", crops)
    tower = read_encoder(tmp_path / "tower.onnx", write_encoder(tmp_path / "tower.onnx"))
    session = open_graph(features_graph(tower, read_taps("1:mean")), 1, "features.onnx", tmp_path)
    together = session.run(None, {"crops": crops})[0]
    assert np.abs(together - alone).max() < 0.1 * alone.std()


def test_the_graph_has_no_weights_and_no_layers_after_the_last_tap(tmp_path: Path) -> None:
    tower = read_encoder(tmp_path / "tower.onnx", write_encoder(tmp_path / "tower.onnx"))
    model = onnx.load_model_from_string(features_graph(tower, read_taps("2:class")))
    content = (tmp_path / "tower.onnx").read_bytes()
    theirs = {tensor.name: tensor for tensor in tower.model.graph.initializer}
    outside = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    # The kernel of the patches, and two products in each of two layers.
    assert len(outside) == 1 + 2 * 2
    for tensor in outside:
        where = {entry.key: entry.value for entry in tensor.external_data}
        start, length = int(where["offset"]), int(where["length"])
        assert where["location"] == "tower.onnx"
        assert content[start : start + length] == theirs[tensor.name].raw_data
    assert not [node.name for node in model.graph.node if f"layers.{LAYERS - 1}/" in node.name]


def test_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tower.onnx"
    sha256 = write_encoder(file)
    with pytest.raises(TruelightError, match="its hash differs"):
        read_encoder(file)
    tower = read_encoder(file, sha256)
    with pytest.raises(TruelightError, match="there are 3 layers"):
        features_graph(tower, read_taps("4:class"))
    with pytest.raises(TruelightError, match="is not a tap"):
        read_taps("3:class,3:median")
    skewed = read_encoder(file, write_encoder(file, zero=1))
    with pytest.raises(TruelightError, match="cannot be halved"):
        features_graph(skewed, read_taps("3:class"))
