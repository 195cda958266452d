"""A tower's features of crops, cached by the command."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from checkpoints import noise
from encoders import WIDTH, write_encoder

from edge.errors import TruelightError
from export.cli.main import main
from export.clip import teacher
from export.clip.graph import read_encoder, read_taps
from export.clip.teacher import cache_features, load_features

TAPS = "3:class,2:std"


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Crops of other sides than the tower's, one without a label."""
    folder = tmp_path / "crops"
    folder.mkdir()
    rows = ["file\tlabel\tsource"]
    for at, picture in enumerate(noise(21, 40, seed=8)):
        cv2.imwrite(str(folder / f"{at}.png"), picture)
        rows.append(f"{at}.png\t{('REAL', 'FAKE', '')[at % 3]}\t{at}")
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_an_interrupted_cache_is_completed(
    crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "SHARD", 8)
    sha256 = write_encoder(tmp_path / "their.onnx")
    command = ["teach", str(crops), "--tower", str(tmp_path / "their.onnx"), "--sha256", sha256]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main([*command, "--taps", TAPS, "--flips", "--out", str(whole)]) == 0

    def stop(done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    tower = read_encoder(tmp_path / "their.onnx", sha256)
    with pytest.raises(KeyboardInterrupt):
        cache_features([crops], tower, read_taps(TAPS), broken, stop, mirrored=True)
    assert len(load_features(broken).names) == 8
    assert main([*command, "--taps", TAPS, "--flips", "--out", str(broken)]) == 0

    once, twice = load_features(whole), load_features(broken)
    assert sorted(once.names) == sorted(f"crops/{at}.png" for at in range(21))
    assert once.names == twice.names
    assert once.matrix.dtype == np.float16
    assert once.matrix.shape == (21, 2 * WIDTH)
    assert np.array_equal(once.matrix, twice.matrix)
    assert once.mirrored is not None
    assert np.abs(once.mirrored - once.matrix).max() > 0.05
    assert once.metadata.tower == sha256
    assert once.taps == read_taps(TAPS)


def test_features_of_two_encoders_are_not_mixed(crops: Path, tmp_path: Path) -> None:
    sha256 = write_encoder(tmp_path / "their.onnx")
    tower, out = read_encoder(tmp_path / "their.onnx", sha256), tmp_path / "out"
    cache_features([crops], tower, read_taps("1:mean"), out, lambda done, total: None)
    before = sorted(out.iterdir())
    with pytest.raises(TruelightError, match="another encoder, other norms or taps"):
        cache_features([crops], tower, read_taps("2:mean"), out, lambda done, total: None)
    assert sorted(out.iterdir()) == before
    with pytest.raises(TruelightError, match="holds no features"):
        load_features(tmp_path)
