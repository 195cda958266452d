"""UsbSticks as the daemon sees them: real folders, real inotify, the real script of root."""

import json
import os
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from volume import Stick

from edge.box.events import (
    ClipsArrived,
    Event,
    Origin,
    ReportDone,
    StickPlugged,
    StickPulled,
    StickUnusable,
)
from edge.box.sources import FolderWatch
from edge.box.sources.usb_stick import Collect, UsbSticks
from edge.box.views.status import TroubleKind
from edge.history.report import HTML_NAME, JSON_NAME, Report
from edge.scan.collect import Media, media_within

AnEvent = TypeVar("AnEvent", bound=Event)
SECONDS = 60


REPORT = Report("<h1>Report</h1>", "{}")


class Box:
    """UsbSticks as the daemon has them, and the folders they live in."""

    def __init__(self, run: Path) -> None:
        self.sticks, self.reports = run / "sticks", run / "reports"
        self.events: queue.Queue[Event] = queue.Queue()
        self._open: list[UsbSticks] = []

    def start(self, collect: Collect = media_within, write_seconds: float = SECONDS) -> UsbSticks:
        started = UsbSticks(
            self.sticks, collect, self.events.put, reports=self.reports, write_seconds=write_seconds
        )
        self._open.append(started)
        return started

    def next(self, kind: type[AnEvent]) -> AnEvent:
        event = self.events.get(timeout=SECONDS)
        assert isinstance(event, kind), event
        return event

    def plug(self, device: str, plugged: int = 1, **facts: object) -> Path:
        """What root leaves when it has mounted a stick."""
        folder = self.sticks / device
        folder.mkdir(exist_ok=True)
        common = {"name": "My Stick", "device": device, "filesystem": "vfat", "error": None}
        part = self.sticks / f"{device}.json.part"
        part.write_text(json.dumps(common | {"plugged": plugged} | facts))
        part.rename(self.sticks / f"{device}.json")
        return folder

    def pull(self, name: str) -> None:
        (self.sticks / f"{name}.json").unlink()

    def close(self) -> None:
        for sticks in self._open:
            sticks.close()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    run = tmp_path / "run"
    for name in ("sticks", "reports"):
        (run / name).mkdir(parents=True)
    box = Box(run)
    yield box
    box.close()


# ---- StickPlugged in, pulled out


def test_a_stick_is_seen_and_its_clips_are_listed(box: Box) -> None:
    box.start()
    (box.sticks / "sda1").mkdir()
    (box.sticks / "sda1" / "b.mp4").touch()
    (box.sticks / "sda1" / "a.MOV").touch()
    (box.sticks / "sda1" / "letter.txt").write_text("Dear all")
    folder = box.plug("sda1")
    plugged = box.next(StickPlugged)
    batch = box.next(ClipsArrived).batch
    assert (plugged.name, batch.name, batch.origin) == ("My Stick", "My Stick", Origin.STICK)
    assert batch.key == plugged.key
    assert batch.clips == (folder / "a.MOV", folder / "b.mp4")
    box.pull("sda1")
    assert box.next(StickPulled).key == plugged.key


def test_what_is_there_at_the_start_was_just_plugged_in(box: Box) -> None:
    box.plug("sda1")
    box.start()
    box.next(StickPlugged)
    assert box.next(ClipsArrived).batch.clips == ()


def test_the_same_stick_again_has_another_key(box: Box) -> None:
    box.start()
    box.plug("sda1", plugged=1)
    first = box.next(StickPlugged).key
    box.next(ClipsArrived)
    box.pull("sda1")
    box.next(StickPulled)
    box.plug("sda1", plugged=2)
    assert box.next(StickPlugged).key != first


def test_a_stick_that_cannot_be_read_says_why(box: Box) -> None:
    box.start()
    box.plug("sda", error="Stick is encrypted", remedy="Use one that is not")
    key = box.next(StickPlugged).key
    unusable = box.next(StickUnusable)
    assert unusable.key == key
    assert unusable.trouble.kind is TroubleKind.STICK_UNREADABLE
    assert unusable.trouble.message == "Stick is encrypted"
    assert unusable.trouble.remedy == "Use one that is not"


def test_a_stick_that_fails_while_it_is_listed_is_unusable(box: Box) -> None:
    def fail(folder: Path) -> Media:
        raise OSError(5, "Input/output error")

    box.start(fail)
    box.plug("sda1")
    box.next(StickPlugged)
    assert box.next(StickUnusable).trouble.kind is TroubleKind.STICK_UNREADABLE


