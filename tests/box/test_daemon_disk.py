"""The daemon where the disk fails, is read-only, or its folder cannot be used."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from daemon_process import Start
from frontdoor import ROOT, run

from edge.history.writer import open_history


def test_a_store_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("run", "--panel", "none", "--store", tmp_path / "file")
    assert done.returncode == 2
    assert f"Cannot use the folder {tmp_path / 'file'}" in done.stderr


def test_the_box_goes_on_without_a_store(start: Start, tmp_path: Path, clips: Path) -> None:
    inbox = tmp_path / "elsewhere"
    inbox.mkdir()
    shutil.copy(clips / "red.jpg", inbox / "photo.jpg")
    (tmp_path / "store").write_text("a file where the folder should be")
    box = start(inbox={"folder": str(inbox)})
    box.says("STATUS=FAKE: photo.jpg")
    assert "storage problem" in box.lines("STATUS=FAKE")[0], "the mark of a history that is shut"
    assert (inbox / "photo.jpg.truelight.json").is_file()
    assert box.process.poll() is None
    assert box.end() == 0


@pytest.mark.parametrize("every", [1, 3, 7])
def test_a_disk_that_fails_costs_no_verdict(
    start: Start, tmp_path: Path, clips: Path, every: int
) -> None:
    """EIO at each, each third, each seventh write: clips are judged, and what was kept is whole."""
    compiler = shutil.which("cc") or pytest.skip("there is no C compiler")
    shim = tmp_path / "failing.so"
    source = ROOT / "tests" / "box" / "failing_disk.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    inbox = tmp_path / "elsewhere"
    inbox.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        shutil.copy(clips / "red.jpg", inbox / name)
    failing = {"LD_PRELOAD": str(shim), "FAIL_EVERY": str(every), "FAIL_IN": "/store/"}
    box = start(environment=failing, inbox={"folder": str(inbox)})
    box.says("STATUS=All clips are judged")
    assert box.end() == 0
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        found = json.loads((inbox / f"{name}.truelight.json").read_text())
        assert found["verdict"] == "FAKE"
    assert "a.jpg" in (inbox / "TRUELIGHT-REPORT.html").read_text()
    assert ("the history" in box.log.read_text()) or every > 1, "it says so"
    (inbox / "d.jpg").write_bytes((clips / "red.jpg").read_bytes())
    box = start(inbox={"folder": str(inbox)})  # the disk is well again
    box.says("STATUS=FAKE: d.jpg")
    assert box.end() == 0
    with closing(sqlite3.connect(box.store / "history.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    archive = open_history(box.store)
    assert archive
    with archive:
        names = [Path(entry.finding.path).name for entry in archive.find()]
    assert len(names) == len(set(names))
    assert "d.jpg" in names


@pytest.fixture
def read_only_store(tmp_path: Path) -> Iterator[Path]:
    """A folder that this user cannot write into; root can into all, so it is mounted for root."""
    store = tmp_path / "store"
    store.mkdir()
    if os.geteuid():
        store.chmod(0o555)
        yield store
        store.chmod(0o755)
        return
    for options in (["--bind", str(store)], ["-o", "remount,bind,ro"]):
        command = ["mount", *options, str(store)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("this system's root may not mount")
    yield store
    subprocess.run(["umount", "-l", store], check=False)


def test_a_read_only_store_does_not_keep_the_box_dark(
    read_only_store: Path, start: Start, clips: Path
) -> None:
    """It ended 20 times in 73 s, and the unit was failed for good."""
    inbox = read_only_store.with_name("elsewhere")
    box = start(inbox={"folder": str(inbox)})
    box.says("STATUS=Cannot write the history.")
    shutil.copy(clips / "red.jpg", inbox / "photo.jpg")
    box.says("STATUS=FAKE: photo.jpg")
    assert box.end() == 0
