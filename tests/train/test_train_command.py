"""`truelight-export train` from folders to a bundle, on a network small enough for a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from training_data import cache_features, draw_folder, greener

from edge.scan.model.bundle import load_bundle
from edge.scan.model.bundle_info import manifest_with_figures
from export.cli.main import main
from export.train.checkpoint import Own, load_checkpoint
from export.train.network import Trunk

TINY: dict[str, Any] = {
    "layers": [1, 1, 1, 1],
    "width": 8,
    "blends": 0,
    "head": {"pairs": 6, "epochs": 2, "frames": 3, "rate": 4},
}


def train(recipe: dict[str, Any], out: Path) -> list[str]:
    """The arguments of a run; its recipe lies beside its folder."""
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.parent / f"{out.name}.yaml"
    file.write_text(yaml.safe_dump(recipe))
    return ["train", "--recipe", str(file), "--out", str(out), "--workers", "0", "--threads", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("drawn") / "crops", sources=60)


@pytest.fixture(scope="module")
def recipe(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    features = cache_features(folder, tmp_path_factory.mktemp("features"))
    watched = draw_folder(tmp_path_factory.mktemp("others") / "other-makers", 4, greener, 100)
    return TINY | {
        "folders": [str(folder)],
        "features": str(features),
        "watch": [str(watched)],
        "crop": {"scale": 0.96},
        "validate_every": 4,
        "phases": [
            {"learn_from": "features", "side": 32, "steps": 24, "batch": 8, "rate": 1e-2},
            {"side": 32, "steps": 8, "batch": 8, "rate": 1e-3},
        ],
    }


@pytest.fixture(scope="module")
def whole(recipe: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(train(recipe, out)) == 0
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
    figures = {f.name for f in manifest_with_figures(tmp_path / "made").figures}
    assert {"AUC of windows, mean of the frames", "gain by the LSTM, AUC"} <= figures
    header = (whole / "curve.csv").read_text().splitlines()[0]
    assert "auc validation" in header
    assert "auc other-makers" in header
    assert (whole / "curve.png").is_file()


def test_best_pt_is_a_checkpoint(whole: Path) -> None:
    best = load_checkpoint(whole / "best.pt")
    assert isinstance(best, Own)
    assert best.config.gate == 0.0, "no LSTM has learned anything yet"


def test_a_killed_run_resumes_to_the_same_weights(
    recipe: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    order = train(recipe, run)
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *order], env=environment, stdout=subprocess.DEVNULL
    )
    assert process.wait() == -signal.SIGKILL
    assert torch.load(run / "last.pt", weights_only=True)["step"] == 4
    assert main(order) == 0
    for name in ("last.pt", "best.pt"):
        one, other = (torch.load(p / name, weights_only=True) for p in (whole, run))
        assert one["step"] == other["step"]
        for key, value in one["model"].items():
            assert torch.allclose(value.float(), other["model"][key].float(), atol=1e-5), key


KILLED = """
import os, signal, sys
from export.cli.main import main
from export.train import loop
def stop(*_):
    os.kill(os.getpid(), signal.SIGKILL)
loop.append_entry = stop  # called after the first last.pt is written
main(sys.argv[1:])
"""


def test_the_head_alone_is_trained_on_a_given_trunk(
    recipe: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    head = TINY["head"] | {"only": True}
    assert main(train(recipe | {"start": str(whole / "best.pt"), "head": head}, run)) == 0
    assert not (run / "last.pt").exists()
    given, made = weights_of(whole / "best.pt"), weights_of(run / "checkpoint.pt")
    key = "trunk.layer4.0.conv3.weight"
    assert torch.equal(given[key].bfloat16(), made[key])


def test_torchvisions_weights_are_loaded(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    weights = Trunk((1, 1, 1, 1), 8).state_dict() | {
        "fc.weight": torch.zeros(1000, 256),
        "fc.bias": torch.zeros(1000),
    }
    torch.save(weights, tmp_path / "resnext50.pth")
    phase = {"side": 32, "steps": 1, "batch": 2, "rate": 0}
    given = {"folders": [str(folder)], "phases": [phase], "imagenet": "resnext50.pth", "seed": 9}
    assert main(train(TINY | given, tmp_path / "run")) == 0
    kept = weights_of(tmp_path / "run" / "best.pt")
    assert torch.equal(kept["trunk.layer2.0.conv2.weight"], weights["layer2.0.conv2.weight"])


def test_wrong_recipes_are_refused(
    folder: Path, recipe: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = next(Path(recipe["features"]).glob("*.npz"))
    phase = {"learn_from": "features", "side": 32, "steps": 2, "batch": 2, "rate": 1}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"phases": [{"side": 64}]}, "phases.0.steps"),
        ({"phases": [phase | {"learn_from": "guess"}]}, "phases.0.learn_from"),
        ({"phases": [phase]}, "needs cached features"),
        ({"weights": {"nowhere": 2}}, "not one of the folders"),
        ({"crop": {"width": 1}}, "crop"),
        ({"layers": [3, 4]}, "layers"),
        ({"head": {"only": True}}, "head.only needs a checkpoint"),
        ({"imagenet": "nothing.pth"}, "nothing.pth cannot be read"),
        ({"start": str(features)}, "is damaged"),
        ({"features": str(folder)}, "holds no features"),
    ]
    for number, (given, words) in enumerate(cases):
        order = train({"folders": [str(folder)]} | TINY | given, tmp_path / str(number))
        assert main(order) == 1, words
        assert words in capsys.readouterr().err
