"""Measuring and calibrating a bundle, and cutting crops, through the command."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from bundles import beside, write_bundle, write_tower_bundle
from clips import write_image
from frontdoor import ROOT
from redpale import PALE, RED, hang, photograph, tinted, wall

from edge.finding import Thresholds
from edge.scan.model.bundle import load_bundle
from edge.scan.model.bundle_info import manifest_with_figures
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


CONTRACT = {
    *("auc", "auc_interval", "accuracy", "false_alarms", "by_source", "by_method"),
    *("at_false_alarms", "brier", "calibration_error", "pairs", "unsure", "no_face", "unreadable"),
    *("by_compression", "by_frames", "by_view", "second_opinion"),
}
"""Keys that other programs rely on."""


def keys_of(value: Any) -> set[str]:
    """All keys, at any depth."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set()


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
    output = capsys.readouterr().out
    assert "9 clips (5 real, 4 fake) of 5 sources" in output
    assert "false positive rate" in output
    assert "source 3" in output


def test_json_has_the_keys_that_are_explained(
    bundle: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "scores.tsv"
    options = [
        "--compressions",
        "crf40,refilmed",
        "--frames",
        "1",
        "--cache",
        str(tmp_path / "made"),
    ]
    command = ["evaluate", str(bundle), str(labelled), "--json", *options]
    assert main([*command, "--scores", str(scores)]) == 0
    measured = json.loads(capsys.readouterr().out)
    explained = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    missing = [key for key in keys_of(measured) if f"`{key}`" not in explained]
    assert missing == []
    assert keys_of(measured) >= CONTRACT
    assert [way["name"] for way in measured["by_compression"]] == [
        "as is",
        "h264 crf 40",
        "re-filmed",
    ]
    plain, *worse = (way["scored"] for way in measured["by_compression"])
    assert plain == 8
    assert all(0 < scored <= 8 for scored in worse), "not every tinted face is found"
    assert (measured["by_frames"][0]["looked_at"], measured["second_opinion"]) == (8 / 9, None)
    assert len(list((tmp_path / "made").glob("*.mp4"))) == 18
    assert main(["evaluate", str(bundle), "--from", str(scores), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == measured, "nothing is lost on the way"


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
    assert main(["evaluate", str(bundle), "--crops", str(crops), "--compressions", "all"]) == 0
    assert "jpeg 40" in capsys.readouterr().out


def test_a_second_opinion_and_what_it_costs(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unsure = Thresholds(real=0.0, fake=1.0)
    red = write_bundle(tmp_path / "red", thresholds=unsure)
    rule = beside(red, 1, first=0.0, second=1.0)
    other = write_tower_bundle(tmp_path / "other", beside=rule)
    command = ["evaluate", str(red), str(labelled)]
    assert main([*command, "--second", str(other), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    second = measured["second_opinion"]
    assert second["asked"] == pytest.approx(8 / 9), "there is none on the empty wall"
    assert (second["alone"]["unsure"], second["together"]["unsure"]) == (8, 0)
    assert (second["alone"]["decided"], second["together"]["decided"]) == (0, pytest.approx(8 / 9))
    assert measured["unsure"] == pytest.approx(8 / 9), "the rest is of the bundle alone"
    for part in (second["alone"], second["together"]):
        assert part["seconds"] > 0
        assert part["memory"] > 50
    assert main([*command, "--second", str(other), "--from", "x.tsv"]) == 1
    assert "One of CLIPS" in capsys.readouterr().err
    (other / "tower.onnx").unlink()
    assert main([*command, "--second", str(other)]) == 1
    assert "Not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--compressions", "crf41"], 1, "crf23, crf32, crf40, half, smooth, refilmed, all"),
        (["--frames", "ten"], 2, "argument --frames: invalid"),
        (["--frames", "20,0"], 2, "argument --frames: 0 is below 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    options: list[str], status: int, message: str, bundle: Path, labelled: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main(["evaluate", str(bundle), str(labelled), *options]) == status
    assert message in capsys.readouterr().err


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
    load_bundle(mine)
    figures = manifest_with_figures(mine).figures
    figure = next(f for f in figures if "tinted stills" in f.data)
    assert (figure.name, figure.value, figure.low) == ("AUC", 1.0, 1.0)
    assert figure.data == "tinted stills: 5 real, 4 fake, 5 sources"
    assert "false negative rate (fake clips called REAL)" in (mine / "CARD.md").read_text()


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
