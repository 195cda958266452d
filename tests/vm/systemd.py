"""In the booted system, as root: do the units keep their promises? Prints what was measured.

systemd.py LOOP [PULLS]    a loop device with a file system on it, such as loop0: the stick; at the
                           end it is plugged in and pulled out so many times
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from booted import UNIT, do, journal, process, said, show, until
from decoder_unit import LOOKS as DECODER_LOOKS
from model_unit import LOOKS as MODEL_LOOKS

LOOP = sys.argv[1]
PULLS = int(sys.argv[2]) if len(sys.argv) > 2 else 10
PAGE = "truelight-web.service"
PYTHON = "/opt/truelight/.venv/bin/python"
STICK = f"truelight-stick@{LOOP}.service"
STICKS = Path("/run/truelight/sticks")
UNITS = sorted(str(path) for path in Path("/etc/systemd/system").glob("truelight*.*"))
CLIPS = len(list(Path("/var/tmp/clips").glob("*.mp4"))) + 1  # and the one with a strange name
MOST_EXPOSED = {
    UNIT: 1.0,
    "truelight-decoder@x.service": 1.0,
    "truelight-model@x.service": 1.0,
    "truelight-poweroff.service": 2.0,
    "truelight-report@x.service": 2.0,
    "truelight-stick@x.service": 2.0,
    "truelight-usb.service": 2.0,
    PAGE: 1.5,
}


# ---- What is looked at


def comes_up() -> None:
    until("systemd answers", Path("/run/systemd/private").exists)
    until("the system is up", lambda: show("ActiveState", "multi-user.target") == "active")
    until("READY=1", lambda: show("ActiveState") == "active")
    start, ready = (
        int(show(name)) / 1e6
        for name in ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    )
    print(f"READY=1 {ready - start:.2f} s after the start; status: {show('StatusText')}")
    failed = do("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    assert not failed, failed


def are_in_order() -> None:
    do("systemd-analyze", "verify", *UNITS)
    if "verify" in do("udevadm", "--help"):  # since systemd 254
        do("udevadm", "verify", "/etc/udev/rules.d/99-truelight.rules")
    for unit, most in MOST_EXPOSED.items():
        table = do("systemd-analyze", "security", "--no-pager", unit)
        exposure = float(re.findall(r"exposure level for .*: ([0-9.]+)", table)[0])
        print(f"exposure of {unit}: {exposure}")
        assert exposure <= most, unit


def is_confined() -> None:
    status = Path(f"/proc/{process()}/status").read_text()
    facts = dict(re.findall(r"^(\w+):\s*(.*)$", status, re.MULTILINE))
    assert facts["CapEff"] == facts["CapBnd"] == "0" * 16
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert int(facts["Uid"].split()[0]) != 0
    links = Path(f"/proc/{process()}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in links] == ["lo"], links
    print("no capability, seccomp on, no network but lo, its own user")


def judges_a_stick() -> None:
    plug_in()
    took = until("the stick is seen", lambda: said("plugged in"))
    assert " ro," in mount_of("self"), mount_of("self")
    assert " ro," in mount_of(str(process())), mount_of(str(process()))
    print(f"stick seen by the daemon {took:.2f} s after it was mounted, read-only there too")
    page = STICKS / LOOP / "TRUELIGHT-REPORT.html"
    took = until("the report is on the stick", page.is_file, 300)
    print(f"{CLIPS} clips judged and the report written {took:.1f} s later")
    until(
        "its unit is done",
        lambda: show("ActiveState", f"truelight-report@{LOOP}.service") == "inactive",
    )
    assert not list(Path(f"/run/truelight/reports/{LOOP}").glob("*"))
    assert " ro," in mount_of("self")
    assert Path(f"/sys/class/block/{LOOP}/ro").read_text() == "1\n"
    report = json.loads((STICKS / LOOP / "truelight-report.json").read_text())
    print("in the report:", ", ".join(sorted(report)))
    assert "<html" in page.read_text()
    entries = [entry for entry in journal("--unit", UNIT) if "TRUELIGHT_VERDICT" in entry]
    assert len(entries) == CLIPS, entries
    assert {"TRUELIGHT_CLIP", "TRUELIGHT_MODEL"} <= entries[0].keys()
    (sandbox,) = [
        entry["MESSAGE"]
        for entry in journal("--unit", UNIT)
        if str(entry.get("MESSAGE")).startswith("The decoder process ")
    ]
    print("  journal:", sandbox)
    assert "seccomp" not in sandbox, "that layer is missing in the unit"
    assert "truelight-decoder" not in sandbox, "it has no user of its own"
    for text in (do("systemctl", "status", UNIT), do("journalctl", "--all", "--output", "cat")):
        signs = {sign for sign in text if not sign.isprintable()} - {"\n", "\t"}
        assert not signs, f"a stranger's name controls the terminal: {signs}"
    for entry in entries:
        print("  journal:", entry["TRUELIGHT_VERDICT"], Path(entry["TRUELIGHT_CLIP"]).name)


VISIT = """
import http.client, re, ssl, sys, urllib.parse
from edge.client import Client
code, fingerprint, clip = sys.argv[1:]
context = ssl._create_unverified_context()
def ask(method, path, cookie="", **fields):
    connection = http.client.HTTPSConnection("localhost", 8443, context=context)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    connection.request(method, path, urllib.parse.urlencode(fields), headers)
    answer = connection.getresponse()
    return answer, answer.read().decode()
