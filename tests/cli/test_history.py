"""`truelight history` through the front door."""

import csv
import io
import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from frontdoor import ROOT, run
from rich.cells import cell_len
from test_terminal import CONTROL, on_terminal

from edge.finding import Finding
from edge.history.writer import History
from edge.text import percent

Truelight = Callable[..., subprocess.CompletedProcess[str]]

NASTY = "=cmd\x1b[31m\u202e.mp4"


@pytest.fixture(scope="module")
def findings(bundle: Path, clips: Path) -> dict[str, Finding]:
    said = run("scan", "--json", "--bundle", bundle, clips).stdout
    found = map(Finding.model_validate_json, said.splitlines())
    return {Path(finding.path).name: finding for finding in found}


@pytest.fixture(scope="module")
def config(
    tmp_path_factory: pytest.TempPathFactory, findings: dict[str, Finding], bundle: Path
) -> Path:
    """Settings whose store holds visits 1 (stick, 12 clips), 2 (camera, cancelled), 3 (inbox)."""
    folder = tmp_path_factory.mktemp("store")
    time = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with History(folder, 500, 36500, lambda: time) as history:
        stick = history.open_visit("stick", NASTY)
        for name in ("red.mp4", "pale.mp4", "nobody.mp4"):
            history.add(stick, findings[name], {})
        odd = findings["red.jpg"].model_copy(update={"path": f"{findings['red.jpg'].path}/{NASTY}"})
        for _ in range(9):
            history.add(stick, odd, {})
        history.close_visit(stick, "complete", "The report is on the stick.")
        time += timedelta(days=2)
        camera = history.open_visit("camera", "")
        history.add(camera, findings["pale.mp4"], {})
        history.close_visit(camera, "cancelled", "")
        history.close_visit(history.open_visit("inbox", ""), "complete", "")
    file = folder / "settings.yaml"
    file.write_text(f"store: {{folder: {folder}}}\nmodel: {{bundle: {bundle}}}\n")
    return file


@pytest.fixture
def history(config: Path) -> Truelight:
    return lambda *arguments, **more: run("history", "--config", config, *arguments, **more)


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_visits_are_listed_the_newest_first(
    history: Truelight, findings: dict[str, Finding]
) -> None:
    probability = findings["pale.mp4"].fake_probability
    assert probability is not None
    ran = history(env={"TZ": "UTC", "PATH": "/usr/bin:/bin"})
    assert (ran.returncode, ran.stderr) == (0, "")
    inbox, camera, stick = ran.stdout.strip().split("\n\n")
    assert inbox.splitlines() == ["visit 3  2026-11-22 12:00  inbox", "  no clips"]
    assert camera.splitlines() == [
        "visit 2  2026-11-22 12:00  camera",
        "  cancelled",
        "  1 REAL",
        f"  13  REAL  {percent(probability)}  pale.mp4",
    ]
    head, counts, report, *lines, more = stick.splitlines()
    assert head == r"visit 1  2026-11-20 12:00  stick =cmd\x1b[31m\u202e.mp4"
    assert counts == "  1 REAL, 10 FAKE, 1 NO FACE"
    assert report == "  Report: The report is on the stick."
    assert len(lines) == 8
    assert lines[0].split()[:2] == ["1", "FAKE"]
    assert more == "  and 4 more: truelight history --visit 1"
    assert "\x1b" not in ran.stdout


def test_filters_choose(history: Truelight) -> None:
    for filters, visits in (
        ("--verdict real", [2, 1]),
        ("--verdict no-face", [1]),
        ("--verdict unreadable", []),
        ("--origin camera", [2]),
        ("--since 2026-11-21", [3, 2]),
        ("--until 2026-11-21", [1]),
        ("--since 2026-11-20 --until 2026-11-22 --origin stick", [1]),
        ("--visit 2", [2]),
        ("--last 1", [3]),
        ("--last 0", [3, 2, 1]),
    ):
        ran = history("--json", *filters.split())
        assert ran.returncode == 0
        assert [visit["id"] for visit in objects(ran.stdout)] == visits
        assert (ran.stderr == "No matching entries.\n") == (not visits)


def test_programs_get_an_object_a_visit(history: Truelight, findings: dict[str, Finding]) -> None:
    ran = history("--json", "--verdict", "no-face")
    (visit,) = objects(ran.stdout)
    assert (visit["origin"], visit["name"], visit["ending"]) == ("stick", NASTY, "complete")
    assert visit["began"] == "2026-11-20T12:00:00+00:00"
    assert visit["counts"] == {"REAL": 1, "FAKE": 10, "NO_FACE": 1}
    (found,) = visit["findings"]
    assert found["path"] == findings["nobody.mp4"].path
    assert (found["id"], found["verdict"], found["fake_probability"]) == (3, "NO_FACE", None)


