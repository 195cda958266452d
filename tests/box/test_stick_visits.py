"""What people live through who bring sticks to the box."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from living import BROKEN, Box, stick

from edge.box.events import (
    CancelScan,
    ClipsArrived,
    ClipSkipped,
    Ending,
    Finish,
    Held,
    ModelReady,
    OpenViewfinder,
    Pressed,
    Recorded,
    ReportDone,
    Scan,
    ScanProgressed,
    StickPlugged,
    StickPulled,
    StickUnusable,
)
from edge.box.views.clips import (
    BatchSummary,
    ClipVerdict,
    Judging,
    StickListing,
    WritingReport,
)
from edge.box.views.status import Ready, Trouble, TroubleKind
from edge.finding import Verdict
from edge.scan.progress import Progress
from edge.skipped import SkipList, SkipReason


def test_a_stick_is_judged_reported_and_paged_through() -> None:
    box = Box()
    box.on(StickPlugged("a", "HOLIDAY"))
    assert box.view() == StickListing("HOLIDAY")
    batch = stick("a", "1", "2", "3")
    assert box.on(ClipsArrived(batch)) == (Scan(batch, Path("a/1")),)
    assert box.view() == Judging("1", 1, 3, 0.0, None, "stick a")
    assert box.judge(Verdict.REAL) == (Scan(batch, Path("a/2")),)
    box.now += 1.0
    box.on(ScanProgressed(Path("a/2"), Progress("looking", 20, 40)))
    assert box.view() == Judging("2", 2, 3, 0.5, 3.0, "stick a")
    assert box.judge(Verdict.FAKE, Verdict.NO_FACE) == (Finish(batch, Ending.COMPLETE),)
    assert box.view() == WritingReport("stick a")
    box.on(ReportDone("a", True, "Safe to remove"))
    summary = BatchSummary(
        "stick a", {Verdict.REAL: 1, Verdict.FAKE: 1, Verdict.NO_FACE: 1}, 0, "Safe to remove"
    )
    assert box.view() == summary
    assert summary.worst is Verdict.FAKE
    for number, verdict in enumerate((Verdict.REAL, Verdict.FAKE, Verdict.NO_FACE), start=1):
        box.on(Pressed())
        shown = box.view()
        assert isinstance(shown, ClipVerdict)
        assert (shown.verdict, shown.name, shown.number, shown.of) == (
            verdict,
            str(number),
            number,
            3,
        )
    box.on(Pressed())
    assert box.view() == summary
    box.on(StickPulled("a"))
    assert box.view() == replace(summary, note="Stick removed.")
    box.on(Held())
    assert box.view() == Ready()


def test_a_stick_without_clips_gets_its_report_and_is_named() -> None:
    box = Box()
    assert box.on(ClipsArrived(stick("a"))) == (Finish(stick("a"), Ending.COMPLETE),)
    box.on(ReportDone("a", True, "Safe to remove"))
    assert box.view() == Trouble(
        TroubleKind.NOTHING_TO_SCAN, "No clips on stick a.", "Safe to remove"
    )
    box.on(StickPulled("a"))
    assert box.view() == Ready()


def test_a_stick_that_cannot_be_read_is_named_until_it_is_gone() -> None:
    box = Box()
    box.on(StickPlugged("a", "OLD"), StickUnusable("a", BROKEN))
    assert box.view() == BROKEN
    box.on(StickPulled("a"))
    assert box.view() == Ready()


def test_a_stick_pulled_out_in_the_middle_costs_its_own_scan_only() -> None:
    box = Box()
    one, two = stick("a", "1", "2"), stick("b", "1")
    box.on(ClipsArrived(one), ClipsArrived(two))
    assert box.on(StickPulled("a")) == (CancelScan(),)
    assert box.on(ClipSkipped(Path("a/1"))) == (Finish(one, Ending.PULLED),)
    assert box.view() == Trouble(
        TroubleKind.STICK_PULLED, "Stick pulled out.", "0 of 2 judged. Plug it in again."
    )
    assert box.wait(8.0) == (Scan(two, Path("b/1")),)


def test_a_stick_pulled_out_while_it_waits_or_is_written_to() -> None:
    box = Box()
    box.on(ClipsArrived(stick("a", "1")), ClipsArrived(stick("b", "1", "2")))
    assert box.on(StickPulled("b")) == (Finish(stick("b", "1", "2"), Ending.PULLED),)
    box.judge(Verdict.REAL)
    assert box.view() == WritingReport("stick a")
    box.on(StickPulled("a"))
    said = box.view()
    assert isinstance(said, Trouble) and said.remedy == "0 of 2 judged. Plug it in again."
    box.on(ReportDone("a", False, "The stick is gone"), Pressed())
    said = box.view()
    assert isinstance(said, Trouble) and said.remedy == "1 of 1 judged. Plug it in again."
    box.on(Pressed())
    assert box.view() == Ready()


def test_several_sticks_take_turns() -> None:
    box = Box()
    box.on(ClipsArrived(stick("a", "1", "2", "3")), ClipsArrived(stick("b", "1")))
    box.judge(Verdict.REAL)
    assert box.view() == Judging("1", 1, 1, 0.0, None, "stick b")
    box.judge(Verdict.FAKE)
    box.on(ReportDone("b", True, ""))
    shown = box.view()
    assert isinstance(shown, ClipVerdict) and shown.source == "stick b"
    assert box.wait(7.0) == ()
    assert box.wait(1.0) == (Scan(stick("a", "1", "2", "3"), Path("a/2")),)


def test_a_press_during_a_long_stick_goes_next_and_the_stick_goes_on() -> None:
    box = Box()
    batch = stick("a", "1", "2", "3")
    box.on(ClipsArrived(batch), Pressed())
    working = box.view()
    assert isinstance(working, Judging) and working.camera_next
    assert box.judge(Verdict.REAL) == (OpenViewfinder(),)
    box.on(Pressed())
    assert isinstance(box.on(Recorded(Path("r.mp4")))[1], Scan)
    box.judge(Verdict.UNSURE)
    verdict = box.view()
    assert isinstance(verdict, ClipVerdict) and verdict.verdict is Verdict.UNSURE
    assert box.wait(8.0) == (Scan(batch, Path("a/2")),)


def test_a_second_press_takes_the_first_back() -> None:
    box = Box()
    batch = stick("a", "1", "2")
    box.on(ClipsArrived(batch), Pressed(), Pressed())
    assert box.judge(Verdict.REAL) == (Scan(batch, Path("a/2")),)


def test_a_stick_of_other_files_says_what_they_are() -> None:
    """It said "No clips", although there were files that look like some."""
    box = Box()
    files = SkipList()
    for name in ("a.txt", "b.csv"):
        files.add(Path("a") / name, SkipReason.NOT_MEDIA)
    box.on(ClipsArrived(replace(stick("a"), skipped=files.result())))
    box.on(ReportDone("a", True, "Safe to remove."))
    assert box.view() == Trouble(
        TroubleKind.NOTHING_TO_SCAN,
        "Nothing judged on stick a.",
        "2 files are neither videos nor pictures. Safe to remove.",
    )


def test_what_was_not_judged_is_in_the_summary() -> None:
    box = Box()
    files = SkipList()
    files.add(Path("a/letter.txt"), SkipReason.NOT_MEDIA)
    box.on(ClipsArrived(replace(stick("a", "1", "2"), skipped=files.result())))
    box.judge(Verdict.REAL)
    box.judge(Verdict.REAL)
    box.on(ReportDone("a", True, "Safe to remove."))
    note = "Safe to remove. 1 file is neither a video nor a picture."
    assert box.view() == BatchSummary("stick a", {Verdict.REAL: 2}, 1, note)


def test_holding_cancels_what_runs_and_reports_what_was_done() -> None:
    box = Box()
    batch = stick("a", "1", "2", "3")
    box.on(ClipsArrived(batch))
    box.judge(Verdict.REAL)
    assert box.on(Held()) == (CancelScan(),)
    assert box.on(Held()) == ()
    working = box.view()
    assert isinstance(working, Judging) and working.cancelling
    assert box.on(ClipSkipped(Path("a/2"))) == (Finish(batch, Ending.CANCELLED),)
    box.on(ReportDone("a", True, "Safe to remove"))
    assert box.view() == BatchSummary("stick a", {Verdict.REAL: 1}, 2, "Safe to remove")


def test_sticks_are_not_asked_for_where_nothing_mounts_them() -> None:
    box = Box(ready=False)
    box.state = replace(box.state, sticks=False)
    box.on(ModelReady())
    assert box.view() == Ready(sticks=False)
