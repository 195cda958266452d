"""The LSTM over windows: what it is taught, what it is measured by, when its gate opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from clips import write_clip
from redpale import PALE, RED, hang, photograph, tinted, wall
from training_data import draw_folder, material, small

from edge.scan.faces.detector import load_detector
from edge.scan.frames import CropSpec
from export.data.folders import read_folder
from export.data.video_windows import AnimatedWindows, WindowSampling, clip_windows
from export.train.network import Detector
from export.train.sequence_head import (
    HeadRecipe,
    WindowFeatures,
    animated_features,
    compare,
    cross_validated_logits,
    gate_for,
    train_head,
    window_logits,
)

FRAMES, WIDTH = 4, 256
QUICK = HeadRecipe(epochs=12, batch=16, learning_rate=1e-2, dropout=0.0, folds=3)


def quiet(*_: object) -> None:
    pass


def drawn(kind: str, sources: int, seed: int) -> WindowFeatures:
    """Features of windows, two of each source: the second is the fake."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 0.1, (2 * sources, FRAMES, WIDTH)).astype(np.float32)
    fake = np.arange(2 * sources) % 2
    if kind == "order":  # the mean of the frames is the same
        features[..., 0] += np.linspace(-1, 1, FRAMES) * (2 * fake - 1)[:, None]
    elif kind == "frames":  # what any frame shows, and no more
        features[..., 1] += (2 * fake - 1)[:, None]
    elif kind == "people":  # whose face it is tells the label, of those one has seen
        features += np.repeat(rng.normal(0, 1, (2 * sources, 1, WIDTH)), FRAMES, 1)
    names = tuple(f"person {at // 2} of {seed}" for at in range(2 * sources))
    return WindowFeatures(torch.from_numpy(features), torch.from_numpy(fake).float(), names)


@pytest.fixture
def network() -> Detector:
    """Its frame head looks at one feature only."""
    network = small().eval()
    with torch.no_grad():
        network.frame_head.weight.zero_()
        network.frame_head.weight[0, 1] = 1.0
        network.frame_head.bias.zero_()
    return network


def test_the_lstm_learns_from_the_order_of_frames(network: Detector) -> None:
    train_head(network, [drawn("order", 60, 1)], QUICK)
    other = drawn("order", 40, 2)
    found = compare(network, other, window_logits(network, other), "drawings")
    assert found.lstm_auc > 0.95
    assert found.frame_mean_auc < 0.65
    assert found.low > 0.2
    assert gate_for(found) == 1.0
    assert (found.windows, found.sources) == (80, 40)


def test_the_gate_stays_shut_without_a_gain(network: Detector) -> None:
    train_head(network, [drawn("frames", 60, 1)], QUICK)
    other = drawn("frames", 40, 2)
    found = compare(network, other, window_logits(network, other), "drawings")
    assert found.frame_mean_auc > 0.99
    assert gate_for(found) == 0.0


def test_an_untrained_head_gives_the_mean_of_the_frames(network: Detector) -> None:
    seen = drawn("frames", 5, 1)
    train_head(network, [seen], HeadRecipe(epochs=0))
    mean = network.frame_logits(seen.features).mean(1)
    assert torch.allclose(window_logits(network, seen), mean, atol=1e-6)


def test_clips_are_scored_by_heads_trained_on_other_sources(network: Detector) -> None:
    made, clips = drawn("frames", 5, 1), drawn("people", 24, 2)
    train_head(network, [made, clips], QUICK)
    learned = compare(network, clips, window_logits(network, clips), "seen")
    honest = compare(
        network, clips, cross_validated_logits(network, made, clips, QUICK, quiet), "left out"
    )
    assert learned.lstm_auc > 0.85
    assert honest.lstm_auc < 0.7


def test_windows_are_a_function_of_number_and_seed(tmp_path: Path) -> None:
    made_of = material(read_folder(draw_folder(tmp_path / "crops", 4)))
    one, other = (AnimatedWindows(made_of, FRAMES, 32, seed=1) for _ in range(2))
    for number in range(4):
        real, fake, source = one.pair(number)
        assert real.shape == fake.shape == (FRAMES, 32, 32, 3)
        assert np.array_equal(fake, other.pair(number)[1])
        assert source.startswith("source ")
        assert np.abs(np.diff(real.astype(int), axis=0)).mean() > 0, "the camera moves"


def test_some_blends_flicker(tmp_path: Path) -> None:
    windows = AnimatedWindows(
        material(read_folder(draw_folder(tmp_path / "crops", 6))), 6, 48, seed=2
    )
    spread = []
    for number in range(0, 24, 2):  # even: blends
        real, fake, _ = windows.pair(number)
        change = np.abs(fake.astype(int) - real).mean((1, 2, 3))
        spread.append(change.std() / change.mean())
    assert sum(one > 0.1 for one in spread) >= 3, "some flicker"
    assert min(spread) < 0.03, "some are calm"


def test_the_head_learns_from_animated_windows(tmp_path: Path) -> None:
    network = small()
    torch.manual_seed(1)
    for part in network.trunk.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(part.weight)
    made_of = material(read_folder(draw_folder(tmp_path / "crops", 6)), blends=False)
    seen = animated_features(network, AnimatedWindows(made_of, 3, 32, seed=1), 24, quiet)
    assert seen.features.shape == (48, 3, network.trunk.features)
    train_head(network, [seen], HeadRecipe(epochs=20, batch=16, learning_rate=1e-2, dropout=0.0))
    found = compare(network, seen, window_logits(network, seen), "drawings")
    assert found.lstm_auc > 0.8


def test_windows_of_clips_are_cut_as_in_a_scan(tmp_path: Path) -> None:
    rows = ["file\tlabel\tsource"]
    for name, tint, label in (("pale", PALE, "REAL"), ("red", RED, "FAKE")):
        picture = wall()
        hang(picture, tinted(photograph("obama"), tint), 100)
        write_clip(tmp_path / f"{name}.mp4", [picture] * 24, rate=8)
        rows.append(f"{name}.mp4\t{label}\tobama")
    write_clip(tmp_path / "nobody.mp4", [wall()] * 16, rate=8)
    rows.append("nobody.mp4\tREAL\tnobody")
    (tmp_path / "labels.tsv").write_text("\n".join(rows) + "\n")
    looking = WindowSampling(CropSpec(32), frames=4, rate=4.0, limit=2)
    found = clip_windows(tmp_path, looking, load_detector, tmp_path / "kept.npz", quiet)
    assert found.crops.shape == (4, 4, 32, 32, 3)
    assert found.fakes == (False, False, True, True)
    assert found.sources == ("obama",) * 4
    redness = (found.crops[..., 0].astype(int) - found.crops[..., 1]).mean((1, 2, 3))
    assert redness[2:].min() > redness[:2].max()

    def never() -> None:
        raise AssertionError("they are kept")

    again = clip_windows(tmp_path, looking, never, tmp_path / "kept.npz", quiet)  # type: ignore[arg-type]
    assert np.array_equal(again.crops, found.crops)
    assert (again.fakes, again.sources) == (found.fakes, found.sources)
