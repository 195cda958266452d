"""The thread that judges: real clips, a real history, and what goes wrong with either."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest
from frontdoor import ROOT
from waiting import until

from edge.box.crash_guard import CRASHED
from edge.box.events import (
    Batch,
    ClipJudged,
    ClipsArrived,
    ClipSkipped,
    Ending,
    Event,
    ModelReady,
    Origin,
    Refused,
    ReportDone,
    ScanProgressed,
)
from edge.box.scan_worker import HISTORY_SHUT, ScanWorker
from edge.box.views.status import TroubleKind
from edge.finding import Verdict
from edge.history.report import Report
from edge.history.writer import Entry, open_history
from edge.settings import Settings

Wanted = TypeVar("Wanted")


class Bench:
    """A worker, and what comes of what it is asked."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.reports: list[Report] = []
        self.worker = ScanWorker(store, self.events.put, self.deliver)

    def deliver(self, batch: Batch, entries: Iterable[Entry], report: Report) -> None:
        assert json.loads(report.json)["counts"].values()
        self.reports.append(report)
        self.events.put(ReportDone(batch.key, True, "Delivered."))

    def next(self, kind: type[Wanted]) -> Wanted:
        """The next event of a kind; those before it are passed over."""
        while not isinstance(event := self.events.get(timeout=60), kind):
            pass
        return event

    def judge(self, clip: Path, origin: Origin = Origin.STICK) -> ClipJudged:
        self.worker.scan(batch(clip, origin=origin), clip)
        return self.next(ClipJudged)

    def visits(self) -> list[tuple[str, str, str, int]]:
        """Name, ending, report and number of findings; the newest first."""
        archive = open_history(self.store)
        assert archive
        with archive:
            return [
                (visit.name, visit.ending, visit.report, len(archive.entries(visit.id)))
                for visit in archive.visits()
            ]


def batch(*clips: Path, origin: Origin = Origin.STICK) -> Batch:
    return Batch(origin, "sda1", "HOLIDAYS", clips)


@pytest.fixture
def settings(bundle: Path) -> Settings:
    return Settings().changed("test", {"model.bundle": str(bundle)})


Open = Callable[..., Bench]


@pytest.fixture
def open_bench(tmp_path: Path, settings: Settings) -> Iterator[Open]:
    benches: list[Bench] = []

    def open_one(settings: Settings = settings) -> Bench:
        bench = Bench(tmp_path)
        benches.append(bench)
        bench.worker.load(settings)
        return bench

    yield open_one
    for bench in benches:
        assert bench.worker.close(30)


def test_a_stick_from_the_first_clip_to_the_report(open_bench: Open, clips: Path) -> None:
    bench = open_bench()
    bench.next(ModelReady)
    both = batch(clips / "red.mp4", clips / "pale.mp4")
    verdicts = []
    for clip in both.clips:
        bench.worker.scan(both, clip)
        assert bench.next(ScanProgressed).clip == clip
        found = bench.next(ClipJudged)
        verdicts.append((found.clip, found.result.name, found.result.verdict))
        assert found.result.reason
    assert verdicts == [
        (clips / "red.mp4", "red.mp4", Verdict.FAKE),
        (clips / "pale.mp4", "pale.mp4", Verdict.REAL),
    ]
    bench.worker.finish(both, Ending.COMPLETE)
    bench.worker.report_done(bench.next(ReportDone))
    assert "red.mp4" in bench.reports[0].html
    assert bench.worker.close(30)
    assert bench.visits() == [("HOLIDAYS", "complete", "Delivered.", 2)]
    assert bench.worker.silence(1e9) == 0


def test_a_scan_that_is_cancelled_is_over_soon(open_bench: Open, clips: Path) -> None:
    bench = open_bench()
    bench.worker.scan(batch(clips / "red.mp4"), clips / "red.mp4")
    bench.next(ScanProgressed)
    bench.worker.cancel()
    assert bench.next(ClipSkipped).clip == clips / "red.mp4"
    assert bench.judge(clips / "red.jpg").result.verdict is Verdict.FAKE


