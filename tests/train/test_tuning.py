"""`truelight-export tune`, and a student that learns from what was tuned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from training_data import PowerCutError, cut, draw_folder, material, quiet, small
from vits import SIDE, WIDTH, write_vit

from edge.errors import TruelightError
from export.cli.main import main
from export.clip.adapter import Adapter, read_adapter, write_adapter
from export.clip.graph import Encoder, read_encoder, read_taps
from export.clip.teacher import OnlineTeacher
from export.clip.tune import BLENDS, Tuning, TuningRecipe
from export.clip.vit import Vit
from export.data.folders import one_each, read_folder
from export.train.batches import SUBTLE, Batch, Batches, Phase
from export.train.loop import Recipe, Training
from export.train.network import area_resize
from export.train.validation import LogEntry

TAPS = "2:mean,3:mean"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("drawn") / "crops", sources=60)


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    file = tmp_path_factory.mktemp("tower") / "tower.onnx"
    return read_encoder(file, write_vit(file))


@pytest.fixture(scope="module")
def order(folder: Path, tower: Encoder) -> list[str]:
    """All but where it is written and what ends it."""
    which = ["--tower", str(tower.path), "--sha256", tower.sha256, "--taps", TAPS]
    how = ["--batch", "16", "--blends", "0", "--rate", "3e-3", "--every", "20"]
    return ["tune", str(folder), *which, *how, "--workers", "0", "--threads", "1"]


@pytest.fixture(scope="module")
def tuned_file(order: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "tuned.pt"
    assert main([*order, "--steps", "40", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def tuned(tuned_file: Path, tower: Encoder) -> Adapter:
    return read_adapter(tuned_file, tower)


@torch.inference_mode()
def logits(vit: Vit, tuned: Adapter, folder: Path) -> np.ndarray:
    """Of plain pictures, real and fake in turn, by features as they are."""
    pictures = read_folder(folder)
    crops = np.stack([p.read()[::3, ::3] for p in pictures])
    return np.asarray(vit(torch.from_numpy(crops))) @ tuned.weight + tuned.bias


def test_tuning_separates_reals_from_fakes(
    tuned: Adapter, tower: Encoder, tmp_path: Path
) -> None:  # fmt: skip
    assert tuned.taps == read_taps(TAPS) and tuned.weight.shape == (2 * WIDTH,)
    vit = Vit(tower, tuned.taps)
    before = vit.norms()
    assert tuned.norms.keys() == before.keys()
    assert all(np.abs(tuned.norms[name] - before[name].numpy()).max() > 0 for name in before)
    vit.load_norms({name: torch.from_numpy(norm) for name, norm in tuned.norms.items()})
    said = logits(vit, tuned, draw_folder(tmp_path / "others", 20, first=100))
    assert (said[1::2] > said[::2]).mean() > 0.9
    assert abs(np.median(said)) < np.abs(said[1::2] - said[::2]).mean(), "zero lies between them"


def test_tuning_is_deterministic(
    order: list[str], tmp_path: Path, tower: Encoder
) -> None:  # fmt: skip
    made = []
    for name, seed in (("one.pt", "3"), ("two.pt", "3"), ("three.pt", "4")):
        file = tmp_path / name
        assert main([*order, "--steps", "3", "--seed", seed, "--out", str(file)]) == 0
        made.append(read_adapter(file, tower))
    one, two, three = made
    assert np.array_equal(one.weight, two.weight) and one.bias == two.bias
    assert not np.array_equal(one.weight, three.weight)


def test_watched_folders_are_measured(
    order: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = draw_folder(tmp_path / "other-makers", 3, first=200)
    ends = ["--minutes", "0.02", "--every", "1", "--watch", str(watched)]
    assert main([*order, *ends, "--out", str(tmp_path / "tuned.pt")]) == 0
    said = capsys.readouterr().out
    assert "validation 0." in said or "validation 1." in said
    assert "other-makers" in said and "0 to go" in said


def test_held_out_blends_are_measured(tower: Encoder, folder: Path) -> None:
    pictures = read_folder(folder)
    recipe = TuningRecipe(steps=2, batch=8)
    moments: list[LogEntry] = []
    held_out = material(pictures[-8:])
    run = Tuning(tower, read_taps(TAPS), recipe, material(pictures[:40]), held_out)
    _, steps = run.run(1, moments.append, quiet, 0)
    assert steps == 2 and [moment.step for moment in moments] == [1, 2]
    assert moments[0].scores[BLENDS].auc > 0
    assert moments[1].minutes_left == 0 < moments[0].minutes_left
    with pytest.raises(TruelightError, match="no face to blend"):
        Tuning(tower, read_taps(TAPS), recipe, material(pictures[:1], blends=False), held_out)


def test_adapters_survive_writing_and_reading(
    tuned: Adapter, tower: Encoder, tmp_path: Path
) -> None:
    write_adapter(tmp_path / "again.pt", tuned, 5)
    again = read_adapter(tmp_path / "again.pt", tower)
    assert np.array_equal(again.weight, tuned.weight)
    assert again.taps == tuned.taps
    assert torch.load(tmp_path / "again.pt", weights_only=True)["steps"] == 5


PHASES = (Phase(32, 4, 8, 1e-3, "online_teacher"), Phase(48, 2, 4, 5e-4))


def student(
    out: Path, folder: Path, teacher: OnlineTeacher | None, phases: tuple[Phase, ...] = PHASES
) -> Training:  # fmt: skip
    recipe = Recipe(phases=phases, mix=SUBTLE, warm_up=2, seed=7)
    pictures = read_folder(folder)
    validation = {"validation": one_each(pictures, 24)}
    return Training(out, small(), recipe, material(pictures), validation, {}, teacher)


def test_student_and_online_teacher_see_the_same_image(folder: Path) -> None:
    made = Batches(material(read_folder(folder)), PHASES, SUBTLE, 7, teacher_side=64)
    assert made[0].crops.shape == (8, 64, 64, 3), "as large as the teacher wants it"
    assert made[5].crops.shape == (4, 48, 48, 3), "without a teacher as large as the student's"
    smaller = area_resize(made[0].crops, 32)
    assert smaller.dtype == torch.uint8 and smaller.shape == (8, 32, 32, 3)
    quarter = made[0].crops[:, :2, :2].float().mean((1, 2))
    assert (smaller[:, 0, 0] - quarter).abs().max() <= 0.5


def test_an_online_teacher_is_distilled(
    tmp_path: Path, folder: Path, tower: Encoder, tuned: Adapter
) -> None:
    moments: list[LogEntry] = []
    phases = (Phase(32, 24, 16, 1e-2, "online_teacher"),)
    student(tmp_path, folder, OnlineTeacher(tower, tuned), phases).run(8, moments.append, quiet, 0)
    assert moments[-1].losses["features"] < 0.9 * moments[0].losses["features"]
    assert moments[-1].losses["teacher"] < moments[0].losses["teacher"]
    first, last = (moment.losses for moment in (moments[0], moments[-1]))
    for losses, low, high in ((first, 0.5, 0.63), (last, 0.87, 1.0)):
        rest = losses["loss"] - losses["features"] - 0.5 * losses["teacher"]
        assert low < rest / losses["label"] < high, "labels count for more on the way"


def test_targets_are_standardised(folder: Path, tower: Encoder, tuned: Adapter) -> None:
    teacher = OnlineTeacher(tower, tuned)
    made = Batches(material(read_folder(folder)), [Phase(SIDE, 8, 32, 0)], SUBTLE, 1)
    batches = [made[step] for step in range(8)]
    teacher.prepare(lambda: batches)
    joined = Batch(*(torch.cat(part) for part in zip(*batches, strict=True)))
    said = teacher.targets(joined)
    assert said.features.mean(0).abs().max() < 0.05
    assert (said.features.std(0) - 1).abs().max() < 0.05
    assert abs(float(said.logits.std()) - 1) < 0.05


def test_a_run_with_an_online_teacher_resumes_to_the_same_weights(
    tmp_path: Path, folder: Path, tower: Encoder, tuned: Adapter
) -> None:
    whole = student(tmp_path / "whole", folder, OnlineTeacher(tower, tuned)).run(2, quiet, quiet, 0)
    with pytest.raises(PowerCutError):
        student(tmp_path / "cut", folder, OnlineTeacher(tower, tuned)).run(2, quiet, cut, 0)
    resumed = student(tmp_path / "cut", folder, OnlineTeacher(tower, tuned)).run(2, quiet, quiet, 0)
    one, other = (torch.load(p, weights_only=True)["model"] for p in (whole, resumed))
    for key, value in one.items():
        assert torch.allclose(value.float(), other[key].float(), atol=1e-5), key
    changed = Adapter(tuned.taps, tuned.encoder, tuned.norms, tuned.weight * 2, tuned.bias)
    with pytest.raises(TruelightError, match="another teacher"):
        student(tmp_path / "cut", folder, OnlineTeacher(tower, changed))
    with pytest.raises(TruelightError, match="needs an online teacher"):
        student(tmp_path / "none", folder, None)


def test_a_student_is_trained_on_what_tune_wrote(
    folder: Path, tower: Encoder, tuned_file: Path, tmp_path: Path
) -> None:
    teacher = {"tuned": str(tuned_file), "tower": str(tower.path), "sha256": tower.sha256}
    recipe = {
        "folders": [str(folder)],
        "layers": [1, 1, 1, 1],
        "width": 8,
        "blends": 0,
        "phases": [
            {"learn_from": "online_teacher", "side": 48, "steps": 2, "batch": 8, "rate": 1e-3}
        ],
        "online_teacher": teacher,
        "head": {"pairs": 4, "epochs": 1, "frames": 2},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    order = ["train", "--recipe", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")]
    assert main([*order, "--workers", "0", "--threads", "1"]) == 0
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    assert "online_teacher" in (tmp_path / "run" / "curve.csv").read_text()
