"""Quality limits: the criterion against closed forms, faces made worse, and the command."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from clips import write_image
from frontdoor import run
from redpale import PALE, RED, hang, photograph, tinted, wall

from edge.finding import Box, Thresholds
from edge.scan.faces.crops import cut
from edge.scan.faces.detector import load_detector
from edge.scan.frames import CropSpec
from edge.scan.model.bundle import load_bundle
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.manifest import QualityLimits
from export.cli.main import main
from export.data.corruptions import FaceFrame, blur_to, corrupted, darker, smaller, unchanged
from export.evaluate.limits import STEPS, Comparison, Measure, limits, table

SPEC = CropSpec(64)


def comparisons(measure: Measure, step: float, kept: float, shift: float = 0.0) -> list[Comparison]:
    """Logits of variance 1 that keep a correlation of `kept`, and are shifted."""
    rng = np.random.default_rng(int(step))
    found = []
    for number in range(2000):
        before, noise = rng.normal(size=2)
        after = kept * before + math.sqrt(1 - kept**2) * noise + shift
        found.append(Comparison(measure, step, f"s{number}", bool(number % 2), before, after))
    return found


def test_the_change_is_what_correlation_and_shift_make_of_it(bundle: Path) -> None:
    """Half the mean square of the difference: 1 - r for noise, shift squared by 2."""
    manifest = read_bundle(bundle).manifest
    made = (
        comparisons("light", 70, 0.9)
        + comparisons("light", 50, 0.0)
        + comparisons("light", 16, 1.0, 1.2)
    )
    rows = {row.step: row for row in table(made, manifest)}
    assert rows[70].change == pytest.approx(0.1, abs=0.01)
    assert rows[50].change == pytest.approx(1.0, abs=0.1)
    assert rows[16].change == pytest.approx(0.72, abs=0.03)
    assert rows[16].auc_after == pytest.approx(rows[16].auc_before), "a shift leaves the AUC"
    low, high = rows[70].change_interval
    assert low < rows[70].change < high < 0.12


def test_verdicts_that_change_and_that_are_wrong_are_counted(bundle: Path) -> None:
    manifest = read_bundle(bundle).manifest.model_copy(
        update={"thresholds": Thresholds(real=0.3, fake=0.7)}
    )
    sides = [(f"s{i}", bool(i % 2), 3.0 if i % 2 else -3.0) for i in range(20)]
    made = [Comparison("light", 50, source, fake, z, 3.0) for source, fake, z in sides]
    (row,) = table(made, manifest)
    assert (row.changed, row.false_alarms, row.missed) == (0.5, 1.0, 0.0)


def test_a_crowded_source_weighs_no_more_than_another(bundle: Path) -> None:
    manifest = read_bundle(bundle).manifest
    still = [Comparison("light", 50, f"s{i}", False, float(i), float(i)) for i in range(9)]
    moved = [Comparison("light", 50, "crowd", True, 4.0, 6.0)]
    once, often = (table([*still, *moved * count], manifest)[0] for count in (1, 30))
    assert often.change == pytest.approx(once.change)


def test_the_limit_is_the_last_step_before_it_fails(bundle: Path) -> None:
    manifest = read_bundle(bundle).manifest
    kept = {70: 0.95, 50: 0.8, 35: 0.6, 25: 0.9, 16: 0.1}
    rows = table([t for step, r in kept.items() for t in comparisons("light", step, r)], manifest)
    now = QualityLimits(face_px=48, light=33, sharpness=7, seconds=0.5)
    assert limits(rows, now) == now.model_copy(update={"light": 50})
    assert limits(rows, now, 0.6).light == 25
    assert limits(rows, now, 0.01).light == 70, "nothing holds: only what is better may pass"
    few = [t for step in kept for t in comparisons("light", step, 0.1)[:5]]
    assert table(few, manifest) == []


@pytest.fixture(scope="module")
def face() -> FaceFrame:
    pixels = photograph("obama")
    box = load_detector().detect(pixels)[0].box
    return FaceFrame(0, 0.0, pixels, box, 0.0, cut(pixels, box, SPEC))


def test_a_face_is_made_as_bad_as_requested(face: FaceFrame) -> None:
    was = corrupted(face, unchanged, SPEC).quality
    assert was.face_px == face.crop.quality.face_px
    assert corrupted(face, smaller(0.25), SPEC).quality.face_px == pytest.approx(was.face_px / 4, 1)
    assert corrupted(face, darker(0.2), SPEC).quality.light == pytest.approx(was.light / 5, abs=1.5)
    for sharpness in (300.0, 40.0, 5.0):
        found = corrupted(face, blur_to(face, sharpness), SPEC).quality
        assert found.sharpness == pytest.approx(sharpness, rel=0.15)
        assert found.face_px == was.face_px


def test_the_same_face_stays_in_the_crop_when_it_is_small(face: FaceFrame) -> None:
    whole, small = (corrupted(face, way, SPEC).pixels for way in (unchanged, smaller(0.3)))
    assert np.abs(whole.astype(float) - small).mean() < 12
    moved = FaceFrame(0, 0.0, face.pixels, _aside(face.box), 0.0, face.crop)
    assert np.abs(whole.astype(float) - corrupted(moved, unchanged, SPEC).pixels).mean() > 20


def _aside(box: Box) -> Box:
    return box.model_copy(update={"x": box.x + box.width / 2})


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photographs of two people, red (FAKE) and pale (REAL)."""
    folder = tmp_path_factory.mktemp("people")
    rows = ["file\tlabel\tsource"]
    for number in range(12):
        label, tint = ("FAKE", RED) if number % 2 else ("REAL", PALE)
        picture = wall()
        person = photograph(("obama", "biden")[number // 2 % 2])
        hang(picture, tinted(person, tint), 100 + 60 * number)
        write_image(folder / f"{number}.png", picture)
        rows.append(f"{number}.png\t{label}\tsource {number // 2}")
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_the_command_finds_where_this_bundle_fails(
    bundle: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its logit is the difference of colours: it halves with the light, and minds nothing else."""
    mine, plot = tmp_path / "red", tmp_path / "limits.png"
    shutil.copytree(bundle, mine)
    before = load_bundle(mine).manifest
    words = ["limits", str(mine), str(labelled), "--json", "--plot", str(plot)]
    assert main([*words, "--dry-run"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert load_bundle(mine).manifest == before
    dark = {row["step"]: row["change"] for row in printed["steps"] if row["measure"] == "light"}
    assert list(dark) == sorted(dark, reverse=True)
    assert list(dark.values()) == sorted(dark.values())
    assert dark[50] < 0.25 < dark[5]
    for measure in ("face_px", "sharpness"):
        changes = [row["change"] for row in printed["steps"] if row["measure"] == measure]
        assert max(changes) < 0.05
        assert printed["quality"][measure] == min(STEPS[measure])
    assert printed["quality"]["seconds"] == before.quality.seconds, "stills have no length"
    assert 5 < printed["quality"]["light"] < 70
    assert plot.read_bytes().startswith(b"\x89PNG")

    assert main(words[:3]) == 0
    shown = capsys.readouterr().out
    assert f"light: at least {printed['quality']['light']:g} of 255 (was 20 of 255)" in shown
    after = load_bundle(mine).manifest
    assert after.quality.model_dump() == printed["quality"]
    assert "| change of the logit, faces of light 50 |" in (mine / "CARD.md").read_text()
    assert after.thresholds == before.thresholds

    darkest = labelled.parent / "dark.png"
    picture = wall()
    hang(picture, (tinted(photograph("obama"), RED) * 0.2).astype(np.uint8), 300)
    write_image(darkest, picture)
    scan = run("scan", "--json", "--bundle", mine, darkest)
    found = json.loads(scan.stdout)
    assert found["verdict"] == "UNSURE"
    assert [reason["code"] for reason in found["reasons"]] == ["too-dark", "single-picture"]


def test_clips_without_information_are_refused(
    bundle: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(labelled / "0.png", tmp_path)
    (tmp_path / "labels.tsv").write_text("file\tlabel\tsource\n0.png\tREAL\ts\n")
    assert main(["limits", str(bundle), str(tmp_path)]) == 1
    assert "too few good faces" in capsys.readouterr().err
    (tmp_path / "labels.tsv").write_text("file\tlabel\tsource\ngone.png\tREAL\ts\n")
    assert main(["limits", str(bundle), str(tmp_path)]) == 1
    assert "gone.png is missing" in capsys.readouterr().err