def test_a_slow_stick_holds_up_no_other_and_may_be_pulled(box: Box) -> None:
    done = threading.Event()

    def collect(folder: Path) -> Media:
        if folder.name == "sda1":
            done.wait(SECONDS)
        return Media(())

    box.start(collect)
    box.plug("sda1")
    slow = box.next(StickPlugged).key
    box.plug("sdb1")
    quick = box.next(StickPlugged).key
    assert box.next(ClipsArrived).batch.key == quick
    box.pull("sda1")
    assert box.next(StickPulled).key == slow
    done.set()
    box.pull("sdb1")
    assert box.next(StickPulled).key == quick  # and nothing more of the slow one


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"name": 1, "error": null, "plugged": []}']
)
def test_a_status_that_makes_no_sense_is_no_stick(box: Box, text: str) -> None:
    box.start()
    (box.sticks / "sda1.json").write_text(text)
    box.plug("sdb1")
    assert box.next(StickPlugged).key.startswith("sdb1")


def test_a_name_cannot_steer_a_terminal(box: Box) -> None:
    box.start()
    box.plug("sda1", name="\x1b[2Jstick")
    assert box.next(StickPlugged).name.isprintable()


def test_a_machine_without_the_folder_has_no_sticks(tmp_path: Path) -> None:
    box = Box(tmp_path / "nowhere")
    box.start().write_report("sda1@1", REPORT)
    assert not box.next(ReportDone).written
    box.close()


# ---- Reports


def test_a_report_goes_by_root_onto_the_stick(stick: Stick) -> None:
    box = Box(stick.run)
    sticks = box.start()
    stick.plug()
    key = box.next(StickPlugged).key
    clips = box.next(ClipsArrived).batch.clips
    assert [clip.name for clip in clips] == ["beach.mp4"]
    asked = threading.Event()
    observer = FolderWatch(lambda _, __: asked.set())
    observer.add(stick.reports)
    sticks.write_report(key, Report("<h1>Ünïcode</h1>", '{"clips": []}'))
    assert asked.wait(SECONDS)
    assert (stick.box / "ready").exists()
    stick.do("report")
    reported = box.next(ReportDone)
    assert (reported.key, reported.written) == (key, True)
    assert "Safe to remove" in reported.note
    assert (stick.folder / HTML_NAME).read_text() == "<h1>Ünïcode</h1>"
    assert (stick.folder / JSON_NAME).read_text() == '{"clips": []}'
    observer.close()
    box.close()
    assert not stick.box.exists()


def test_a_helper_that_never_answers_is_given_up(box: Box) -> None:
    sticks = box.start(write_seconds=0.1)
    box.plug("sda1")
    key = box.next(StickPlugged).key
    box.next(ClipsArrived)
    sticks.write_report(key, REPORT)
    reported = box.next(ReportDone)
    assert (reported.key, reported.written) == (key, False)
    assert "history" in reported.note
    assert not (box.reports / "sda1").exists()


def test_a_stick_that_is_pulled_ends_the_wait_for_its_report(box: Box) -> None:
    sticks = box.start()
    box.plug("sda1")
    key = box.next(StickPlugged).key
    box.next(ClipsArrived)
    sticks.write_report(key, REPORT)
    box.pull("sda1")
    assert box.next(StickPulled).key == key
    assert box.next(ReportDone) == ReportDone(
        key, False, "The stick is gone. The report is in the history."
    )


def test_a_report_for_a_stick_that_is_gone_is_answered_at_once(box: Box) -> None:
    box.start().write_report("sda1@7", REPORT)
    assert not box.next(ReportDone).written


def test_a_report_that_cannot_be_handed_over_is_answered(box: Box) -> None:
    sticks = box.start()
    box.plug("sda1")
    key = box.next(StickPlugged).key
    box.next(ClipsArrived)
    box.reports.rmdir()
    sticks.write_report(key, REPORT)
    assert not box.next(ReportDone).written


# ---- Which files


def test_only_plain_files_that_people_see_are_listed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.mp4"
    outside.touch()
    stick = tmp_path / "stick"
    shown = stick / "album" / "deeper"
    shown.mkdir(parents=True)
    (shown / "clip.mp4").touch()
    for hidden in (".Trashes", "System Volume Information", "$RECYCLE.BIN", "FOUND.000"):
        (stick / hidden).mkdir()
        (stick / hidden / "clip.mp4").touch()
    (stick / "._clip.mp4").touch()
    (stick / "link.mp4").symlink_to(outside)
    (stick / "loop").symlink_to(stick, target_is_directory=True)
    os.mkfifo(stick / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(stick / "socket.mp4"))
    assert media_within(stick).clips == (shown / "clip.mp4",)


def test_a_folder_that_nobody_may_open_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "deep.mp4").touch()
    (tmp_path / "b.mp4").touch()
    # Deeper than anything is followed, and deeper than a path may be long.
    place = tmp_path / "c"
    place.mkdir()
    here = os.open(place, os.O_RDONLY)
    for _ in range(40):
        os.mkdir("d" * 120, dir_fd=here)
        below = os.open("d" * 120, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert [clip.name for clip in media_within(tmp_path).clips] == ["deep.mp4", "b.mp4"]
