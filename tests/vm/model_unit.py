"""In the booted system, as root: the unit of models that are not Truelight's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from booted import UNIT, do, journal, process, show, until
from confined_unit import CLIP, MODEL, cannot_be_taken_over, has_no_rights, leaves_nothing_behind

OURS = Path("/opt/truelight/models/truelight")
THEIRS = Path("/usr/local/lib/stranger")
SETTINGS = Path("/etc/truelight/truelight.yaml")
INBOX = Path("/var/lib/truelight/inbox")


def judges_with_a_strangers_model() -> None:
    """As the daemon's: what it does with ours, in a process of its own."""
    shutil.rmtree(THEIRS, ignore_errors=True)
    shutil.copytree(OURS, THEIRS)
    manifest = json.loads((THEIRS / "bundle.json").read_text())
    (THEIRS / "bundle.json").write_text(json.dumps(manifest | {"name": "stranger"}))
    SETTINGS.write_text(f"model:\n  bundle: {THEIRS}\n")
    do("systemctl", "restart", UNIT)
    until("the model's process runs", lambda: len(MODEL.processes()) == 1)
    for number in MODEL.processes()[0]:
        has_no_rights(number, MODEL)
    finding = judged_in_the_inbox("first.mp4")
    assert finding["model"]["name"] == "stranger"
    assert finding["model"]["shipped"] is False
    print(f"judged by a model of others: {finding['verdict']} by {finding['model']['name']}")
    (told,) = [
        entry["MESSAGE"]
        for entry in journal("--unit", UNIT)
        if str(entry.get("MESSAGE")).startswith("The process of a model ")
    ]
    print("  journal:", told)
    assert "seccomp" not in told, "that layer is missing in the unit"
    assert "truelight-model" not in told, "it has no user of its own"
    print("  doctor:", do("truelight", "doctor", "--only", "sandbox").splitlines()[0].strip())


def goes_on_without_its_process() -> None:
    """That costs the clip at work, and the next one gets another."""
    before, daemon = MODEL.processes()[0], process()
    os.kill(max(before), signal.SIGSEGV)
    until("it is gone", lambda: not MODEL.processes())
    lost, kept = (judged_in_the_inbox(name) for name in ("second.mp4", "third.mp4"))
    print(f"its process was ended: {lost['verdict']}, {lost['reasons'][0]['text']}")
    print(f"  the next clip: {kept['verdict']}")
    assert (lost["verdict"], kept["verdict"] == "UNREADABLE") == ("UNREADABLE", False)
    assert process() == daemon
    assert MODEL.processes() != [before]


def ends_with_the_daemon() -> None:
    (running,) = MODEL.processes()
    os.kill(process(), signal.SIGKILL)
    took = until("it is gone", lambda: not any(Path(f"/proc/{one}").exists() for one in running))
    print(f"the daemon was killed: the model's process is gone {took:.2f} s later")
    SETTINGS.unlink()
    until("it is back", lambda: show("ActiveState") == "active" and process() != 0)
    do("systemctl", "restart", UNIT)
    until("no model of others runs", lambda: not MODEL.processes())
    judged_in_the_inbox("fourth.mp4")
    shutil.rmtree(INBOX)
    do("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/truelight.conf")


def answers_a_command() -> None:
    """Of the daemon's user, who has no other way to run it; nothing stays."""
    command = ["truelight", "scan", "--json", "--bundle", str(THEIRS), str(CLIP)]
    done = do("runuser", "-u", "truelight", "--", *command)
    print("on the command line:", json.loads(done)["verdict"])
    until("its process is gone", lambda: not MODEL.processes())
    damaged = THEIRS / "sequence.onnx"
    damaged.write_bytes(b"")
    done = subprocess.run(
        ["runuser", "-u", "truelight", "--", *command], check=False, capture_output=True, text=True
    )
    print("damaged:", done.stderr.splitlines()[0])
    assert (done.returncode, "another hash" in done.stderr) == (2, True)


# ---- Pieces


def judged_in_the_inbox(name: str) -> dict[str, dict[str, object]]:
    """The finding of a clip that was put there."""
    half, whole = INBOX / f".{name}", INBOX / name
    shutil.copy(CLIP, half)
    half.rename(whole)
    result = INBOX / f"{name}.truelight.json"
    until(f"{name} is judged", result.exists, 180)
    finding: dict[str, dict[str, object]] = json.loads(result.read_text())
    return finding


LOOKS = (
    judges_with_a_strangers_model,
    goes_on_without_its_process,
    ends_with_the_daemon,
    answers_a_command,
    lambda: cannot_be_taken_over(MODEL),
    lambda: leaves_nothing_behind(MODEL),
)
