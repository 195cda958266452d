"""A history whose file is damaged, or whose disk is full."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keeping import Looks, keep, opened

from edge.errors import TruelightError
from edge.history.database import FILE
from edge.history.writer import open_history


# ---- Damage
def connected(folder: Path) -> sqlite3.Connection:
    """Another program's connection to the history."""
    return sqlite3.connect(folder / FILE, isolation_level=None)


@pytest.mark.parametrize("damage", ["noise", "text", "half", "no tables", "later version"])
def test_a_file_that_cannot_be_used_is_put_aside(tmp_path: Path, looks: Looks, damage: str) -> None:
    with opened(tmp_path) as history:
        visit = history.open_visit("stick", "S")
        for _ in range(30):
            keep(history, visit, looks["two.mp4"])
    file = tmp_path / FILE
    content = file.read_bytes()
    if damage == "noise":
        file.write_bytes(np.random.default_rng(0).bytes(50_000))
    elif damage == "text":
        file.write_text("I am no database.\n" * 500)
    elif damage == "half":
        file.write_bytes(content[: len(content) // 2])
    else:
        database = sqlite3.connect(file)
        database.execute(
            "DROP TABLE portraits" if damage == "no tables" else "PRAGMA user_version = 99"
        )
        database.commit()
        database.close()
    with opened(tmp_path) as history:
        assert "new one was begun" in history.remark
        (aside,) = tmp_path.glob("history-damaged-*.sqlite")
        assert aside.name in history.remark
        assert aside.stat().st_size > 0
        visit = history.open_visit("camera", "")
        entry = keep(history, visit, looks["red.jpg"])
        assert [found.id for found in history.find()] == [entry]
    with opened(tmp_path) as history:
        assert history.remark == ""


def test_damage_in_the_midst_of_work_costs_no_finding(tmp_path: Path, looks: Looks) -> None:
    with opened(tmp_path) as history:
        history.open_visit("inbox", "another")
        visit = history.open_visit("stick", "S")
        for _ in range(30):
            keep(history, visit, looks["two.mp4"])
        beside = connected(tmp_path)
        beside.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        with (tmp_path / FILE).open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        beside.execute("PRAGMA user_version = 2")  # a commit, so that pages are read again
        beside.close()
        entry = keep(history, visit, looks["red.mp4"])
        assert "was damaged" in history.remark
        (found,) = history.entries(visit)
        assert (found.id, found.finding) == (entry, looks["red.mp4"].finding)
        assert [(seen.id, seen.name) for seen in history.visits()] == [(2, "S"), (1, "another")]


def test_a_reader_says_that_the_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("I am no database.\n" * 500)
    with pytest.raises(TruelightError, match="damaged"):
        open_history(tmp_path)
    assert list(tmp_path.glob("history-damaged-*")) == []


def test_a_finding_that_makes_no_sense_is_left_out(tmp_path: Path, looks: Looks) -> None:
    with opened(tmp_path) as history:
        visit = history.open_visit("stick", "S")
        for name in ("red.jpg", "pale.mp4"):
            keep(history, visit, looks[name])
        with closing(connected(tmp_path)) as beside:
            beside.execute("UPDATE entries SET finding = '{}' WHERE id = 1")
        assert [entry.id for entry in history.entries(visit)] == [2]
        assert [entry.id for entry in history.find()] == [2]


# ---- No room
def test_a_full_disk_is_reported_and_breaks_nothing(
    tmp_path: Path, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remembered(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*arguments, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", remembered)
    with opened(tmp_path) as history:
        (database,) = connections
        visit = history.open_visit("stick", "S")
        keep(history, visit, looks["red.mp4"])
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        before = []
        with pytest.raises(TruelightError, match="disk is full"):
            while True:
                before.append(keep(history, visit, looks["two.mp4"]))
        database.execute("PRAGMA max_page_count = 100000").fetchall()
        last = keep(history, visit, looks["red.jpg"])
        assert [entry.id for entry in history.entries(visit)] == [1, *before, last]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TruelightError, match="Cannot write"):
        opened(tmp_path / "file")
