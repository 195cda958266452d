"""The settings: what ships, what lies over it, what is refused."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from edge.settings import SHIPPED, Settings, SettingsError, load_settings


def overlay(folder: Path, text: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_shipped_file_names_every_setting_with_its_default() -> None:
    assert yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) == Settings().model_dump()


def test_every_shipped_setting_is_explained() -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    for before, line in pairwise(lines):
        if line.startswith("  ") and not line.strip().startswith("#"):
            assert before.strip().startswith("#"), line


def test_an_overlay_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    settings = load_settings(overlay(tmp_path, "scan:\n  windows: 3\n"))
    assert settings.scan.windows == 3
    rest = settings.changed("test", {"scan.windows": Settings().scan.windows})
    assert rest.model_dump() == Settings().model_dump()


def test_a_setting_knows_where_it_came_from(tmp_path: Path) -> None:
    file = overlay(tmp_path, "# mine\nscan:\n  windows: 3\n")
    settings = load_settings(file).changed("--first", {"scan.first": 20})
    assert settings.origin("scan.windows") == f"{file}, line 3"
    assert settings.origin("scan.first") == "--first"
    assert settings.origin("faces.detector").startswith(f"{SHIPPED}, line ")
    assert Settings().origin("scan.windows") == "built in"


def test_an_empty_overlay_and_an_empty_section_change_nothing(tmp_path: Path) -> None:
    for text in ("", "scan:\n"):
        assert load_settings(overlay(tmp_path, text)).model_dump() == Settings().model_dump()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scan:\n  windows: 0\n", "line 2: scan.windows is 0. Allowed: a whole number from 1 to"),
        ("scan: {first: soon}", "scan.first is 'soon'. Allowed: a whole number from 1 to 100000"),
        ("scan: {windows: true}", "scan.windows is True."),
        ("scan: {windows: '8'}", "scan.windows is '8'."),
        ("faces: {detector: dlib}", "faces.detector is 'dlib'. Allowed: blazeface or mediapipe."),
        ("faces: {least_score: 2}", "Allowed: a number from 0 to 1."),
        ("faces: {least_score: .nan}", "Allowed: a number from 0 to 1."),
        ("model: {bundle: ''}", "model.bundle is ''."),
        ("\nscan: {windws: 3}", "line 2: unknown setting scan.windws. Did you mean windows?"),
        ("colour: red", "unknown setting colour. Known settings: model, scan, second_opinion,"),
        ("scan: 5", "line 1: scan must be a section"),
        ("- 1", "line 1: the file must be a section"),
        ("scan: {windows: 1, windows: 2}", "scan.windows is set twice."),
        ("scan: {windows: 1", "line 1: not YAML"),
        ("a: b: c", "line 1: not YAML"),
        ("scan: \x07", "is not YAML"),
    ],
)
def test_what_is_refused_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = overlay(tmp_path, text)
    with pytest.raises(SettingsError) as refusal:
        load_settings(file)
    assert said in str(refusal.value)
    assert str(file) in refusal.value.message


def test_an_option_is_refused_by_its_own_name() -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings().changed("--windows", {"scan.windows": -1})
    assert refusal.value.message == "--windows: scan.windows is -1."


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing, latin = tmp_path / "none.yaml", tmp_path / "latin.yaml"
    latin.write_bytes(b"# caf\xe9\n")
    for file, said in ((missing, "cannot be read: No such file"), (latin, "not text in UTF-8")):
        with pytest.raises(SettingsError, match=said) as refusal:
            load_settings(file)
        assert str(file) in refusal.value.message


def test_a_bundle_is_a_name_or_a_path(tmp_path: Path) -> None:
    settings = load_settings().changed("test", {"model.folder": str(tmp_path)})
    named = settings.changed("--bundle", {"model.bundle": "other"})
    assert named.bundle_folder == tmp_path / "other"
    for path in ("./other", "some/where/other", "/absolute/other"):
        chosen = settings.changed("--bundle", {"model.bundle": path})
        assert chosen.bundle_folder == Path(path)
