"""`truelight-export gather`: crops of many makers in one folder."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import pytest
from clips import write_image
from redpale import PALE, RED, hang, photograph, tinted, wall

from export.cli.main import main

RECIPE = """
folders:
  - {folder: swaps, name: swaps, camera: source}
  - {folder: phones, name: phones, without: {method: [screen]}}
makers:
  warp: [triangulation]
"""


def write_faces(folder: Path, rows: list[tuple[str, str, str, str]]) -> None:
    """Pictures of a person on a wall: label, method, dataset, person."""
    folder.mkdir()
    lines = ["file\tlabel\tsource\tmethod\tdataset"]
    for at, (label, method, dataset, person) in enumerate(rows):
        canvas = wall()
        hang(canvas, tinted(photograph(person), RED if label == "FAKE" else PALE), 100)
        write_image(folder / f"{at}.jpg", canvas)
        lines.append(f"{at}.jpg\t{label}\t{person}\t{method}\t{dataset}")
    (folder / "labels.tsv").write_text("\n".join(lines) + "\n")


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.tsv").open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    swap = ("FAKE", "triangulation swap", "student", "obama")
    write_faces(tmp_path / "swaps", [swap, ("REAL", "-", "student", "biden")])
    phones = [("REAL", "-", "phone", "obama"), ("REAL", "screen", "phone", "biden")]
    write_faces(tmp_path / "phones", phones)
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    return file


def test_faces_are_gathered_with_their_makers(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = recipe.parent / "out"
    assert main(["gather", str(recipe), "--out", str(out)]) == 0
    fake, real = table(out / "swaps")
    assert (fake["maker"], fake["with"], fake["camera"]) == ("warp", "warp", "obama")
    assert (real["maker"], real["with"], real["camera"]) == ("-", "warp", "biden")
    (phone,) = table(out / "phones")  # the other row was left out
    assert (phone["maker"], phone["with"], phone["camera"]) == ("-", "-", "phone")
    crop = cv2.imread(str(out / "swaps" / fake["file"]))
    assert crop is not None
    assert crop.shape[0] == crop.shape[1]
    assert crop.shape[0] == pytest.approx(1.4 * float(fake["native_px"]), rel=0.15)
    assert "3 crops; 0 near copies" in capsys.readouterr().out

    written = (out / "swaps" / "labels.tsv").stat().st_mtime_ns
    assert main(["gather", str(recipe), "--out", str(out)]) == 0
    assert (out / "swaps" / "labels.tsv").stat().st_mtime_ns == written  # kept


def test_copies_of_what_measures_are_named(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = recipe.parent / "out"
    assert main(["gather", str(recipe), "--out", str(out)]) == 0
    name = table(out / "phones")[0]["file"]
    apart = recipe.parent / "apart"
    apart.mkdir()
    crop = cv2.imread(str(out / "phones" / name))
    assert crop is not None
    cv2.imwrite(str(apart / "same.jpg"), cv2.resize(crop, (90, 90), interpolation=cv2.INTER_AREA))
    (apart / "labels.tsv").write_text("file\tlabel\tsource\tmargin\nsame.jpg\tREAL\tx\t1.4\n")
    capsys.readouterr()
    assert main(["gather", str(recipe), "--out", str(out), "--against", str(apart)]) == 0
    assert f"phones/{name} = apart/same.jpg" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [("folders: []", "folders"), ("folders: [", "is not YAML"), ("makers: {}", "folders")],
)
def test_wrong_recipes_are_refused(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    assert main(["gather", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err
