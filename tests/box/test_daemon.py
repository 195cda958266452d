"""The daemon as a process: what systemd hears of it, how it ends, what it does when it is stuck."""

import json
import os
import shutil
import signal
from pathlib import Path

from daemon_process import Start
from dropping import drop_together
from frontdoor import run
from waiting import until

from edge.history.writer import open_history


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
    assert len(box.attempts) == 1
    box = start()
    box.says("STATUS=FAKE: evil.mp4")
    assert not box.attempts
    assert box.end() == 0


def test_a_scan_that_is_slow_to_end_is_no_crash(start: Start, clips: Path) -> None:
    """On a busy machine the unit was `failed`, and two such ends had a healthy clip skipped."""
    box = start()
    box.says("STATUS=Ready")
    box.drop(clips / "red.mp4", "good.mp4")
    children = until(box.children, 30)
    for child in children:
        os.kill(child, signal.SIGSTOP)
    until(lambda: box.attempts)
    assert box.end() == 0
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    assert not (box.store / "crash.log").read_text()
    box = start()
    box.says("STATUS=FAKE: good.mp4")
    assert not box.attempts
    assert box.end() == 0


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


def test_a_terminal_is_needed_to_draw_in(tmp_path: Path) -> None:
    done = run("run", "--panel", "terminal", "--store", tmp_path)
    assert done.returncode == 2
    assert "needs an interactive terminal" in done.stderr
    assert "--panel none" in done.stderr
    assert list(tmp_path.iterdir()) == []
