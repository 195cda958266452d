"""Measuring and calibrating a bundle, and cutting crops, through the command."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from clips import write_image
from redpale import PALE, RED, hang, photograph, tinted, wall

from edge.scan.bundle import load_bundle
from export.cli.main import main


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photographs of two people, red (FAKE) and pale (REAL), and an empty wall."""
    folder = tmp_path_factory.mktemp("labelled")
    with (folder / "labels.tsv").open("w", newline="") as table:
        rows = csv.writer(table, delimiter="\t")
        rows.writerow(("file", "label", "source", "method"))
        for number in range(8):
            label, tint = ("FAKE", RED) if number % 2 else ("REAL", PALE)
            picture = wall()
            person = photograph(("obama", "biden")[number // 2 % 2])
            hang(picture, tinted(person, tint), 100 + 60 * number)
            write_image(folder / f"{number}.png", picture)
            rows.writerow((f"{number}.png", label, f"source {number // 2}", "tint"))
        write_image(folder / "nobody.png", wall())
        rows.writerow(("nobody.png", "REAL", "source 9", "tint"))
    return folder


def test_figures_of_clips(bundle: Path, labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(bundle), str(labelled), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["clips"] == 9
    assert measured["auc"] == 1.0
    assert measured["auc_interval"] == [1.0, 1.0]
    assert measured["no_face"] == pytest.approx(1 / 9)
    assert measured["false_alarms"] == 0.0
    assert {g["name"] for g in measured["by_source"]} == {f"source {n}" for n in (0, 1, 2, 3, 9)}
    assert next(g for g in measured["by_method"] if g["name"] == "tint")["right"] == 4


def test_figures_as_tables(
    bundle: Path, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(bundle), str(labelled)]) == 0
    told = capsys.readouterr().out
    assert "9 clips (5 real, 4 fake) of 5 sources" in told
    assert "false alarms" in told
    assert "source 3" in told


def test_crops_are_cut_and_measured(
    bundle: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crops = tmp_path / "crops"
    assert main(["crops", str(labelled), str(crops), "--margin", "1.6"]) == 0
    assert "8 crops" in capsys.readouterr().out
    with (crops / "labels.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert [row["label"] for row in rows] == ["REAL", "FAKE"] * 4
    assert {row["margin"] for row in rows} == {"1.6"}
    assert all(80 < int(row["native_px"]) < 160 for row in rows)
    assert main(["evaluate", str(bundle), "--crops", str(crops), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["auc"] == 1.0


def test_calibration_is_written_and_the_card_with_it(
    bundle: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "red"
    shutil.copytree(bundle, mine)
    before = load_bundle(mine).manifest
    assert main(["calibrate", str(mine), str(labelled), "--dry-run"]) == 0
    assert load_bundle(mine).manifest == before
    assert main(["calibrate", str(mine), str(labelled)]) == 0
    after = load_bundle(mine).manifest
    assert after.calibration != before.calibration
    assert after.thresholds.real <= 0.5 <= after.thresholds.fake
    assert "8 clips with a face of 4 sources" in capsys.readouterr().out
    assert main(["evaluate", str(mine), str(labelled), "--record", "tinted stills"]) == 0
    figure = next(f for f in load_bundle(mine).manifest.figures if "tinted stills" in f.data)
    assert (figure.name, figure.value, figure.low) == ("AUC", 1.0, 1.0)
    assert figure.data == "tinted stills: 5 real, 4 fake, 5 sources"
    assert "missed (REAL said of a fake)" in (mine / "CARD.md").read_text()


def test_a_folder_without_both_classes_is_refused(
    bundle: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(labelled / "0.png", tmp_path)
    (tmp_path / "labels.tsv").write_text("file\tlabel\tsource\n0.png\tREAL\ts\n")
    assert main(["evaluate", str(bundle), str(tmp_path)]) == 1
    assert "both needed" in capsys.readouterr().err
    (tmp_path / "labels.tsv").write_text("file\tlabel\tsource\ngone.png\tREAL\ts\n")
    assert main(["evaluate", str(bundle), str(tmp_path)]) == 1
    assert "gone.png is missing" in capsys.readouterr().err
