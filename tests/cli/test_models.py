"""`truelight models` and the other small commands."""

import json
import shutil
from pathlib import Path

import pytest
from frontdoor import ROOT, run

from edge import __version__


@pytest.fixture
def models(bundle: Path, tmp_path: Path) -> Path:
    """A folder with two bundles, one of them spoilt, and settings that name the good one."""
    shutil.copytree(bundle, tmp_path / "models" / "red")
    shutil.copytree(bundle, tmp_path / "models" / "spoilt")
    (tmp_path / "models" / "spoilt" / "bundle.json").write_text("{}")
    config = tmp_path / "mine.yaml"
    config.write_text(f"model: {{folder: {tmp_path / 'models'}, bundle: red}}")
    return config


def test_the_bundles_are_listed(models: Path) -> None:
    ran = run("models", "--config", models)
    assert ran.returncode == 0
    assert "* red  version 1  (default)\n" in ran.stdout
    assert "    AUC 0.50 (0.40 to 0.60)\n      on nothing\n" in ran.stdout
    every = run("models", "--all", "--config", models)
    assert "AUC 0.5 (0.4 to 0.6) on nothing" in every.stdout
    assert "bundle.json is not valid" in ran.stdout


def test_the_bundles_as_json(models: Path) -> None:
    ran = run("models", "--json", "--config", models)
    red, spoilt = map(json.loads, ran.stdout.splitlines())
    assert (red["name"], red["default"], red["problem"]) == ("red", True, None)
    assert Path(red["path"]) == models.parent / "models" / "red"
    assert red["metrics"][0] | {"name": "AUC", "value": 0.5} == red["metrics"][0]
    assert (spoilt["name"], spoilt["default"]) == ("spoilt", False)
    assert "is not valid" in spoilt["problem"]


def test_a_missing_default_is_reported(models: Path) -> None:
    models.write_text(models.read_text().replace("bundle: red", "bundle: none"))
    ran = run("models", "--config", models)
    assert ran.returncode == 0
    assert f"models/none ({models}, line 1) is missing." in ran.stderr


def test_the_configured_bundle_judges(models: Path, clips: Path) -> None:
    ran = run("scan", "--json", "--config", models, clips / "red.jpg")
    assert json.loads(ran.stdout)["model"]["name"] == "red"
    ran = run("scan", "--json", "--config", models, "--bundle", "spoilt", clips / "red.jpg")
    assert ran.returncode == 2
    assert "spoilt/bundle.json is not valid" in ran.stderr


def test_fetching_again_changes_nothing() -> None:
    first, second = run("models", "fetch"), run("models", "fetch")
    assert first.returncode == 0
    assert first.stdout == second.stdout
    assert all(Path(line).is_file() for line in first.stdout.splitlines())


def test_the_committed_schema_is_the_types() -> None:
    committed = (ROOT / "docs" / "finding.schema.json").read_text(encoding="utf-8")
    assert run("schema").stdout == committed


def test_help_and_version() -> None:
    assert run("--version").stdout == f"truelight {__version__}\n"
    for words in (("--help",), ("scan", "--help"), ("models", "fetch", "--help")):
        ran = run(*words)
        assert ran.returncode == 0
        assert ran.stdout.startswith("usage: truelight")
    ran = run()
    assert ran.returncode == 2
    assert "judge videos and pictures" in ran.stderr


def test_wrong_usage_is_a_sentence_and_a_remedy() -> None:
    for words, said in (
        (("scna", "x"), ("invalid choice: 'scna'", "Did you mean scan? See: truelight --help")),
        (("scan", "--frist", "3"), ("unrecognized", "Did you mean --first? See: truelight scan")),
        (("history", "show"), ("required: ID", "See: truelight history show --help")),
        (("config", "shwo"), ("invalid choice: 'shwo'", "Did you mean show?")),
        (("history", "--since", "yesterday"), ("not a date like", "See: truelight history --help")),
    ):
        ran = run(*words)
        assert (ran.returncode, ran.stdout) == (2, "")
        lines = ran.stderr.splitlines()
        assert len(lines) == 2, ran.stderr
        assert all(part in line for part, line in zip(said, lines, strict=True)), ran.stderr
