"""The daemon as a process: what systemd hears of it, how it ends, what it does when it is stuck."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from dropping import drop_together
from frontdoor import ROOT, command, run
from waiting import until

from edge.box.sources.inbox_results import REPORT
from edge.history.writer import open_history

WATCHDOG_SECONDS = 1.0


class Box:
    """`truelight run` as systemd starts it, and all that it tells systemd."""

    def __init__(
        self,
        folder: Path,
        bundle: Path,
        *,
        wrong: str = "",
        environment: Mapping[str, str] = MappingProxyType({}),
        **more: object,
    ) -> None:
        self.store, self.config = folder / "store", folder / "settings.yaml"
        self.inbox = self.store / "inbox"
        self.settings = {"model": {"bundle": str(bundle)}, "camera": {"kind": "none"}, **more}
        self.configure(wrong)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._listener.bind(str(folder / "notify"))
        self.messages: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        environment = (
            os.environ
            | dict(environment)
            | {
                "NOTIFY_SOCKET": str(folder / "notify"),
                "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6)),
                "RUNTIME_DIRECTORY": str(folder / "run"),
            }
        )
        self.process = subprocess.Popen(
            command("run", "--panel", "none", "--store", self.store, "--config", self.config),
            cwd=ROOT,
            env=environment,
            stderr=(folder / "log").open("w"),
        )
        self.log = folder / "log"

    def configure(self, text: str = "") -> None:
        """Write the settings; `text` in their stead."""
        self.config.write_text(text or yaml.safe_dump(self.settings))

    def drop(self, clip: Path, name: str = "") -> Path:
        """Move a clip into the inbox, whole."""
        place = self.inbox / (name or clip.name)
        shutil.copy(clip, place.with_suffix(".part"))
        return place.with_suffix(".part").rename(place)

    def lines(self, beginning: str = "") -> list[str]:
        return [line for line in self.messages if line.startswith(beginning)]

    def says(self, beginning: str, times: int = 1) -> None:
        """Wait until it has said this."""
        until(
            lambda: len(self.lines(beginning)) >= times or self.process.poll() is not None,
            60,
            lambda: f"not {beginning!r}, but {self.lines()}",
        )
        assert len(self.lines(beginning)) >= times, self.log.read_text()

    def reload(self) -> None:
        before = len(self.lines("READY=1"))
        self.process.send_signal(signal.SIGHUP)
        self.says("READY=1", before + 1)

    def end(self) -> int:
        """Have it end; the exit status."""
        self.process.terminate()
        return self.process.wait(60)

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        found = [(task / "children").read_text().split() for task in tasks]
        return [int(child) for children in found for child in children]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                message = self._listener.recv(4096).decode()
            except OSError:
                return
            self.messages += message.split("\n")


Start = Callable[..., Box]


@pytest.fixture
def start(tmp_path: Path, bundle: Path) -> Iterator[Start]:
    boxes: list[Box] = []

    def start_one(folder: Path = tmp_path, **more: Any) -> Box:
        (folder / "notify").unlink(missing_ok=True)
        boxes.append(Box(folder, bundle, **more))
        return boxes[-1]

    yield start_one
    for box in boxes:
        box.close()


def leftovers(store: Path) -> list[str]:
    """What lies in the store beside what shall lie there."""
    shall = ("crash.log", "history.sqlite", "inbox", "lock", "recordings")
    return sorted(path.name for path in store.iterdir() if not path.name.startswith(shall))


def test_from_start_to_end(start: Start, clips: Path) -> None:
    box = start()
    box.says("STATUS=Ready")
    assert box.lines()[0] == "READY=1"
    box.drop(clips / "red.mp4", "holiday.mp4")
    box.says("STATUS=Judging holiday.mp4")
    box.says("STATUS=FAKE: holiday.mp4")
    beside = box.inbox / "holiday.mp4.truelight.json"
    assert json.loads(beside.read_text())["verdict"] == "FAKE"
    assert "holiday.mp4" in (box.inbox / "TRUELIGHT-REPORT.html").read_text()
    box.says("WATCHDOG=1", len(box.lines("WATCHDOG=1")) + 3)
    assert box.end() == 0
    assert box.lines()[-1] == "STOPPING=1"
    stated = box.lines("STATUS=")
    assert stated == list(dict.fromkeys(stated))
    assert "holiday.mp4: FAKE, fake over 99 %" in box.log.read_text()
    assert leftovers(box.store) == []


def test_a_name_that_is_no_text_does_no_harm(start: Start, clips: Path) -> None:
    box = start()
    box.says("STATUS=Ready")
    name = os.fsdecode(b"caf\xe9.jpg")
    box.drop(clips / "red.jpg", name)
    until((box.inbox / f"{name}.truelight.json").exists, 60)
    box.says("STATUS=FAKE: caf")
    assert box.end() == 0


def test_it_ends_at_once_and_loses_nothing(start: Start, clips: Path) -> None:
    box = start()
    box.says("STATUS=Ready")
    drop_together(box.inbox, {f"{number:02}.mp4": clips / "red.mp4" for number in range(20)})
    box.says("STATUS=Judging 3 of 20: ")
    child = until(box.children)[0]
    assert box.end() == 0
    until(lambda: not Path(f"/proc/{child}").exists())
    archive = open_history(box.store)
    assert archive
    with archive:
        (visit,) = archive.visits()
        assert (visit.ending, visit.report) == ("cancelled", "The program ended.")
        judged = [Path(entry.finding.path).name for entry in archive.entries(visit.id)]
    assert judged == [f"{number:02}.mp4" for number in range(len(judged))]
    assert len(judged) >= 2
    assert leftovers(box.store) == []


def test_the_settings_are_reloaded(start: Start, clips: Path) -> None:
    box = start()
    box.says("STATUS=Ready")
    box.configure("button: {pin: 99}")
    box.reload()
    box.says("STATUS=" + f"{box.config}, line 1: button.pin is 99")
    assert len(box.lines("RELOADING=1")) == len(box.lines("MONOTONIC_USEC=")) == 1
    # It goes on, judges nothing, and forgets nothing.
    box.drop(clips / "red.mp4", "later.mp4")
    other = box.store / "other"
    box.settings["inbox"] = {"folder": str(other)}
    box.configure()
    box.reload()
    box.says("STATUS=Ready", 2)
    shutil.copy(clips / "pale.mp4", other)
    box.says("STATUS=REAL: pale.mp4")
    assert box.end() == 0


def test_wrong_settings_do_not_keep_it_from_starting(start: Start) -> None:
    box = start(wrong="buton: {pin: 17}")
    box.says(f"STATUS={box.config}, line 1: unknown setting buton. Did you mean button?")
    assert box.lines()[0] == "READY=1"
    box.configure()
    box.reload()
    box.says("STATUS=Ready")
    assert box.end() == 0


def test_the_watchdog_is_fed_by_progress(start: Start, clips: Path) -> None:
    """A clip whose child does not get on: the program says no more that all is well."""
    box = start(health={"stuck": 10}, decode={"deadline": 3600})
    box.says("STATUS=Ready")
    box.drop(clips / "red.mp4", "evil.mp4")
    child = until(box.children, 30)[0]
    os.kill(child, signal.SIGSTOP)
    until(lambda: box.log.read_text().count("has made no progress") >= 2, 60)
    fed = len(box.lines("WATCHDOG=1"))
    until(lambda: box.log.read_text().count("has made no progress") >= 5, 60)
    assert len(box.lines("WATCHDOG=1")) == fed
    # Asked to end it does, and takes the child along.
    assert box.end() == 1
    until(lambda: not Path(f"/proc/{child}").exists())
    # When it is started again, that clip is tried a second time; after that it would be skipped.
    assert attempts(box.store) == 1
    box = start()
    box.says("STATUS=FAKE: evil.mp4")
    assert attempts(box.store) == 0
    assert box.end() == 0


def attempts(store: Path) -> int:
    """Clips at which an attempt did not end, or runs."""
    with closing(sqlite3.connect(store / "history.sqlite")) as database:
        return int(database.execute("SELECT COUNT(*) FROM attempts").fetchone()[0])


def test_two_do_not_work_in_one_store(start: Start) -> None:
    box = start()
    box.says("STATUS=Ready")
    done = run("run", "--panel", "none", "--store", box.store, "--config", box.config)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"truelight: Truelight is already running with the folder {box.store}."
    )
    assert "--store" in done.stderr
    assert box.end() == 0


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
    assert "disk-full" in box.lines("STATUS=FAKE")[0], "the mark of a history that is shut"
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


def test_a_terminal_is_needed_to_draw_in(tmp_path: Path) -> None:
    done = run("run", "--panel", "terminal", "--store", tmp_path)
    assert done.returncode == 2
    assert "needs an interactive terminal" in done.stderr
    assert "--panel none" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", ["abc", "a"])
def test_a_batch_goes_on_where_it_was_interrupted(start: Start, clips: Path, left: str) -> None:
    """Earlier it started again after every kill, or had no report if all was judged already."""
    box = start()
    box.says("STATUS=Ready")
    drop_together(box.inbox, {f"{name}.mp4": clips / "red.mp4" for name in "abc"})
    box.says("STATUS=Judging 2 of 3")
    assert (box.inbox / "a.mp4.truelight.json").is_file()
    box.process.kill()
    box.process.wait()
    for name in {"a", "b", "c"} - set(left):
        (box.inbox / f"{name}.mp4").unlink()
        (box.inbox / f"{name}.mp4.truelight.json").unlink(missing_ok=True)
    box = start()
    until((box.inbox / REPORT).is_file, 60, box.log.read_text)
    report = (box.inbox / REPORT).read_text()
    assert {name for name in "abc" if f"{name}.mp4" in report} == set(left)
    archive = open_history(box.store)
    assert archive
    with archive:
        until(lambda: archive.visits()[0].report == "Results are beside the clips.")
        names = [Path(entry.finding.path).stem for entry in archive.find()]
        paths = archive.entries_by_path(archive.visits()[0].id)
    assert names.count("a") == 1
    assert {Path(path).stem for path in paths} == set(left)
    assert box.end() == 0
    (box.inbox / REPORT).unlink()
    box = start()
    shutil.copy(clips / "red.jpg", box.inbox / "d.jpg")
    until((box.inbox / REPORT).is_file, 60, box.log.read_text)
    assert "a.mp4" not in (box.inbox / REPORT).read_text(), "it was reported"


def test_a_stick_goes_on_where_the_program_was_killed(
    start: Start, tmp_path: Path, clips: Path
) -> None:
    sticks = tmp_path / "run" / "sticks"
    (sticks / "sda1").mkdir(parents=True)
    (tmp_path / "run" / "reports").mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(clips / "red.mp4", sticks / "sda1" / name)
        with (sticks / "sda1" / name).open("ab") as clip:
            clip.write(name.encode())  # each its own content
    (sticks / "sda1" / "letter.txt").write_text("words")
    facts = {"name": "HOLIDAYS", "error": None, "plugged": 1}
    (sticks / "sda1.json").write_text(json.dumps(facts))
    box = start(stick={"report": False})
    box.says("STATUS=Judging 2 of 3")
    box.process.kill()
    box.process.wait()
    (sticks / "sda1.json").write_text(json.dumps(facts | {"plugged": 2}))
    box = start(stick={"report": False})
    box.says("STATUS=All clips are judged")
    assert box.end() == 0
    archive = open_history(box.store)
    assert archive
    with archive:
        (visit,) = archive.visits()
        names = [Path(entry.finding.path).name for entry in archive.entries(visit.id)]
    assert names == ["a.mp4", "c.mp4", "b.mp4"], "b.mp4 was being judged and came last"
    assert (visit.ending, visit.skipped.total) == ("complete", 1)


def test_a_read_only_store_does_not_keep_the_box_dark(
    start: Start, tmp_path: Path, clips: Path
) -> None:
    """It ended 20 times in 73 s, and the unit was failed for good."""
    store = tmp_path / "store"
    store.mkdir()
    inbox = tmp_path / "elsewhere"
    bind: list[list[str | Path]] = [
        ["mount", "--bind", store, store],
        ["mount", "-o", "remount,bind,ro", store],
    ]
    if any(subprocess.run(each, check=False, capture_output=True).returncode for each in bind):
        pytest.skip("only root can make a folder read-only for itself")
    try:
        box = start(inbox={"folder": str(inbox)})
        box.says("STATUS=Cannot write the history.")
        shutil.copy(clips / "red.jpg", inbox / "photo.jpg")
        box.says("STATUS=FAKE: photo.jpg")
        assert box.end() == 0
    finally:
        subprocess.run(["umount", "-l", store], check=False)
