"""`truelight-export vary`: pictures for a teacher, written as a folder like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_data import draw_folder, material

from edge.errors import TruelightError
from export.cli.main import main
from export.data.crop_folders import blended_pairs, write_pairs
from export.data.folders import PairSampler, read_folder


def test_pairs_are_augmented_alike_and_keep_their_source(tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "crops", sources=6)
    order = ["vary", str(folder), "--pairs", "9", "--side", "48"]
    for name in ("one", "two"):
        assert main([*order, "--out", str(tmp_path / name)]) == 0
    made = read_folder(tmp_path / "one")
    assert [picture.fake for picture in made] == [False, True] * 9
    assert len(PairSampler(made).groups) == len({picture.source for picture in made})
    assert {picture.source for picture in made} <= {p.source for p in read_folder(folder)}
    for real, fake in zip(made[::2], made[1::2], strict=True):
        # What tells them apart in the folder, a green veil, is all that does so here.
        difference = fake.read().astype(int).mean((0, 1)) - real.read().astype(int).mean((0, 1))
        assert real.source == fake.source and real.read().shape == (48, 48, 3)
        assert difference.argmax() == 1 and abs(difference[[0, 2]]).max() < difference[1]
    assert all(
        np.array_equal(a.read(), b.read())
        for a, b in zip(made, read_folder(tmp_path / "two"), strict=True)
    )


def test_blended_pairs_differ_within_the_face(tmp_path: Path) -> None:
    reals = [p for p in read_folder(draw_folder(tmp_path / "crops", sources=6)) if not p.fake]
    known = material(reals).landmarks
    count = write_pairs(blended_pairs(reals, known, 8, 64, 0), tmp_path / "blends", lambda _: None)
    made = read_folder(tmp_path / "blends")
    assert count == len(made) == 16
    changes = []
    for real, fake in zip(made[::2], made[1::2], strict=True):
        changes.append(abs(fake.read().astype(int) - real.read()).mean(2))
    mean = np.mean(changes, axis=0)
    assert mean[24:40, 24:40].mean() > 3 * mean[:8, :8].mean()


@pytest.mark.parametrize("kind", ["exchange", "rerender", "reenact"])
def test_other_blends_change_the_face_too(kind: str, tmp_path: Path) -> None:
    reals = [p for p in read_folder(draw_folder(tmp_path / "crops", sources=6)) if not p.fake]
    known = material(reals).landmarks
    pairs = blended_pairs(reals, known, 8, 64, 0, kinds=[kind])
    assert write_pairs(pairs, tmp_path / "blends", lambda _: None) == 16
    made = read_folder(tmp_path / "blends")
    changes = [
        abs(fake.read().astype(int) - real.read()).mean()
        for real, fake in zip(made[::2], made[1::2], strict=True)
    ]
    assert np.mean(changes) > 0.5


def test_unknown_blends_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = draw_folder(tmp_path / "crops", sources=2)
    command = ["vary", str(folder), "--blends", "1", "--kinds", "self,morph"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 1
    assert "There is no blend 'morph'" in capsys.readouterr().err


def test_existing_folders_are_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = draw_folder(tmp_path / "crops", sources=2)
    assert main(["vary", str(folder), "--pairs", "1", "--out", str(folder)]) == 1
    assert "already holds images" in capsys.readouterr().err
    with pytest.raises(TruelightError, match="No real face"):
        next(blended_pairs([], {}, 1, 64, 0))
