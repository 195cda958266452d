"""What is said of a part, and what a check may know."""

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
from typing import Protocol

from edge.settings import SHIPPED, Settings

INSTALL = "sudo ./setup.sh install"
AGAIN = "sudo /opt/truelight/setup.sh install"

LOCK = "lock"
"""The file in the store that a running box holds locked."""


class State(StrEnum):
    """How a part is; the later, the worse."""

    ABSENT = "absent"
    """Not here, not wanted, or not tried: nothing is wrong with that."""
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Check:
    """What was found out about one part."""

    name: str
    state: State
    sentence: str
    remedy: str = ""


class Person(Protocol):
    """Whoever stands before the box."""

    def confirms(self, question: str) -> bool | None:
        """Answer yes or no; None if nobody is there to be asked."""
        ...

    def asked(self, request: str) -> bool:
        """Be asked to do something; False if nobody is there."""
        ...


class Nobody:
    """Is not asked anything."""

    def confirms(self, question: str) -> bool | None:
        """Nobody answers."""
        return None

    def asked(self, request: str) -> bool:
        """Nobody does it."""
        return False


def ask_system(command: Sequence[str]) -> str:
    """What a program prints, stripped; empty if it is not there, or is too slow."""
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
class Patient:
    """The machine that is looked at. Tests give another root, and answers of their own."""

    settings: Settings
    root: Path = Path("/")
    person: Person = field(default_factory=Nobody)
    ask: Callable[[Sequence[str]], str] = ask_system
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @cached_property
    def board(self) -> str:
        """The Pi's model, as in "Raspberry Pi 5 Model B Rev 1.0"; empty if this is none."""
        try:
            model = (self.root / "proc/device-tree/model").read_text(errors="replace")
        except OSError:
            return ""
        model = model.rstrip("\0\n")
        return model if model.startswith("Raspberry Pi") else ""

    @cached_property
    def service(self) -> dict[str, str]:
        """What systemd says of the box's service; empty where there is none."""
        if not (self.root / "run/systemd/system").is_dir():
            return {}
        said = self.ask(
            [
                "systemctl",
                "show",
                "truelight.service",
                "--property=LoadState,ActiveState,SubState,StatusText,NRestarts",
            ]
        )
        pairs = dict(line.partition("=")[::2] for line in said.splitlines())
        return pairs if pairs.get("LoadState") == "loaded" else {}

    @cached_property
    def how_to_end(self) -> str:
        """What ends the box, if it runs and has pins, display and camera to itself; else empty."""
        if self.service.get("ActiveState") in ("active", "activating", "reloading"):
            return "sudo systemctl stop truelight"
        return "End it in its terminal" if _is_locked(self.settings.store_folder / LOCK) else ""

    def wants(self, *settings: str) -> bool:
        """Whether such a part should be here: on a Pi, and where somebody has set it up."""
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
