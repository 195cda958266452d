"""`truelight-export train` from folders to a bundle, on a network small enough for a test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from drawn import cache_features, draw_folder, greener

from edge.scan.model.bundle import load_bundle
from export.cli.main import main
from export.train.checkpoint import Own, load_checkpoint
from export.train.network import Trunk

TINY = ["--layers", "1,1,1,1", "--width", "8", "--blends", "0", "--workers", "0", "--threads", "1"]
HEAD = ["--head-pairs", "6", "--epochs", "2", "--frames", "3", "--rate", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("drawn") / "crops", sources=60)


@pytest.fixture(scope="module")
def order(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """All but where the run lies."""
    features = cache_features(folder, tmp_path_factory.mktemp("features"))
    watched = draw_folder(tmp_path_factory.mktemp("others") / "other-makers", 4, greener, 100)
    phases = ["--phase", "distil:32:24:8:1e-2", "--phase", "32:8:8:1e-3", "--every", "4"]
    return [
        "train", str(folder), "--teacher", str(features), "--watch", str(watched),
        *phases, "--crop", "0.96,0,0", *TINY, *HEAD,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(order: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert main([*order, "--out", str(out)]) == 0
    return out


def weights_of(file: Path) -> dict[str, torch.Tensor]:
    kept = torch.load(file, weights_only=True, map_location="cpu")
    weights: dict[str, torch.Tensor] = kept["model"]
    return weights


def test_a_run_gives_a_checkpoint_that_becomes_a_bundle(whole: Path, tmp_path: Path) -> None:
    own = load_checkpoint(whole / "checkpoint.pt")
    assert isinstance(own, Own)
    assert own.config.temporal is not None
    assert own.network.gate == own.config.gate in (0.0, 1.0)
    assert own.config.window.frames == 3
    assert main(["bundle", str(whole / "checkpoint.pt"), "--out", str(tmp_path / "made")]) == 0
    manifest = load_bundle(tmp_path / "made").manifest
    assert (manifest.input.side, manifest.input.crop.scale) == (32, 0.96)
    figures = {figure.name for figure in manifest.figures}
    assert {"AUC of windows, mean of the frames", "gain by the LSTM, AUC"} <= figures
    header = (whole / "curve.csv").read_text().splitlines()[0]
    assert "auc validation" in header
    assert "auc other-makers" in header
    assert (whole / "curve.png").is_file()


def test_the_best_of_the_trunk_is_a_checkpoint_too(whole: Path) -> None:
    best = load_checkpoint(whole / "best.pt")
    assert isinstance(best, Own)
    assert best.config.gate == 0.0, "no LSTM has learned anything yet"


def test_a_killed_run_goes_on_to_the_same_weights(
    order: list[str], whole: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "export.cli.main", *order, "--out", str(tmp_path)]
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not (tmp_path / "last.pt").is_file():
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] < 32
    assert main([*order, "--out", str(tmp_path)]) == 0
    for name in ("last.pt", "best.pt"):
        one, other = (torch.load(p / name, weights_only=True) for p in (whole, tmp_path))
        assert one["step"] == other["step"]
        for key, value in one["model"].items():
            assert torch.allclose(value.float(), other["model"][key].float(), atol=1e-5), key


def test_the_head_alone_is_trained_on_a_given_trunk(
    order: list[str], whole: Path, tmp_path: Path
) -> None:
    start = ["--start", str(whole / "best.pt"), "--head-only"]
    assert main([*order, "--out", str(tmp_path), *start]) == 0
    assert not (tmp_path / "last.pt").exists()
    given, made = weights_of(whole / "best.pt"), weights_of(tmp_path / "checkpoint.pt")
    key = "trunk.layer4.0.conv3.weight"
    assert torch.equal(given[key].bfloat16(), made[key])


def test_torchvisions_file_is_taken(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    trunk = Trunk((1, 1, 1, 1), 8)
    weights = trunk.state_dict() | {
        "fc.weight": torch.zeros(1000, 256),
        "fc.bias": torch.zeros(1000),
    }
    torch.save(weights, tmp_path / "resnext50.pth")
    run = ["train", str(folder), *TINY, *HEAD, "--phase", "32:1:2:0", "--seed", "9"]
    init = ["--init", str(tmp_path / "resnext50.pth")]
    assert main([*run, "--out", str(tmp_path / "run"), *init]) == 0
    kept = weights_of(tmp_path / "run" / "best.pt")
    assert torch.equal(kept["trunk.layer2.0.conv2.weight"], weights["layer2.0.conv2.weight"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--phase", "64:1700:64"], "SIDE:STEPS:BATCH:RATE"),
        (["--phase", "guess:64:1700:64:1"], "SIDE:STEPS:BATCH:RATE"),
        (["--phase", "distil:32:2:2:1"], "no teacher"),
        (["--weight", "nowhere=2"], "no folder here"),
        (["--weight", "crops"], "crops=0.5"),
        (["--crop", "1"], "0.96,0,0"),
        (["--layers", "3,4"], "3,4,6,3"),
        (["--head-only"], "--start"),
        (["--init", "nothing.pth"], "nothing.pth cannot be read"),
        (["--start", "{features}"], "is not a checkpoint of such a network"),
        (["--teacher", "{folder}"], "holds no features"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    folder: Path,
    order: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    features = next(Path(order[3]).glob("*.npz"))
    given = [option.format(features=features, folder=folder) for option in options]
    tiny = TINY[2:] if "--layers" in given else TINY
    assert main(["train", str(folder), "--out", str(tmp_path), *tiny, *HEAD, *given]) == 1
    assert words in capsys.readouterr().err
