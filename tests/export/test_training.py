"""Training on folders made here: blends, pairs, resuming, the split by source."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge.errors import TruelightError
from export.network import Detector
from export.training.augment import draw
from export.training.batches import Batches, Mix, Phase
from export.training.blends import self_blend
from export.training.data import Pairs, Picture, held_out, one_each, read_folder, split
from export.training.head import HeadRecipe, features_of, train_head
from export.training.recipe import Recipe, Training
from export.training.sequences import Windows

PHASES = (Phase(32, 4, 8, 1e-3), Phase(48, 2, 4, 5e-4))


def face_points(side: int) -> np.ndarray:
    """468 points laid over an ellipse as a face's are: brows above, chin below."""
    rng = np.random.default_rng(3)
    angle, radius = rng.uniform(0, 2 * np.pi, 468), np.sqrt(rng.uniform(0, 1, 468))
    points = np.stack([np.cos(angle) * radius * 0.32, np.sin(angle) * radius * 0.42], axis=1) + 0.5
    points[9], points[2], points[152] = (0.5, 0.3), (0.5, 0.6), (0.5, 0.92)
    return (points * side).astype(np.float32)


def scenery(seed: int, side: int = 96) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve sources with a real and a fake each; the fakes are greener."""
    out = tmp_path_factory.mktemp("crops")
    with (out / "labels.tsv").open("w", newline="") as table:
        rows = csv.writer(table, delimiter="\t")
        rows.writerow(("file", "label", "source"))
        for number in range(12):
            for label in ("REAL", "FAKE"):
                green = np.array([0, 90, 0]) if label == "FAKE" else 0
                image = scenery(number).astype(int) + green
                name = f"{number}_{label}.png"
                cv2.imwrite(str(out / name), np.clip(image, 0, 255).astype(np.uint8)[..., ::-1])
                rows.writerow((name, label, f"source {number}"))
    return out


@pytest.fixture(scope="module")
def batches(folder: Path) -> Batches:
    pictures = read_folder(folder)
    reals = [p for p in pictures if not p.fake]
    return Batches(reals, Pairs(pictures), marks(reals), PHASES, Mix(), seed=7)


def marks(reals: list[Picture]) -> dict[str, np.ndarray]:
    return {str(p.path): face_points(1) for p in reals}


def small() -> Detector:
    torch.manual_seed(0)
    return Detector(hidden=8, layers=(1, 1, 1, 1), width=8, zero_init=True)


def trained(out: Path, folder: Path, batches: Batches, **changes: object) -> Training:
    recipe = Recipe(phases=PHASES, warm_up=2, seed=7, **changes)  # type: ignore[arg-type]
    validation = {"validation": one_each(read_folder(folder), 24)}
    return Training(out, small(), recipe, batches, validation, {"side": 48})


def test_a_blend_changes_the_face_and_leaves_its_surroundings() -> None:
    for seed in range(12):
        image = scenery(seed, 128)
        rng = np.random.default_rng(seed)
        real, fake = self_blend(image, face_points(128), 0.5, rng)
        change = np.abs(real.astype(int) - fake).sum(axis=2)
        corners = np.concatenate(
            [change[:6, :6], change[:6, -6:], change[-6:, :6], change[-6:, -6:]]
        )
        assert change[40:90, 40:90].mean() > 1.0
        assert corners.max() <= 6, "rounding at most"


def test_easy_blends_are_easier_to_see() -> None:
    def visible(ease: float) -> float:
        changes = []
        for seed in range(30):
            rng = np.random.default_rng(seed)
            real, fake = self_blend(scenery(seed, 96), face_points(96), ease, rng)
            changes.append(np.abs(real.astype(int) - fake).mean())
        return float(np.mean(changes))

    assert visible(1.0) > 1.3 * visible(0.0)


def test_one_treatment_is_the_same_for_both_of_a_pair() -> None:
    rng = np.random.default_rng(1)
    image = scenery(1)
    for _ in range(20):
        treatment = draw(rng)
        assert np.array_equal(treatment.apply(image, 1.0, 40), treatment.apply(image, 1.0, 40))


def test_a_margin_is_cut_away() -> None:
    image = np.zeros((160, 160, 3), np.uint8)
    image[30:130, 30:130] = 200  # the crop of a picture with margin 1.6
    cuts = [draw(np.random.default_rng(seed)).apply(image, 1.6, 40) for seed in range(20)]
    assert np.median([(c > 60).mean() for c in cuts]) > 0.97


def test_batches_are_a_function_of_seed_and_step(folder: Path, batches: Batches) -> None:
    again = Batches(
        [p for p in read_folder(folder) if not p.fake],
        Pairs(read_folder(folder)),
        batches._landmarks,
        PHASES,
        Mix(),
        seed=7,
    )
    for step in (0, 5):
        crops, labels = batches[step]
        assert torch.equal(crops, again[step][0])
        assert labels.tolist() == [0.0, 1.0] * (len(labels) // 2)
    assert batches[0][0].shape == (8, 32, 32, 3)
    assert batches[5][0].shape == (4, 48, 48, 3)


def test_the_split_is_by_source(folder: Path) -> None:
    train, validation = split(read_folder(folder), 0.4)
    assert {p.source for p in train}.isdisjoint(p.source for p in validation)
    assert all(held_out(p.source, 0.4) for p in validation)
    assert validation
    assert train


def test_training_resumes_to_the_same_weights(
    tmp_path: Path, folder: Path, batches: Batches
) -> None:
    def quiet(*_: object) -> None:
        pass

    class PowerCutError(Exception):
        pass

    def cut(step: int, _: float) -> None:
        if step == 4:
            raise PowerCutError

    whole = trained(tmp_path / "whole", folder, batches).run(2, quiet, quiet)
    with pytest.raises(PowerCutError):
        trained(tmp_path / "cut", folder, batches).run(2, quiet, cut)
    resumed = trained(tmp_path / "cut", folder, batches).run(2, quiet, quiet)
    one, other = (torch.load(p, weights_only=True) for p in (whole, resumed))
    assert one["step"] == other["step"] == 6
    for key, value in one["model"].items():
        assert torch.allclose(value.float(), other["model"][key].float(), atol=1e-5), key
    rows = (tmp_path / "cut" / "curve.csv").read_text().splitlines()
    assert len(rows) == 1 + 3


def test_another_recipe_does_not_go_on_with_a_run(
    tmp_path: Path, folder: Path, batches: Batches
) -> None:
    trained(tmp_path, folder, batches).run(6, lambda _: None, lambda *_: None)
    with pytest.raises(TruelightError, match="another recipe"):
        trained(tmp_path, folder, batches, weight_decay=0.5)


def test_the_head_learns_what_the_windows_show(folder: Path) -> None:
    network = small()
    windows = Windows([], Pairs(read_folder(folder)), {}, frames=3, side=32, seed=1)
    both = features_of(network, windows, 24, lambda *_: None)
    assert both[0].shape == (48, 3, network.trunk.features)
    recipe = HeadRecipe(epochs=60, learning_rate=1e-2, dropout=0.0)
    assert train_head(network, both, both, recipe, lambda *_: None).lstm_auc > 0.8


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("file\tlabel\na.png\tREAL\n", "source"),
        ("file\tlabel\tsource\na.png\tMAYBE\ts\n", "MAYBE"),
        ("file\tlabel\tsource\n", "no picture"),
    ],
)
def test_a_table_that_is_not_one_is_refused_by_what_is_wrong(
    tmp_path: Path, table: str, words: str
) -> None:
    (tmp_path / "labels.tsv").write_text(table)
    with pytest.raises(TruelightError, match=words):
        read_folder(tmp_path)
