"""A head that answers alike on a clip and on recompressions of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from test_opinion import tuned_command, write_crops

from edge.scan.model.bundle_info import manifest_with_figures
from export.cli.main import main
from export.clip.adapter import read_adapter
from export.clip.graph import read_encoder
from export.evaluate.robust import steady_weight


def test_only_what_recompression_changes_is_unlearned() -> None:
    rng = np.random.default_rng(1)
    faces = rng.normal(0, 1, (2000, 30)) * np.linspace(0.2, 2, 30)
    weight = rng.normal(0, 1, 30)
    changes = rng.normal(0, 0.05, (50, 30)) + 2 * np.eye(30)[3]
    steady = steady_weight(weight, np.cov(faces, rowvar=False), changes, strength=100.0)
    before, after = changes @ weight, changes @ steady
    assert abs(after.mean()) < 0.05 * abs(before.mean())
    assert after.std() < before.std()
    others = np.delete(faces, 3, axis=1)
    kept = np.corrcoef(others @ np.delete(weight, 3), others @ np.delete(steady, 3))[0, 1]
    assert kept > 0.98
    assert steady_weight(weight, np.cov(faces, rowvar=False), changes, 1e-9) == pytest.approx(
        weight, rel=1e-5
    )


def test_a_head_is_made_to_answer_alike_on_recompressed_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, kept = tuned_command(tmp_path)
    tuned, tower = str(tmp_path / "tuned.pt"), command[command.index("--tower") :][:4]
    robust = tmp_path / "robust.pt"
    crops, cache = str(write_crops(tmp_path / "crops")), str(tmp_path / "kept")
    steady = ["robust", cache, "--tuned", tuned, *tower]
    steady += ["--clips", str(tmp_path / "clips"), "--beside", str(tmp_path / "red")]
    steady += ["--compressions", "crf40,half", "--out", str(robust)]
    plain = ["teach", crops, *tower, "--taps", "3:class", "--out", cache]
    assert main(plain) == 0
    assert main(steady) == 1
    assert "robust and teach the same file" in capsys.readouterr().err
    steady[1] = f"{cache}2"
    assert main([*plain[:-1], steady[1], "--tuned", tuned]) == 0
    assert main(steady) == 0
    found = re.search(
        r"4 recompressed.* by (\S+) on average, by (\S+) with", capsys.readouterr().out
    )
    assert found is not None
    assert abs(float(found[2])) < abs(float(found[1])) / 2
    # Each clip is scored by a head that saw nothing of its source.
    heads = read_adapter(robust, read_encoder(tmp_path / "their.onnx", kept["tower"])).left_out
    assert heads is not None
    assert heads.groups.keys() == {"obama", "biden"}
    command[command.index(tuned)] = str(robust)
    assert main([*command, "--compressions", "crf40", "--out", str(tmp_path / "steady")]) == 0
    figures = {f.name: f.value for f in manifest_with_figures(tmp_path / "steady").figures}
    assert "UNSURE, h264 crf 40, share, both models" in figures
