"""Notifications to systemd, over a real socket; and where the log goes."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from frontdoor import ROOT

from edge.box import systemd


@pytest.fixture(params=["file", "abstract"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The socket that systemd would listen on."""
    address = str(tmp_path / "notify")
    if request.param == "abstract":
        address = f"@truelight-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0"))
        listener.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield listener


def test_notifications_arrive_as_they_are_meant(listener: socket.socket) -> None:
    systemd.notify("READY=1")
    systemd.status("Judging 3 of 12: a\nb.mp4")
    systemd.status("\udcff.mp4")
    systemd.notify("WATCHDOG=1")
    systemd.notify("STOPPING=1")
    received = [listener.recv(4096) for _ in range(5)]
    assert received == [
        b"READY=1",
        b"STATUS=Judging 3 of 12: a b.mp4",
        rb"STATUS=\udcff.mp4",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_a_reload_says_when_it_began(listener: socket.socket) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    systemd.reloading()
    lines = dict(line.split("=") for line in listener.recv(4096).decode().split("\n"))
    assert lines["RELOADING"] == "1"
    assert int(lines["MONOTONIC_USEC"]) >= before


def test_nobody_needs_to_listen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    systemd.notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "process", "seconds"),
    [
        (None, None, None),
        ("15000000", None, 15.0),
        pytest.param("15000000", str(os.getpid()), 15.0, id="own"),
        ("15000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdog_is_for_whom_it_names(
    monkeypatch: pytest.MonkeyPatch,
    microseconds: str | None,
    process: str | None,
    seconds: float | None,
) -> None:
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", process)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_seconds() == seconds


HANDLER = """
import logging, sys
class JournalHandler(logging.Handler):
    def __init__(self, **fields):
        super().__init__()
        self.name = fields["SYSLOG_IDENTIFIER"]
    def emit(self, record):
        fields = [record.__dict__.get(f"TRUELIGHT_{name}") for name in ("CLIP", "VERDICT")]
        print(f"{self.name}: {record.getMessage()},", *fields, file=sys.stderr)
"""
LOGGING = """
import logging, os, sys
if sys.argv[1] == "journal":
    behind = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{behind.st_dev}:{behind.st_ino}"
from edge.box import systemd
systemd.start_log()
log = logging.getLogger("truelight")
log.info("a.mp4 is FAKE", extra={"TRUELIGHT_CLIP": "a.mp4", "TRUELIGHT_VERDICT": "FAKE"})
log.error("first\\nsecond")
"""


def logged(where: str, path: Path = ROOT) -> str:
    """What a program of its own writes on stderr."""
    environment = {**os.environ, "PYTHONPATH": f"{path}:{ROOT}"}
    return subprocess.run(
        [sys.executable, "-c", LOGGING, where],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    ).stderr


def test_without_a_journal_the_log_is_plain() -> None:
    assert logged("stderr") == "INFO: a.mp4 is FAKE\nERROR: first\nsecond\n"


def test_the_journal_gets_fields_or_at_least_priorities(tmp_path: Path) -> None:
    """Where there is no systemd-python, the journal takes the priority from the line itself."""
    package = tmp_path / "systemd"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "journal.py").write_text("raise ImportError")
    assert logged("journal", tmp_path) == "<6>a.mp4 is FAKE\n<3>first\n<3>second\n"
    # It is an extension of the system's Python; what it is called with is what matters here.
    (package / "journal.py").write_text(HANDLER)
    first, *_ = logged("journal", tmp_path).splitlines()
    assert first == "truelight: a.mp4 is FAKE, a.mp4 FAKE"


def test_the_log_may_go_to_a_file(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    try:
        systemd.start_log(tmp_path / "log")
        logging.getLogger("truelight").warning("hot")
        assert (tmp_path / "log").read_text().endswith(" WARNING hot\n")
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers, root.level = before, level