def token(page):
    return re.search(r'form-token" content="(.+?)"', page)[1]
page = ask("GET", "/pair")[1]
answer, said = ask("POST", "/pair", form_token=token(page), code=code, name="A browser")
cookie = answer.headers["Set-Cookie"].split(";")[0]
page = ask("GET", "/devices", cookie)[1]
page = ask("POST", "/devices/token", cookie, form_token=token(page), name="A program")[1]
client = Client("https://localhost:8443", re.search("tl_[^<]+", page)[0], fingerprint=fingerprint)
print(client.judge(clip).verdict, client.box().screen.status)
"""


def serves_the_page() -> None:
    assert show("ActiveState", PAGE) == "inactive", "the page is on, and nobody asked for it"
    start = time.monotonic()
    said_on = do("truelight", "web", "on")
    until("the page is on", lambda: show("ActiveState", PAGE) == "active")
    until("it listens", lambda: "SHA-256" in do("truelight", "web", "status"))
    print(f"page on {time.monotonic() - start:.1f} s after it was asked for: {said_on[:40]!r}")
    status = Path(f"/proc/{show('MainPID', PAGE)}/status").read_text()
    facts = dict(re.findall(r"^(\w+):\s*(.*)$", status, re.MULTILINE))
    assert facts["CapEff"] == facts["CapBnd"] == "0" * 16
    assert facts["Uid"] != Path(f"/proc/{process()}/status").read_text().split("Uid:")[1][:20]
    code = do("truelight", "web", "pair").split(": ")[1][:9]
    fingerprint = do("truelight", "web", "status").split("SHA-256: ")[1].splitlines()[0]
    clip = next(Path("/var/tmp/clips").glob("*.mp4"))
    print("through the page:", do(PYTHON, "-c", VISIT, code, fingerprint, str(clip)))
    assert not list(Path("/var/spool/truelight").iterdir()), "the upload was not deleted"
    for path in ("/var/lib/truelight/history.sqlite", "/run/truelight/sticks"):
        read = ["runuser", "-u", "truelight-web", "--", "cat", path]
        assert subprocess.run(read, check=False, capture_output=True).returncode, path
    mode = Path("/run/truelight/web/box.sock").stat().st_mode & 0o777
    assert mode == 0o660, oct(mode)
    print("doctor:", do("truelight", "doctor", "--only", "web").splitlines()[0].strip())
    do("truelight", "web", "off")
    assert show("ActiveState", PAGE) == "inactive"


def is_killed_by_its_watchdog() -> None:
    before, restarts = process(), int(show("NRestarts"))
    start = time.monotonic()
    os.kill(before, signal.SIGSTOP)
    until("the watchdog bites", lambda: said("Watchdog timeout"), 120)
    bitten = time.monotonic() - start
    until("it is back", lambda: show("ActiveState") == "active" and process() != before)
    assert int(show("NRestarts")) == restarts + 1
    back = time.monotonic() - start
    print(f"stopped by SIGSTOP: killed after {bitten:.1f} s, READY again after {back:.1f} s")
    assert (STICKS / f"{LOOP}.json").exists()
    took = until("the stick is seen again", lambda: said("plugged in") == 2)
    print(f"the stick outlives the daemon, and is seen again {took:.2f} s after READY")


def ends_at_once() -> None:
    until("a clip is being judged", lambda: "Judging" in show("StatusText"))
    start = time.monotonic()
    do("systemctl", "stop", UNIT)
    took = time.monotonic() - start
    assert show("Result") == "success", show("Result")
    assert took < 5, took
    status = show("ExecMainStatus")
    print(f"SIGTERM in the middle of a clip: ended within {took:.2f} s, status {status}")
    do("systemctl", "start", UNIT)


def loses_a_stick() -> None:
    until("the stick is seen", lambda: said("plugged in") == 3)
    do("systemctl", "stop", STICK)
    took = until("it is missed", lambda: said("pulled out"))
    assert not list(STICKS.iterdir())
    until("its mount is gone for the daemon", lambda: not mount_of(str(process())), 30)
    print(f"pulled out: missed after {took:.2f} s, no mount left")


def loses_sticks_at_random() -> None:
    """While it is mounted, looked for clips, judged or written to."""
    chance, slowest, stuck = random.Random(5), 0.0, 0
    daemon = process()
    for _ in range(PULLS):
        do("systemctl", "start", "--no-block", STICK)
        time.sleep(chance.uniform(0.0, 3.0))
        start = time.monotonic()
        do("systemctl", "stop", STICK)
        while (left := mount_of("self") or mount_of(str(daemon))) or list(STICKS.iterdir()):
            if time.monotonic() - start > 60:
                stuck += 1
                print(f"stuck: {left} {list(STICKS.iterdir())}")
                break
            time.sleep(0.05)
        slowest = max(slowest, time.monotonic() - start)
    print(f"{PULLS} sticks pulled out at random moments: {stuck} stuck mounts,")
    print(f"  nothing left after {slowest:.1f} s at most")
    assert not stuck
    assert process() == daemon, "it ended"
    failed = do("systemctl", "list-units", "--failed", "--plain", "--no-legend", "truelight*")
    assert {line.split()[0] for line in failed.splitlines()} <= {STICK}, failed


def switches_off() -> None:
    print("asks to be switched off", flush=True)
    do("runuser", "-u", "truelight", "--", "touch", "/run/truelight/power/off")


# ---- Pieces


def plug_in() -> None:
    # No udev runs here: the unit is freed from the device that udev would name.
    unit = Path("/etc/systemd/system/truelight-stick@.service")
    unit.write_text(unit.read_text().replace("dev-%i.device", ""))
    do("systemctl", "daemon-reload")
    do("systemctl", "start", STICK)


def mount_of(number: str) -> str:
    lines = Path(f"/proc/{number}/mountinfo").read_text().splitlines()
    return next((line for line in lines if f"{STICKS}/{LOOP} " in line), "")


for look in (
    comes_up,
    are_in_order,
    is_confined,
    *DECODER_LOOKS,
    judges_a_stick,
    serves_the_page,
    is_killed_by_its_watchdog,
    ends_at_once,
    loses_a_stick,
    *MODEL_LOOKS,
    loses_sticks_at_random,
    switches_off,
):
    try:
        look()
    except AssertionError:
        print(do("journalctl", "--no-pager", "--lines", "60"))
        raise
