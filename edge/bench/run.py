"""One scan in a process of its own, watched from outside: time, processor time, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.errors import TruelightError

_POLL_SECONDS: Final = 0.01
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class ScanRun:
    """From the start of the process to its end."""

    seconds: float
    cpu_seconds: float
    """Of the program and its decoder processes, all cores together."""
    peak_mb: float
    """Resident memory of the program and its decoder processes together, at its peak.

    Pages that both have mapped, such as the frames between them, count in each.
    """
    finding: dict[str, Any]
    """The finding, as `scan --json` prints it."""

    @property
    def stages(self) -> dict[str, float]:
        """Seconds by stage; `start` is everything before and after the scan itself."""
        stages: dict[str, float] = dict(self.finding["seconds"])
        return {"start": max(0.0, self.seconds - stages.get("total", 0.0)), **stages}


def run_scan(clip: Path, options: Sequence[str] = ()) -> ScanRun:
    """Judge one clip with `truelight scan --json`.

    Raises:
        TruelightError: the command failed, or the clip cannot be read.
    """
    command = [sys.executable, "-m", "edge.cli.main", "scan", "--json", *options, str(clip)]
    folder = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        peak, before = 0.0, os.times()
        while process.poll() is None:
            peak = max(peak, resident_mb(process.pid))
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - began
        after = os.times()
        assert process.stdout is not None, "it is a pipe"
        assert process.stderr is not None, "it is a pipe"
        output, complaint = process.stdout.read(), process.stderr.read()
    finding = json.loads(output.splitlines()[-1]) if output.strip() else None
    if finding is None or finding["verdict"] == "UNREADABLE":
        said = complaint.decode(errors="replace").strip()
        why = finding["reasons"][0]["text"] if finding else said or "the command printed nothing."
        raise TruelightError(f"{clip} cannot be measured: {why}", "Name a clip that can be judged.")
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return ScanRun(seconds, cpu, peak, finding)


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its descendants, MB."""
    pages, waiting = 0, [pid]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        try:
            pages += int((folder / "statm").read_text().split()[1])
            for thread in (folder / "task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        except (OSError, IndexError, ValueError):
            continue  # it has just ended
    return pages * _PAGE / 1e6