def test_a_visit_is_listed_whole_if_it_is_named(history: Truelight) -> None:
    listed = history("--visit", 1).stdout
    assert "more:" not in listed
    assert sorted(int(number) for number in re.findall(r"^ +(\d+)  [A-Z]", listed, re.M)) == list(
        range(1, 13)
    )


def test_one_finding_is_shown_as_a_scan_shows_it(
    history: Truelight, findings: dict[str, Finding]
) -> None:
    shown = history("show", 1).stdout
    assert shown.startswith(" FAKE ")
    assert findings["red.mp4"].reasons[0].text in shown
    assert "█" in shown
    assert "finding 1 of visit 1 (stick" in shown
    assert findings["red.mp4"].sha256 is not None
    assert findings["red.mp4"].sha256 in shown
    (found,) = objects(history("show", 1, "--json").stdout)
    assert Finding.model_validate(found["finding"]) == findings["red.mp4"]
    assert (found["id"], found["visit"]["id"]) == (1, 1)


def test_a_report_is_made_again(history: Truelight, tmp_path: Path) -> None:
    page, document = tmp_path / "new" / "report.html", tmp_path / "report.json"
    for file in (page, document):
        ran = history("report", 1, "--out", file)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    html = page.read_text(encoding="utf-8")
    assert "10 of 12 clips look fake." in html
    assert "ranks the fake higher in 50 (40 to 60) of 100 cases" in html
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(document.read_text(encoding="utf-8")), schema)


def test_all_is_exported(history: Truelight, findings: dict[str, Finding], tmp_path: Path) -> None:
    lines = objects(history("export", "--json").stdout)
    assert [line["id"] for line in lines] == list(range(13, 0, -1))
    assert Finding.model_validate(lines[-1]["finding"]) == findings["red.mp4"]

    rows = list(csv.DictReader(io.StringIO(history("export", "--csv").stdout)))
    assert [int(row["id"]) for row in rows] == list(range(13, 0, -1))
    assert rows[-1]["sha256"] == findings["red.mp4"].sha256
    assert rows[-1]["reasons"] == "above-fake-threshold"
    assert {row["name"] for row in rows} == {"", f"'{NASTY}"}  # no formula

    ran = history("export", tmp_path / "out")
    assert ran.stderr == "Wrote 3 reports.\n"
    made = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.*"))
    names = ("TRUELIGHT-REPORT.html", "truelight-report.json")
    assert made == [f"out/visit-{number}/{name}" for number in (1, 2, 3) for name in names]


def test_what_is_exported_can_be_chosen_before_and_after(history: Truelight) -> None:
    for arguments in (
        ("export", "--json", "--verdict", "real"),
        ("--verdict", "real", "export", "--json"),
    ):
        assert [line["id"] for line in objects(history(*arguments).stdout)] == [13, 2]


def test_errors_are_reported(history: Truelight, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments, said in (
        (("show", 99), "There is no finding 99 in the history.\n  See: truelight history"),
        (("report", 99, "--out", tmp_path / "r.html"), "There is no visit 99"),
        (("report", 1, "--out", tmp_path / "file" / "r.html"), "Cannot write"),
        (("--since", "tomorrow"), "'tomorrow' is not a date like 2026-11-22"),
        (("export",), "one of the arguments DIR --json --csv is required"),
    ):
        ran = history(*arguments)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert said in ran.stderr
        assert "Traceback" not in ran.stderr


def test_no_history_yet(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(f"store: {{folder: {tmp_path / 'none'}}}\n")
    for arguments in ((), ("--json",), ("export", "--csv")):
        ran = run("history", "--config", config, *arguments)
        assert (ran.returncode, ran.stdout) == (0, "")
        assert ran.stderr.startswith(f"There is no history in {tmp_path / 'none'}.\n")
    assert run("history", "--config", config, "show", 1).returncode == 2
    with History(tmp_path / "none", 500, 365):
        pass
    ran = run("history", "--config", config)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "The history is empty.\n")


def test_another_store_is_named_before_or_after_what_is_to_be_done(
    config: Path, history: Truelight
) -> None:
    store = config.parent
    assert run("history", "--store", store, "--json").stdout == history("--json").stdout
    before = run("history", "--store", store, "show", 1, "--json")
    after = run("history", "show", 1, "--json", "--store", store)
    assert before.stdout == after.stdout == history("show", 1, "--json").stdout != ""


@pytest.mark.parametrize("width", [40, 100])
def test_no_line_is_wider_than_the_terminal(config: Path, width: int) -> None:
    sent = on_terminal(width, "history", "--config", config)
    assert "\x1b[1;31mFAKE" in sent
    lines = [CONTROL.sub("", line) for line in re.split(r"[\r\n]+", sent)]
    assert [line for line in lines if cell_len(line.rstrip()) > width] == []
    assert sum("FAKE" in line for line in lines) > 5
