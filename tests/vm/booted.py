"""What the tests in a booted system share: commands, properties of units, the journal."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable

UNIT = "truelight.service"


def do(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    if done.returncode and command[0] == "systemctl":
        print(do("journalctl", "--no-pager", "--lines", "40"))
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def show(name: str, unit: str = UNIT) -> str:
    return do("systemctl", "show", "--value", "--property", name, unit)


def until(what: str, condition: Callable[[], object], seconds: float = 90) -> float:
    """Wait for it; how many seconds it took."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            print(do("journalctl", "--no-pager", "--lines", "80"))
            raise SystemExit(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - start


def journal(*match: str) -> list[dict[str, str]]:
    lines = do("journalctl", "--no-pager", "--output", "json", *match).splitlines()
    return [json.loads(line) for line in lines]


def said(text: str) -> int:
    """How often the daemon, or systemd about it, said this."""
    return sum(text in str(entry.get("MESSAGE")) for entry in journal("--unit", UNIT))


def process() -> int:
    return int(show("MainPID"))
