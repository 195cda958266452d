"""The result of a check, and the machine that a check examines."""

from __future__ import annotations

import fcntl
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from edge.doctor import Operator
from edge.settings import SHIPPED, Settings

INSTALL = "sudo ./setup.sh install"
REINSTALL = "sudo /opt/truelight/setup.sh install"

LOCK = "lock"
"""The file in the store that a running daemon holds locked."""


class State(StrEnum):
    """The state of a part; later ones are worse."""

    ABSENT = "absent"
    """Not present, not wanted, or not tried: no fault."""
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


class Result(NamedTuple):
    """The result of a check: the state of a part in a sentence, and what to do about it."""

    state: State
    sentence: str
    remedy: str = ""


def run_program(command: Sequence[str]) -> str:
    """What a program prints, stripped; empty if it is missing or takes longer than 5 s."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


@dataclass(frozen=True)
class Context:
    """The machine under examination. Tests use another root and answers of their own."""

    settings: Settings
    root: Path = Path("/")
    operator: Operator = field(default_factory=Operator)
    run_program: Callable[[Sequence[str]], str] = run_program
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @cached_property
    def board(self) -> str:
        """The Pi's model, as in "Raspberry Pi 5 Model B Rev 1.0"; empty on another machine."""
        try:
            model = (self.root / "proc/device-tree/model").read_text(errors="replace")
        except OSError:
            return ""
        model = model.rstrip("\0\n")
        return model if model.startswith("Raspberry Pi") else ""

    @cached_property
    def service(self) -> dict[str, str]:
        """The properties of the systemd service; empty if it is not installed."""
        return self.unit("truelight.service", "ActiveState,SubState,StatusText,NRestarts")

    def unit(self, name: str, properties: str) -> dict[str, str]:
        """The properties of a unit of systemd; empty if it is not installed."""
        if not (self.root / "run/systemd/system").is_dir():
            return {}
        command = ["systemctl", "show", name, f"--property=LoadState,{properties}"]
        shown = self.run_program(command)
        pairs = dict(line.partition("=")[::2] for line in shown.splitlines())
        return pairs if pairs.get("LoadState") == "loaded" else {}

    @cached_property
    def stop_command(self) -> str:
        """How to stop the daemon that occupies pins, display and camera; empty if none runs."""
        if self.service.get("ActiveState") in ("active", "activating", "reloading"):
            return "sudo systemctl stop truelight"
        is_running = _is_locked(self.settings.store_folder / LOCK)
        return "Stop it in its terminal" if is_running else ""

    def expects(self, *settings: str) -> bool:
        """Whether a part should be present: on a Pi, or if one of its settings was changed."""
        shipped = (f"{SHIPPED}, ", "built in")
        return bool(self.board) or any(
            not self.settings.origin(path).startswith(shipped) for path in settings
        )


def _is_locked(file: Path) -> bool:
    try:
        with file.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False
