"""How a scan looks on a real (pseudo) terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping
from pathlib import Path

import pytest
from frontdoor import ROOT, command
from rich.cells import cell_len

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(width: int, *arguments: object, env: Mapping[str, str] | None = None) -> str:
    """Everything that `truelight` sends to a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    around = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")
    }
    ran = subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=around | {"TERM": "xterm-256color"} | dict(env or {}),
    )
    os.close(theirs)
    sent = b""
    try:
        while part := os.read(ours, 65536):
            sent += part
    except OSError:  # how Linux says that the last writer has gone
        pass
    os.close(ours)
    assert ran.wait() == 0
    return sent.decode()


def test_there_is_a_bar_and_then_the_finding_in_colour(bundle: Path, clips: Path) -> None:
    sent = on_terminal(100, "scan", "--bundle", bundle, clips / "red.mp4")
    bar, _, finding = sent.partition(" FAKE ")
    assert "red.mp4" in bar
    assert "looking" in bar
    assert re.search(r"\d+ % · 0:0\d left", bar)
    assert re.search(r"left · fake .*% so far", bar)
    assert COLOUR.search(bar)
    assert "The face looks swapped." in finding
    assert "█" in finding


def test_no_color_is_respected(bundle: Path, clips: Path) -> None:
    sent = on_terminal(100, "scan", "--bundle", bundle, clips / "red.mp4", env={"NO_COLOR": "1"})
    assert " FAKE " in sent
    assert not COLOUR.search(sent)


@pytest.mark.parametrize("width", [40, 100])
def test_no_line_is_wider_than_the_terminal(bundle: Path, clips: Path, width: int) -> None:
    sent = on_terminal(width, "scan", "--bundle", bundle, clips)
    lines = [CONTROL.sub("", line) for line in re.split(r"[\r\n]+", sent)]
    assert [line for line in lines if cell_len(line.rstrip()) > width] == []
    assert "5 clips: 1 REAL, 3 FAKE, 1 NO FACE" in lines
