"""Training the trunk on folders made here: by labels, from a teacher, cut off and resumed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_data import PowerCutError, cache_features, cut, draw_folder, material, quiet, small

from edge.errors import TruelightError
from export.clip.teacher import load_features
from export.data.folders import held_out, one_each, read_folder, split
from export.train.batches import Phase
from export.train.distillation import CachedTeacher
from export.train.loop import Recipe, Training
from export.train.validation import LogEntry, score

PHASES = (Phase(32, 4, 8, 1e-3), Phase(48, 2, 4, 5e-4))
DISTIL = (Phase(32, 4, 8, 1e-3, "features"), Phase(32, 2, 8, 5e-4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("drawn") / "crops")


@pytest.fixture(scope="module")
def teacher(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> CachedTeacher:
    cache = load_features(cache_features(folder, tmp_path_factory.mktemp("features")))
    return CachedTeacher(cache.names, cache.matrix, read_folder(folder), [])


def trained(
    out: Path, folder: Path, teacher: CachedTeacher | None = None, **changes: object
) -> Training:  # fmt: skip
    recipe = Recipe(**{"phases": PHASES, "warm_up": 2, "seed": 7} | changes)  # type: ignore[arg-type]
    pictures = read_folder(folder)
    rows = {picture.key: row for row, picture in enumerate(pictures)}
    made_of = material(pictures, rows if teacher else None)
    validation = {"validation": one_each(pictures, 24)}
    return Training(out, small(), recipe, made_of, validation, {"side": 48}, teacher)


@pytest.mark.parametrize("distils", [False, True])
def test_training_resumes_to_the_same_weights(
    tmp_path: Path, folder: Path, teacher: CachedTeacher, distils: bool
) -> None:
    way: dict[str, Any] = {"teacher": teacher, "phases": DISTIL} if distils else {}
    whole = trained(tmp_path / "whole", folder, **way).run(2, quiet, quiet, 0)
    with pytest.raises(PowerCutError):
        trained(tmp_path / "cut", folder, **way).run(2, quiet, cut, 0)
    resumed = trained(tmp_path / "cut", folder, **way).run(2, quiet, quiet, 1)
    for name in ("best.pt", "last.pt"):
        one, other = (
            torch.load(path.parent / name, weights_only=True) for path in (whole, resumed)
        )
        assert one["step"] == other["step"]
        for key, value in one["model"].items():
            assert torch.allclose(value.float(), other["model"][key].float(), atol=1e-5), key
    rows = (tmp_path / "cut" / "curve.csv").read_text().splitlines()
    assert len(rows) == 1 + 3, "steps that were done twice are listed once"


def test_a_run_is_not_resumed_with_another_recipe_or_other_images(
    tmp_path: Path, folder: Path
) -> None:
    trained(tmp_path, folder).run(6, quiet, quiet, 0)
    with pytest.raises(TruelightError, match="another recipe"):
        trained(tmp_path, folder, weight_decay=0.5)
    with pytest.raises(TruelightError, match="other images"):
        trained(tmp_path, draw_folder(tmp_path / "more", sources=3))


def test_cached_features_are_distilled(
    tmp_path: Path, folder: Path, teacher: CachedTeacher
) -> None:
    moments: list[LogEntry] = []
    phases = (Phase(32, 40, 16, 1e-2, "features"),)
    run = trained(tmp_path, folder, teacher, phases=phases)
    best = run.run(10, moments.append, quiet, 0)
    assert moments[-1].losses["features"] < 0.85 * moments[0].losses["features"]
    assert moments[-1].losses["teacher"] < moments[0].losses["teacher"]
    assert moments[-1].scores["validation"].auc > 0.8
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert last["guess"]["weight"].shape == (24, 256)
    assert set(torch.load(best, weights_only=True)["model"]) == set(small().state_dict())


def test_distillation_needs_cached_features(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(TruelightError, match="needs cached features"):
        trained(tmp_path, folder, phases=DISTIL)


def test_the_probe_is_scored_on_held_out_sources(folder: Path, tmp_path: Path) -> None:
    cache = load_features(cache_features(folder, tmp_path))
    train, rest = split(read_folder(folder), 0.4)
    teacher = CachedTeacher(cache.names, cache.matrix, train, rest)
    assert teacher.held_out_auc > 0.9
    seen = teacher.features[[cache.names.index(p.key) for p in train]].float()
    assert seen.mean(0).abs().max() < 0.01
    assert (seen.std(0) - 1).abs().max() < 0.01
    with pytest.raises(TruelightError, match="has none of the images"):
        foreign = read_folder(draw_folder(tmp_path / "foreign"))
        CachedTeacher(cache.names, cache.matrix, foreign, [])


def test_the_curve_is_plotted_from_its_table(
    tmp_path: Path, folder: Path, teacher: CachedTeacher
) -> None:
    trained(tmp_path, folder, teacher, phases=DISTIL).run(2, quiet, quiet, 0)
    with (tmp_path / "curve.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["step"], row["kind"]) for row in rows] == [
        ("2", "features"), ("4", "features"), ("6", "labels")
    ]  # fmt: skip
    assert {"auc validation", "pairs validation", "features", "label"} <= set(rows[0])
    assert rows[2]["features"] == "nan", "labels alone learn no features"
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_every_source_weighs_the_same(folder: Path) -> None:
    few, many = read_folder(folder)[:2], read_folder(folder)[2:4]
    pictures = few + many * 9
    right, wrong = [0.0, 1.0], [1.0, 0.0]
    assert score(pictures, right + wrong * 9).pairs == 0.5
    assert score(pictures, wrong + right * 9).auc == score(pictures, right + wrong * 9).auc
    assert np.isnan(score(few[:1], [0.0]).auc)


def test_the_split_is_by_source(folder: Path) -> None:
    train, validation = split(read_folder(folder), 0.4)
    assert {p.source for p in train}.isdisjoint(p.source for p in validation)
    assert all(held_out(p.source, 0.4) for p in validation)
    assert validation
    assert train
