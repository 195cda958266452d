"""`truelight config`."""

import json
import os
import shutil
from pathlib import Path

import pytest
from frontdoor import ROOT, run

from edge.settings import SHIPPED, Settings


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text("display:\n  driver: sh1106\n  address: 0x3d\nscan: {windows: 12}\n")
    return file


def test_a_valid_file_takes_one_line(mine: Path) -> None:
    ran = run("config", "check", mine)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"OK: {mine} sets 3 values.\n"


def test_an_invalid_file_is_reported_by_place_and_allowed_range(mine: Path) -> None:
    for text, message in (
        (
            "lamps:\n  red: 40\n",
            "line 2: lamps.red is 40.\n  Allowed: a whole number from 0 to 27.",
        ),
        ("\ncamera: {kynd: none}", "line 2: unknown setting camera.kynd.\n  Did you mean kind?"),
        ("button: [", "line 1: not YAML"),
    ):
        mine.write_text(text)
        for command in (("check", mine), ("show", "--config", mine)):
            ran = run("config", *command)
            assert (ran.returncode, ran.stdout) == (2, "")
            assert ran.stderr.startswith(f"truelight: {mine}, {message}")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    ran = run("config", "check", tmp_path / "none.yaml")
    assert ran.returncode == 2
    assert (
        ran.stderr
        == f"truelight: {tmp_path}/none.yaml cannot be read: No such file or directory.\n"
    )


def test_every_setting_is_shown_with_its_origin(mine: Path) -> None:
    ran = run("config", "show", "--config", mine)
    assert ran.returncode == 0
    heading, *rows = filter(None, ran.stdout.splitlines())
    assert heading.split() == ["setting", "value", "default", "set", "in"]
    lines = {line[2:].split()[0]: line for line in rows}
    assert len(lines) == sum(len(section) for section in Settings().model_dump().values())
    assert lines["display.address"].split() == [
        *("*", "display.address", "0x3d", "0x3c"),
        *f"{mine}, line 3".split(),
    ]
    assert lines["scan.windows"].split() == ["scan.windows", "12", f"{mine},", "line", "4"]
    assert lines["camera.keep"].split() == ["camera.keep", "false"]
    assert lines["scan.first"].split() == ["scan.first", "null"]


def test_the_origins_form_one_column(mine: Path) -> None:
    ran = run("config", "show", "--config", mine)
    places = {line.index(str(mine)) for line in ran.stdout.splitlines() if str(mine) in line}
    assert len(places) == 1


def test_the_same_as_json(mine: Path) -> None:
    shown = json.loads(run("config", "show", "--json", "--config", mine).stdout)
    assert shown["display.driver"] == {
        "value": "sh1106",
        "default": "ssd1306",
        "changed": True,
        "origin": f"{mine}, line 2",
    }
    assert not shown["scan.windows"]["changed"]
    assert shown["panel.kind"]["origin"].startswith(f"{SHIPPED}, line ")


def test_a_copy_without_its_data_says_so(mine: Path) -> None:
    copy = mine.parent / "site-packages"
    shutil.copytree(ROOT / "edge", copy / "edge")
    for arguments in (("scan", mine), ("config", "check")):
        around = os.environ | {"PYTHONPATH": str(copy)}
        ran = run(*arguments, cwd=mine.parent, env=around)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "Truelight runs from its own folder.\n  Install it with ./setup.sh" in ran.stderr
        assert str(copy / "config" / "truelight.yaml") in ran.stderr
