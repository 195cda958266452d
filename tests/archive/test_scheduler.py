"""A scheduler and a worker that their users started, as docs/archive.md says."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from archive_stage import archive, journal, rows, start
from clips import write_clip
from frontdoor import ROOT
from waiting import until


@contextmanager
def dask(*arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """`dask scheduler` or `dask worker`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of a scheduler with one worker."""
    file = tmp_path / "scheduler.json"
    with ExitStack() as stack:
        options = ("--host", "127.0.0.1", "--port", 0, "--no-dashboard")
        process = stack.enter_context(dask("scheduler", *options, "--scheduler-file", file))
        until(lambda: file.exists() and file.read_bytes().endswith(b"}"), 60)
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
        limits = ("--nthreads", 1, "--no-dashboard", "--local-directory", tmp_path / "worker")
        stack.enter_context(dask("worker", address, *limits))
        yield address, process


def test_workers_of_their_own_judge_and_a_lost_scheduler_is_named(
    scheduler: tuple[str, subprocess.Popen[bytes]], bundle: Path, clips: Path, tmp_path: Path
) -> None:
    address, process = scheduler
    folder, out = tmp_path / "clips", tmp_path / "out"
    folder.mkdir()
    shutil.copy(clips / "red.mp4", folder)
    options = (folder, "--out", out, "--bundle", bundle, "--scheduler", address)
    ran = archive(*options)
    assert ran.returncode == 0, ran.stderr
    assert [row["verdict"] for row in rows(out)] == ["FAKE"]
    for at in range(60):
        write_clip(folder / f"{at:02}.mp4", 10 + at, rate=10)
    client = start(*options)
    until(lambda: journal(out) or client.poll() is not None, 120)
    process.kill()
    _, errors = client.communicate(timeout=120)
    assert client.returncode == 2, errors
    assert "The scheduler of the cluster was lost." in errors
    assert "Traceback" not in errors


def test_a_scheduler_that_does_not_answer_is_named(
    bundle: Path, clips: Path, tmp_path: Path
) -> None:
    options = ("--out", tmp_path / "out", "--bundle", bundle)
    ran = archive(clips, *options, "--scheduler", "tcp://127.0.0.1:9")
    assert ran.returncode == 2
    assert "The scheduler tcp://127.0.0.1:9 does not answer" in ran.stderr
