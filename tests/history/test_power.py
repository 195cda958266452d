"""The power goes, at any instant: a program that writes is killed again and again."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edge.history.database import FILE
from edge.history.writer import History, open_history
from edge.scan.scanner import ScanResult

WRITER = Path(__file__).with_name("writer.py")
KILLS = 25


def start(folder: Path, finding: Path, *more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, WRITER, folder, finding, *map(str, more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )


@pytest.fixture
def finding(tmp_path: Path, looks: dict[str, ScanResult]) -> Path:
    file = tmp_path / "finding.json"
    file.write_text(looks["two.mp4"].finding.model_dump_json())
    return file


def integrity(folder: Path) -> str:
    database = sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)
    (said,) = database.execute("PRAGMA integrity_check").fetchone()
    database.close()
    return str(said)


def test_what_was_acknowledged_outlives_every_kill(tmp_path: Path, finding: Path) -> None:
    chance = random.Random(9)
    store, acknowledged = tmp_path / "store", 0
    for kill in range(KILLS):
        writer = start(store, finding)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "opening\n"
        if kill % 5:  # every fifth time it is killed while it opens the file
            for _ in range(chance.randrange(1, 12)):
                writer.stdout.readline()
                acknowledged += 1
        writer.kill()
        acknowledged += writer.stdout.read().count("\n")
        writer.communicate()
        archive = open_history(store)
        if archive is None:
            assert acknowledged == 0
            continue
        with archive:
            found = list(archive.find(portraits=True))
        assert integrity(store) == "ok"
        # One more may have been kept at each kill, just before it was acknowledged.
        assert acknowledged <= len(found) <= acknowledged + kill + 1
        assert all(len(entry.portraits) == 2 for entry in found)
    assert acknowledged > KILLS
    with History(store, 500, 365) as history:
        assert history.remark == ""


def test_a_log_that_was_half_written_loses_its_end_only(tmp_path: Path, finding: Path) -> None:
    """As after a power cut in the midst of a commit: the log ends anywhere, or in noise."""
    chance = random.Random(4)
    writer = start(tmp_path / "store", finding)
    assert writer.stdout is not None
    for _ in range(21):
        writer.stdout.readline()
    writer.kill()
    writer.communicate()
    whole = len((tmp_path / "store" / f"{FILE}-wal").read_bytes())
    assert whole > 0
    seen = set()
    for attempt in range(12):
        copy = tmp_path / f"copy{attempt}"
        shutil.copytree(tmp_path / "store", copy)
        (copy / f"{FILE}-shm").unlink()  # lies in memory, so a power cut takes it
        with (copy / f"{FILE}-wal").open("r+b") as log:
            log.truncate(chance.randrange(whole))
            log.seek(0, os.SEEK_END)
            log.write(chance.randbytes(6000))
        with History(copy, 500, 365) as history:
            assert history.remark == ""
            kept = [entry.id for entry in history.find()]
        assert kept == list(range(len(kept), 0, -1))
        assert integrity(copy) == "ok"
        seen.add(len(kept))
    assert len(seen) > 3


def test_a_disk_that_takes_no_more_breaks_nothing(tmp_path: Path, finding: Path) -> None:
    """Writes fail in their midst; what was acknowledged before is there."""
    store = tmp_path / "store"
    writer = start(store, finding, 300_000)
    printed, complaint = writer.communicate(timeout=60)
    assert writer.returncode == 1
    assert "Cannot write" in complaint
    acknowledged = [int(line) for line in printed.split()[1:]]
    assert acknowledged
    assert integrity(store) == "ok"
    with History(store, 500, 365) as history:
        assert [entry.id for entry in history.find()][-len(acknowledged) :] == acknowledged[::-1]
        visit = history.open_visit("camera", "")
        look = next(history.find()).finding
        assert history.add(visit, look, {}) > acknowledged[-1]
