"""`truelight-export recover`: from a bundle back to a checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from checkpoints import small_detector

from edge.scan.model.bundle import load_bundle
from export.cli.main import main
from export.train.checkpoint import Own, load_checkpoint


def test_a_recovered_checkpoint_answers_like_the_bundle(
    small_bundle: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "recovered.pt"
    assert main(["recover", str(small_bundle), "--crops", str(crops), "--out", str(out)]) == 0
    mean, _, spread = map(
        float, re.findall(r"(?:by|and|is) ([0-9.]+[0-9])", capsys.readouterr().out)
    )
    assert mean < max(0.05, 0.2 * spread)
    recovered = load_checkpoint(out)
    assert isinstance(recovered, Own)
    original = small_detector()
    ours, theirs = recovered.network.state_dict(), original.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    # The LSTM is in the graph as float32.
    assert np.allclose(ours["lstm.weight_hh_l0"], theirs["lstm.weight_hh_l0"])


def test_a_recovered_checkpoint_can_be_exported_again(
    small_bundle: Path, crops: Path, tmp_path: Path
) -> None:
    out, again = tmp_path / "recovered.pt", tmp_path / "again"
    assert main(["recover", str(small_bundle), "--crops", str(crops), "--out", str(out)]) == 0
    options = ["--out", str(again), "--calibrate", str(crops), "--group-factors", "4,2,1,1"]
    assert main(["bundle", str(out), *options]) == 0
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    first, second = (load_bundle(folder) for folder in (small_bundle, again))
    ours, theirs = (b.sequence(b.features(pixels)[None]) for b in (first, second))
    assert np.allclose(ours, theirs, atol=0.2)


def test_a_float_bundle_is_refused(
    small: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    floats, out = tmp_path / "floats", tmp_path / "recovered.pt"
    assert main(["bundle", str(small), "--out", str(floats)]) == 0
    assert main(["recover", str(floats), "--crops", str(crops), "--out", str(out)]) == 1
    assert "not an int8 export" in capsys.readouterr().err
    assert not out.exists()
