"""A tower in torch: what ONNX Runtime makes of the laid graph, with norms that can learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from vits import LAYERS, SIDE, WIDTH, write_vit

from edge.errors import TruelightError
from edge.scan.model.bundle import open_graph
from export.clip.graph import Encoder, Tap, features_graph, read_encoder, read_taps
from export.clip.vit import ROOT, Linear, Vit

TAPS = "3:mean,1:class,2:std"


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    file = tmp_path_factory.mktemp("tower") / "tower.onnx"
    return read_encoder(file, write_vit(file))


def crops(count: int) -> np.ndarray:
    """Noise of different light and colour, uint8 [n, side, side, 3]."""
    rng = np.random.default_rng(1)
    light = rng.uniform(60, 200, (count, 1, 1, 3))
    return np.clip(rng.normal(light, 40, (count, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def laid(tower: Encoder, norms: dict[str, np.ndarray] | None = None) -> np.ndarray:
    taps = read_taps(TAPS)
    graph = features_graph(tower, taps, tower.path.name, norms)
    session = open_graph(graph, 1, "features.onnx", tower.path.parent)
    return np.concatenate([session.run(None, {"crops": crop[None]})[0] for crop in crops(6)])


@torch.inference_mode()
def features_of(vit: Vit) -> np.ndarray:
    return np.asarray(vit(torch.from_numpy(crops(6))))


def noise(found: np.ndarray, expected: np.ndarray) -> float:
    """What differs, as a share of what differs from crop to crop."""
    return float(np.abs(found - expected).mean() / np.abs(expected - expected.mean(0)).mean())


def test_the_vit_computes_what_the_graph_computes(tower: Encoder) -> None:
    expected, found = laid(tower), features_of(Vit(tower, read_taps(TAPS)))
    assert found.shape == (6, 3 * WIDTH) and found.dtype == np.float32
    for at in range(3):
        part = np.s_[:, at * WIDTH : (at + 1) * WIDTH]
        assert noise(found[part], expected[part]) < 0.05, "rounding to int8, no more"


def test_tuned_norms_have_the_same_effect_in_both(tower: Encoder) -> None:
    vit = Vit(tower, read_taps(TAPS))
    rng = torch.Generator().manual_seed(2)
    tuned = {n: v + 0.3 * torch.randn(v.shape, generator=rng) for n, v in vit.norms().items()}
    before = features_of(vit)
    vit.load_norms(tuned)
    expected = laid(tower, {name: value.numpy() for name, value in tuned.items()})
    assert noise(features_of(vit), expected) < 0.05 < noise(before, expected)


def test_weights_are_halved(tower: Encoder) -> None:
    products = [m for m in Vit(tower, read_taps(TAPS)).modules() if isinstance(m, Linear)]
    assert len(products) == LAYERS * 6
    for row in (row for product in products for row in product.weight[:8]):
        step = row.unique().diff().min()
        assert 50 < float(row.abs().max() / step) < 64.5


def test_only_the_norms_are_trainable(tower: Encoder) -> None:
    vit = Vit(tower, [Tap(2, "mean")])
    vit(torch.from_numpy(crops(2))).square().sum().backward()
    learned = {ROOT + name for name, p in vit.named_parameters() if p.grad is not None}
    theirs = {tensor.name for tensor in tower.model.graph.initializer}
    assert learned == vit.norms().keys() <= theirs
    assert len(learned) == 2 + 4 * 2, "nothing behind the last tap"


def test_mismatches_are_refused(tower: Encoder, tmp_path: Path) -> None:
    with pytest.raises(TruelightError, match=f"There are {LAYERS} layers"):
        Vit(tower, [Tap(LAYERS + 1, "mean")])
    with pytest.raises(TruelightError, match="of another encoder"):
        Vit(tower, [Tap(2, "mean")]).load_norms(Vit(tower, [Tap(1, "mean")]).norms())
    file = tmp_path / "tower.onnx"
    file.write_bytes(tower.path.read_bytes().replace(b".layer_norm2.", b".layer_normX."))
    foreign = Encoder(file, file.read_bytes(), "")
    with pytest.raises(TruelightError, match=r"not a CLIP: .*layer_norm2"):
        Vit(foreign, [Tap(1, "mean")])
