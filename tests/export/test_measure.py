"""One scan of a clip answers under several conditions, and a run that was stopped goes on."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from bundles import beside, write_bundle, write_tower_bundle
from clips import write_clip
from redpale import PALE, RATE, RED, hang, photograph, tinted, wall

from edge.finding import Thresholds
from edge.scan.scanner import Scanner
from edge.settings import load_settings
from export.cli.main import main
from export.data import recompress
from export.evaluate import measure

COUNTS = (3, 11, 30)
"""Less than a window of 8, a window that is cut short, and more than any clip has."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two people who turn from pale to red, one of whom comes later, and of a still."""
    folder = tmp_path_factory.mktemp("clips")
    left, right = photograph("obama"), photograph("biden")

    def frame(number: int) -> Any:
        picture = wall()
        hang(picture, tinted(left, RED if 5 < number < 12 else PALE), 100)
        if number > 6:
            hang(picture, tinted(right, RED if number % 3 else PALE), 700)
        return picture

    write_clip(folder / "later.mp4", (frame(n) for n in range(18)), rate=RATE)
    write_clip(folder / "still.mp4", (frame(10) for _ in range(12)), rate=RATE)
    rows = ["file\tlabel\tsource", "later.mp4\tREAL\ta", "still.mp4\tFAKE\tb"]
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle that is mostly unsure, and one that it asks."""
    folder = tmp_path_factory.mktemp("models")
    red = write_bundle(folder / "red", thresholds=Thresholds(real=0.02, fake=0.999))
    rule = beside(red, 3, first=0.4, second=0.6)
    return red, write_tower_bundle(folder / "other", beside=rule)


def scores_of(table: Path) -> dict[tuple[str, str, str, str], dict[str, str]]:
    """The rows by file, compression, number of frames and whether there was a second model."""
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    keys = ("file", "compression", "frames", "second")
    return {tuple(row[key] for key in keys): row for row in rows}  # type: ignore[misc]


def test_fewer_frames_are_answered_as_a_scan_of_just_these_would(
    clips: Path, models: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = models
    options = ["--frames", ",".join(map(str, COUNTS)), "--compressions", "crf40"]
    scores = tmp_path / "scores.tsv"
    command = ["evaluate", str(first), str(clips), "--second", str(second), "--json"]
    assert main([*command, *options, "--scores", str(scores)]) == 0
    capsys.readouterr()
    found = scores_of(scores)
    asked: dict[str, object] = {"second_opinion.ask": "unsure"}
    asked |= {"second_opinion.bundle": str(second), "second_opinion.least_memory": 256}
    verdicts = set()
    for opinion, counts in (("0", (11,)), ("1", COUNTS)):
        values: dict[str, object] = {"model.bundle": str(first)}
        values |= asked if opinion == "1" else {"second_opinion.ask": "never"}
        with Scanner(load_settings().changed("this test", values)) as scanner:
            for count, clip in itertools.product(counts, sorted(clips.glob("*.mp4"))):
                alone = scanner.for_first_frames(count).scan_with_pictures(clip).finding
                row = found[clip.name, "as is", str(count), opinion]
                probability = alone.fake_probability
                assert row["verdict"] == alone.verdict.value, (clip.name, count, opinion)
                assert row["probability"] == ("" if probability is None else str(probability))
                assert row["looked_at"] == str(alone.frames_scored)
                assert row["asked"] == str(int(alone.second_opinion is not None))
                verdicts.add((row["verdict"], row["asked"]))
    assert len(verdicts) > 2, "the clips show little"
    crf40 = found["later.mp4", "h264 crf 40", "", "0"]
    assert (crf40["asked"], crf40["seconds"]) == ("0", "")
    assert crf40["probability"] != ""


def test_a_run_that_was_stopped_goes_on(
    clips: Path, models: tuple[Path, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    scanned: list[str] = []
    scan = Scanner.scan_with_pictures

    def counted(self: Scanner, path: Path, *rest: Any, **more: Any) -> Any:
        if len(scanned) == stop:
            raise KeyboardInterrupt
        scanned.append(path.name)
        return scan(self, path, *rest, **more)

    monkeypatch.setattr(Scanner, "scan_with_pictures", counted)
    scores, whole = tmp_path / "scores.tsv", tmp_path / "whole.tsv"
    command = ["evaluate", str(models[0]), str(clips), "--json"]
    command += ["--frames", "9", "--spread"]
    stop = -1
    assert main([*command, "--scores", str(whole)]) == 0
    expected = json.loads(capsys.readouterr().out)
    scanned.clear()
    stop = 3
    assert main([*command, "--scores", str(scores)]) != 0
    assert len(scores_of(scores)) == 3
    stop = -1
    scanned.clear()
    assert main([*command, "--scores", str(scores)]) == 0
    assert len(scanned) == 1, "of two clips as they are and by frames, three are known"
    found = json.loads(capsys.readouterr().out)
    for either in (expected, found):
        del either["seconds"]
    assert found == expected
    # What another command does not ask for stays in the table; other models are not believed.
    assert main([*command[:4], "--scores", str(scores)]) == 0
    assert len(scanned) == 1
    assert len(scores_of(scores)) == 4
    other = write_bundle(tmp_path / "other", thresholds=Thresholds(real=0.4, fake=0.6))
    for _ in range(2):  # what is recorded changes the card only
        again = ["evaluate", str(other), str(clips), "--scores", str(scores), "--record", "these"]
        assert main(again) == 0
        assert len(scanned) == 3
    assert {row["frames"] for row in scores_of(scores).values()} == {""}


def test_scores_of_clips_that_would_be_recompressed_otherwise_today_are_not_believed(
    clips: Path, models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = tmp_path / "scores.tsv"
    command = ["evaluate", str(models[0]), str(clips), "--compressions", "crf40"]
    command += ["--scores", str(scores)]
    assert main(command) == 0
    rows = list(scores_of(scores).values())
    with scores.open("w", newline="") as lines:
        table = csv.DictWriter(lines, rows[0], delimiter="\t")
        table.writeheader()
        table.writerows(row | {"verdict": "NO_FACE"} for row in rows)
    for version, believed in ((recompress.VERSION, True), (recompress.VERSION + 1, False)):
        for module in (recompress, measure):
            monkeypatch.setattr(module, "VERSION", version)
        assert main(command) == 0
        found = scores_of(scores)
        verdicts = {row["verdict"] for key, row in found.items() if key[1] == "h264 crf 40"}
        assert (verdicts == {"NO_FACE"}) is believed
        assert {row["recompressed_by"] for row in found.values()} == {"", str(version)}


def test_labels_are_taken_anew(
    clips: Path, models: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "clips"
    shutil.copytree(clips, mine)
    command = ["evaluate", str(models[0]), str(mine), "--json", "--scores", str(tmp_path / "s")]
    found = []
    for labels in (("FAKE", "REAL"), ("REAL", "FAKE")):
        table = "file\tlabel\tsource\nlater.mp4\t{}\ta\nstill.mp4\t{}\tb\n".format(*labels)
        (mine / "labels.tsv").write_text(table)
        assert main(command) == 0
        found.append(json.loads(capsys.readouterr().out)["auc"])
    assert set(found) == {0.0, 1.0}
    assert main([*command[:-1], str(mine / "labels.tsv")]) == 1
    assert "is not a table of scores" in capsys.readouterr().err