def test_without_a_model_nothing_is_judged_until_there_is_one(
    open_bench: Open, settings: Settings, bundle: Path, clips: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle, tmp_path / "broken")
    (tmp_path / "broken" / "golden.npz").unlink()
    bench = open_bench(settings.changed("test", {"model.bundle": str(tmp_path / "broken")}))
    first = bench.next(Refused).trouble
    assert first.kind is TroubleKind.MODEL_REFUSED
    assert "golden.npz" in first.message
    bench.worker.scan(batch(clips / "red.jpg"), clips / "red.jpg")
    assert bench.next(Refused).trouble == first
    bench.worker.load(settings)
    bench.next(ModelReady)
    assert bench.judge(clips / "red.jpg").result.verdict is Verdict.FAKE


CRASHED_AT_WORK = """
import os, signal, sys
from pathlib import Path
from edge.box.events import Batch, Origin, ScanProgressed
from edge.box.crash_guard import watch_crashes
from edge.box.scan_worker import ScanWorker
from edge.settings import Settings
store, bundle, clip = map(Path, sys.argv[1:])
def post(event):
    if isinstance(event, ScanProgressed) and event.progress.done > 3:
        os.kill(os.getpid(), signal.SIGSEGV)
watch_crashes(store)
worker = ScanWorker(store, post, print)
worker.load(Settings().changed("test", {"model.bundle": str(bundle)}))
worker.scan(Batch(Origin.STICK, "sda1", "EVIL", (clip,)), clip)
worker._thread.join()
"""


