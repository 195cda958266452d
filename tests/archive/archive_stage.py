"""An archive as people make one: `truelight archive` in a process of its own, and its rows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as ds
from frontdoor import ROOT, command

NOT_COMPARED = ("seconds", "modified_ns")
"""Keys of a finding that another scan of the same content may have otherwise."""


def archive(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run `truelight archive` and wait for it."""
    options: dict[str, Any] = {"cwd": ROOT, "capture_output": True, "timeout": 200} | more
    return subprocess.run(command("archive", *arguments), check=False, text=True, **options)


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start `truelight archive` as the leader of a process group."""
    return subprocess.Popen(
        command("archive", *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def rows(out: Path) -> list[dict[str, Any]]:
    """The rows of findings, as another program reads them."""
    return _rows(out / "findings.parquet")


def faces(out: Path) -> list[dict[str, Any]]:
    return _rows(out / "faces.parquet")


def _rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ds.dataset(folder, partitioning="hive").to_table().to_pylist()
    return found


def journal(out: Path) -> list[dict[str, Any]]:
    """The complete lines of the journal."""
    lines = [line for file in out.glob("journal-*.jsonl") for line in file.open(encoding="utf-8")]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def compared(finding: dict[str, Any]) -> dict[str, Any]:
    """A finding without what differs from scan to scan."""
    kept = {key: value for key, value in finding.items() if key not in NOT_COMPARED}
    if kept.get("second_opinion"):
        kept["second_opinion"] = kept["second_opinion"] | {"seconds": 0}
    return kept


def workers(client: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes that a run started."""
    children = psutil.Process(client.pid).children()
    return [child for child in children if "--multiprocessing-fork" in child.cmdline()]


def kill_all(client: subprocess.Popen[str]) -> None:
    """What a power failure does to a run: nobody can tidy up."""
    os.killpg(client.pid, signal.SIGKILL)
    client.communicate()
