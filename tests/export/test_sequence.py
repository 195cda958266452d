"""The LSTM beside the mean of single frames: the network, its graph, what the bundle says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import FRAMES, SIDE, noise, small_detector, write_checkpoint

from edge.scan.model.bundle import load_bundle
from edge.scan.model.bundle_info import manifest_with_figures
from export.cli.main import main
from export.train.checkpoint import Own, load_checkpoint
from export.train.network import Detector, normalise

TEMPORAL = {
    "on": "windows of drawings",
    "windows": 40,
    "sources": 10,
    "frame_mean_auc": 0.75,
    "lstm_auc": 0.8,
    "low": 0.01,
    "high": 0.09,
}


def gated(file: Path, gate: float) -> Path:
    config = {
        "side": SIDE,
        "crop": {"scale": 1.0, "shift_x": 0.0, "shift_y": 0.0},
        "window": {"frames": FRAMES, "rate": 5.0},
        "hidden": 8,
        "readout": "mean",
        "gate": gate,
        "temporal": TEMPORAL,
        "layers": [1, 2, 1, 1],
        "width": 16,
    }
    return write_checkpoint(file, small_detector(), config=config)


def answers(checkpoint: Path) -> tuple[Detector, torch.Tensor]:
    """A checkpoint's network, and crops [2, FRAMES, 3, side, side]."""
    own = load_checkpoint(checkpoint)
    assert isinstance(own, Own)
    crops = normalise(torch.from_numpy(noise(2 * FRAMES, SIDE, seed=2)))
    return own.network, crops.reshape(2, FRAMES, 3, SIDE, SIDE)


@torch.inference_mode()
def test_a_closed_gate_leaves_the_mean_of_the_frames(tmp_path: Path) -> None:
    network, windows = answers(gated(tmp_path / "closed.pt", 0.0))
    frames = network.frame_logits(network.frame_features(windows.flatten(0, 1)))
    assert torch.allclose(network(windows), frames.view(2, FRAMES).mean(1), atol=1e-6)


@torch.inference_mode()
def test_without_a_gate_the_lstm_judges_alone_as_before(tmp_path: Path) -> None:
    network, windows = answers(write_checkpoint(tmp_path / "old.pt", small_detector()))
    features = network.frame_features(windows.flatten(0, 1)).view(2, FRAMES, -1)
    assert torch.equal(network(windows), network.lstm_logits(features))


@pytest.mark.parametrize("gate", [0.0, 0.7])
def test_the_graph_and_the_card_hold_the_gate(tmp_path: Path, gate: float) -> None:
    checkpoint = gated(tmp_path / "gated.pt", gate)
    assert main(["bundle", str(checkpoint), "--out", str(tmp_path / "made")]) == 0
    network, windows = answers(checkpoint)
    bundle = load_bundle(tmp_path / "made")
    features = bundle.features(noise(2 * FRAMES, SIDE, seed=2)).reshape(2, FRAMES, -1)
    with torch.inference_mode():
        assert np.abs(bundle.sequence(features) - network(windows).numpy()).max() < 1e-4
    turned = np.abs(bundle.sequence(features[:, ::-1]) - bundle.sequence(features)).max()
    assert (turned < 1e-6) == (gate == 0.0), "only the LSTM knows an order"
    figures = {f.name: f for f in manifest_with_figures(tmp_path / "made").figures}
    gain = figures["gain by the LSTM, AUC"]
    assert (round(gain.value, 6), gain.low, gain.high) == (0.05, 0.01, 0.09)
    assert ("gate of the LSTM (0: it does nothing)" in figures) == (gate == 0.0)
    card = (tmp_path / "made" / "CARD.md").read_text()
    assert "40 windows of 10 sources: windows of drawings" in card