def crashed_at_work(store: Path, bundle: Path, clip: Path) -> None:
    """A program of its own crashes while it judges a clip."""
    arguments = [sys.executable, "-c", CRASHED_AT_WORK, *map(str, (store, bundle, clip))]
    done = subprocess.run(arguments, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGSEGV


def test_a_clip_that_takes_the_program_down_does_so_twice_at_most(
    open_bench: Open, bundle: Path, clips: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        crashed_at_work(tmp_path, bundle, clips / "red.mp4")
    copy = shutil.copy(clips / "red.mp4", tmp_path / "another name.mp4")
    bench = open_bench()
    assert bench.judge(clips / "pale.mp4").result.verdict is Verdict.REAL
    for clip in (clips / "red.mp4", Path(copy)):
        accused = bench.judge(clip).result
        assert (accused.verdict, accused.reason) == (Verdict.UNREADABLE, CRASHED)


def test_what_could_not_be_written_is_written_later(
    open_bench: Open, clips: Path, tmp_path: Path
) -> None:
    """The disk is full at the start, and has room afterwards."""
    obstacle = tmp_path / "history.sqlite"
    obstacle.mkdir()
    bench = open_bench()
    assert bench.judge(clips / "red.mp4").result.verdict is Verdict.FAKE
    bench.worker.finish(batch(clips / "red.mp4"), Ending.COMPLETE)
    bench.worker.report_done(bench.next(ReportDone))
    assert list(bench.worker.troubles) == [HISTORY_SHUT]
    obstacle.rmdir()
    assert bench.judge(clips / "pale.mp4").result.verdict is Verdict.REAL
    assert not bench.worker.troubles
    assert [visit[3] for visit in bench.visits()] == [1, 1]
    archive = open_history(tmp_path)
    assert archive
    with archive:
        for visit in archive.visits():
            assert all(entry.portraits for entry in archive.entries(visit.id))


def test_a_history_that_cannot_be_written_costs_nobody_a_verdict(
    open_bench: Open, clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "history.sqlite").mkdir()
    bench = open_bench()
    assert bench.judge(clips / "red.mp4").result.verdict is Verdict.FAKE
    bench.worker.finish(batch(clips / "red.mp4"), Ending.COMPLETE)
    assert bench.next(ReportDone).written
    assert "red.mp4" in bench.reports[0].html


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("end", ["judged", "cancelled", "thrown away"])
def test_recordings_are_kept_only_if_that_is_wanted(
    open_bench: Open, settings: Settings, clips: Path, tmp_path: Path, keep: bool, end: str
) -> None:
    bench = open_bench(settings.changed("test", {"camera.keep": keep}))
    bench.next(ModelReady)
    clip = Path(shutil.copy(clips / "red.mp4", tmp_path / "recording.mp4"))
    recording = batch(clip, origin=Origin.CAMERA)
    if end != "thrown away":
        bench.worker.scan(recording, clip)
        bench.next(ScanProgressed)
    if end == "cancelled":
        bench.worker.cancel()
    if end == "judged":
        bench.next(ClipJudged)
    bench.worker.finish(recording, Ending.COMPLETE if end == "judged" else Ending.CANCELLED)
    assert bench.worker.close(30)
    assert clip.exists() == keep
    assert [found for *_, found in bench.visits()] == [1] * (end == "judged")


def test_a_recording_that_could_not_be_judged_is_judged_later(
    open_bench: Open, clips: Path, tmp_path: Path
) -> None:
    bench = open_bench()
    bench.next(ModelReady)
    (tmp_path / "recordings").mkdir()
    clip = Path(shutil.copy(clips / "red.mp4", tmp_path / "recordings"))
    bench.worker.scan(batch(clip, origin=Origin.CAMERA), clip)
    bench.next(ScanProgressed)
    assert bench.worker.close(30)
    bench = open_bench()
    brought = bench.next(ClipsArrived).batch
    assert (brought.origin, brought.clips) == (Origin.CAMERA, (clip,))
    bench.worker.scan(brought, clip)
    assert bench.next(ClipJudged).result.verdict is Verdict.FAKE
    assert bench.worker.close(30)
    assert not clip.exists()


def test_a_clip_that_is_gone_was_not_unreadable(open_bench: Open, tmp_path: Path) -> None:
    bench = open_bench()
    bench.worker.scan(batch(tmp_path / "gone.mp4"), tmp_path / "gone.mp4")
    assert bench.next(ClipSkipped).clip == tmp_path / "gone.mp4"


def test_sticks_get_no_report_if_none_is_wanted(open_bench: Open, settings: Settings) -> None:
    bench = open_bench(settings.changed("test", {"stick.report": False}))
    bench.worker.finish(batch(), Ending.COMPLETE)
    assert not bench.next(ReportDone).written
    assert bench.reports == []


def test_an_empty_stick_gets_a_report_too(open_bench: Open) -> None:
    bench = open_bench()
    bench.worker.finish(batch(), Ending.COMPLETE)
    assert bench.next(ReportDone).written
    assert bench.visits() == [("HOLIDAYS", "complete", "", 0)]


def test_a_stick_that_was_pulled_out_gets_none(open_bench: Open, clips: Path) -> None:
    bench = open_bench()
    bench.judge(clips / "red.jpg")
    bench.worker.finish(batch(), Ending.PULLED)
    assert bench.worker.close(30)
    assert bench.reports == []
    assert bench.visits() == [("HOLIDAYS", "pulled out", "The stick was pulled out.", 1)]


def test_what_is_open_at_the_end_is_closed(open_bench: Open, clips: Path, tmp_path: Path) -> None:
    bench = open_bench()
    bench.judge(clips / "red.jpg")
    bench.worker.scan(batch(), clips / "pale.mp4")
    bench.next(ScanProgressed)
    assert bench.worker.close(30)
    assert bench.visits() == [("HOLIDAYS", "cancelled", "The program ended.", 1)]
    assert not (tmp_path / "working.json").exists()


def test_silence_is_the_time_without_progress(open_bench: Open, clips: Path) -> None:
    bench = open_bench()
    bench.next(ModelReady)
    heard: list[Any] = []
    bench.worker.scan(batch(), clips / "red.mp4")
    while not isinstance(bench.events.get(timeout=60), ClipJudged):
        heard.append(bench.worker.silence(1e12))
    assert heard
    assert all(silence > 1e11 for silence in heard)


def test_while_nothing_is_judged_the_history_is_tried_again(
    open_bench: Open, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.box.scan_worker.RETRY_SECONDS", 0.05)
    obstacle = tmp_path / "history.sqlite"
    obstacle.mkdir()
    bench = open_bench()
    bench.judge(clips / "red.mp4")
    obstacle.rmdir()
    until(lambda: bench.worker.troubles == ())
    assert [visit[3] for visit in bench.visits()] == [1]
