"""`truelight doctor`."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from frontdoor import ROOT, command, run

from edge.doctor import PARTS

STATUS = {"ok": 0, "absent": 0, "warning": 1, "failure": 2}


@pytest.fixture
def mine(tmp_path: Path, bundle: Path) -> Path:
    """Settings with a model that is known to be right."""
    file = tmp_path / "mine.yaml"
    file.write_text(f"model: {{bundle: {bundle}}}\nstore: {{folder: {tmp_path}}}\n")
    return file


def test_all_checks_as_json(mine: Path) -> None:
    ran = run("doctor", "--json", "--config", mine)
    report = json.loads(ran.stdout)
    checks = {check["name"]: check for check in report["checks"]}
    assert list(checks) == list(PARTS)
    assert ran.returncode == STATUS[report["state"]]
    assert report["state"] == max(
        (check["state"] for check in checks.values()),
        key=["absent", "ok", "warning", "failure"].index,
    )
    assert (checks["model"]["state"], checks["detector"]["state"]) == ("ok", "ok")
    assert all(check["sentence"] for check in checks.values())


def test_every_part_has_a_line(mine: Path) -> None:
    ran = run("doctor", "--config", mine)
    for part in PARTS:
        assert f"  {part} " in ran.stdout
    assert "\x1b" not in ran.stdout


def test_some_parts_alone(mine: Path) -> None:
    ran = run("doctor", "--config", mine, "--only", "model", "--only", "detector")
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[-1] == "  All checks passed."
    assert run("doctor", "--only", "wings").returncode == 2


def test_a_missing_model_fails_with_its_remedy(mine: Path) -> None:
    ran = run("doctor", "--config", mine, "--only", "disk", "--only", "model")
    assert ran.returncode == 0
    mine.write_text("model: {bundle: nobody}")
    ran = run("doctor", "--config", mine, "--only", "disk", "--only", "model")
    assert ran.returncode == 2
    failing = [line for line in ran.stdout.splitlines() if "FAIL" in line]
    assert len(failing) == 1
    assert "There is no bundle at" in failing[0]
    assert "truelight models" in ran.stdout


def test_invalid_settings_are_reported_and_hide_nothing_else(mine: Path) -> None:
    mine.write_text("lamps: {green: 99}")
    ran = run("doctor", "--json", "--config", mine)
    checks = {check["name"]: check for check in json.loads(ran.stdout)["checks"]}
    assert ran.returncode == 2
    assert checks["settings"]["state"] == "failure"
    assert "lamps.green is 99" in checks["settings"]["sentence"]
    assert "from 0 to 27" in checks["settings"]["remedy"]
    assert sorted(checks) == sorted(PARTS)


@pytest.mark.parametrize(
    ("answer", "status", "text"), [("y", 0, "light up, on"), ("n", 2, "did not")]
)
def test_the_operator_is_asked_in_a_terminal(
    mine: Path, answer: str, status: int, text: str
) -> None:
    # A lamp is expected on any machine whose settings name its pin. The pins are simulated.
    mine.write_text("lamps: {green: 5}")
    ours, theirs = pty.openpty()
    ran = subprocess.Popen(
        command("doctor", "--only", "lamps", "--config", mine),
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"GPIOZERO_PIN_FACTORY": "mock", "TERM": "dumb"},
    )
    os.close(theirs)
    sent = b""
    try:
        while part := os.read(ours, 4096):
            sent += part
            if sent.endswith(b"[y/n] "):
                os.write(ours, f"perhaps\n{answer}\n".encode())
                sent += b"\n"
    except OSError:  # how Linux says that the last writer has gone
        pass
    os.close(ours)
    assert ran.wait() == status, sent.decode()
    assert sent.decode().count("Did green and red light up in turn? [y/n]") == 2
    assert text in sent.decode()
