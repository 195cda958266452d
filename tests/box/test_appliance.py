"""What people live through with the box."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from living import BAD_MODEL, BROKEN, FULL, HOT, NO_CAMERA, PICTURE, SETTINGS, Box, stick

from edge.box.events import (
    CameraFailed,
    CancelScan,
    ClipsArrived,
    ClipSkipped,
    CloseCamera,
    Ending,
    Event,
    Exit,
    Finish,
    FrameSeen,
    Held,
    HeldLong,
    ModelReady,
    OpenViewfinder,
    PowerMayGo,
    PowerOff,
    Pressed,
    Record,
    Recorded,
    RecordingProgressed,
    Refused,
    Reload,
    Reloaded,
    ReportDone,
    Scan,
    ScanProgressed,
    StickPlugged,
    StickPulled,
    StickUnusable,
    Terminated,
    TroublesChanged,
)
from edge.box.views import Brightness, Scene
from edge.box.views.camera import Framing, Recording, Viewfinder
from edge.box.views.clips import (
    BatchSummary,
    ClipVerdict,
    Judging,
    StickListing,
    Stopped,
    WritingReport,
)
from edge.box.views.status import Halted, Ready, ShuttingDown, Starting, Trouble, TroubleKind
from edge.finding import Verdict
from edge.scan.progress import Progress
from edge.skipped import SkipList, SkipReason


def test_a_press_films_judges_and_shows_a_verdict() -> None:
    box = Box(ready=False)
    assert box.view() == Starting()
    box.on(Pressed(), ModelReady())
    assert box.view() == Ready()
    assert box.on(Pressed()) == (OpenViewfinder(),)
    box.on(FrameSeen(PICTURE, Framing.CLOSER))
    assert box.view() == Viewfinder(PICTURE, Framing.CLOSER)
    box.on(FrameSeen(PICTURE, Framing.GOOD))
    box.now += 1.0
    box.on(FrameSeen(PICTURE, Framing.GOOD))
    assert box.view() == Viewfinder(PICTURE, Framing.GOOD, countdown=3)
    box.wait(2.5)
    assert box.view() == Viewfinder(PICTURE, Framing.GOOD, countdown=1)
    assert box.wait(0.5) == (Record(8.0),)
    box.on(RecordingProgressed(0.25))
    assert box.view() == Recording(0.25, 6.0)
    clip = Path("recording.mp4")
    closed, scan = box.on(Recorded(clip))
    assert closed == CloseCamera()
    assert isinstance(scan, Scan) and scan.clip == clip
    box.on(ScanProgressed(clip, Progress("looking", 10, 40, 3.0)))
    assert box.view() == Judging("", 1, 1, 0.25, 3.0)
    box.on(ScanProgressed(clip, Progress("looking", 20, 40, 2.0, 0.41)))
    assert box.view() == Judging("", 1, 1, 0.5, 2.0, so_far=0.41)
    (finish,) = box.judge(Verdict.FAKE)
    assert isinstance(finish, Finish) and finish.ending is Ending.COMPLETE
    assert box.view() == ClipVerdict(Verdict.FAKE, 0.5, "", "A reason.")
    assert box.on(Pressed()) == (OpenViewfinder(),)


def test_a_countdown_stops_when_the_face_is_gone() -> None:
    box = Box()
    box.on(Pressed(), FrameSeen(PICTURE, Framing.GOOD))
    box.now += 1.0
    box.on(FrameSeen(PICTURE, Framing.GOOD))
    box.now += 1.0
    box.on(FrameSeen(PICTURE, Framing.NO_FACE))
    assert box.view() == Viewfinder(PICTURE, Framing.NO_FACE)
    assert box.wait(3.0) == ()


def test_the_viewfinder_closes_when_nobody_comes() -> None:
    box = Box()
    box.on(Pressed())
    assert box.wait(29.0) == ()
    assert box.wait(1.0) == (CloseCamera(),)
    assert box.view() == Ready()


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


def test_cancelling_the_only_clip_leaves_nothing_to_show() -> None:
    box = Box()
    box.record()
    box.on(Held(), ClipSkipped(Path("recording.mp4")))
    assert box.view() == Stopped("")
    box.on(Held())
    assert box.view() == Ready()


@pytest.mark.parametrize("events", [(), (Pressed(),)])
def test_holding_puts_the_camera_away(events: tuple[Event, ...]) -> None:
    box = Box()
    box.on(Pressed(), *events)
    assert box.on(Held()) == (CloseCamera(),)
    assert box.view() == Ready()
    late = Recorded(Path("late.mp4"))
    (thrown,) = box.on(late)
    assert isinstance(thrown, Finish) and thrown.ending is Ending.CANCELLED


def test_a_missing_camera_is_named_and_the_box_works_on() -> None:
    box = Box()
    box.on(Pressed())
    assert box.on(CameraFailed(NO_CAMERA)) == (CloseCamera(),)
    assert box.view() == NO_CAMERA
    box.on(ClipsArrived(stick("a", "1")))
    box.wait(8.0)
    assert isinstance(box.view(), Judging)


def test_a_box_without_a_camera_says_so_and_ignores_the_button() -> None:
    box = Box(settings=SETTINGS.changed("test", {"camera.kind": "none"}))
    assert box.view() == Ready(camera=False)
    assert box.on(Pressed()) == ()
    box.on(ClipsArrived(stick("a", "1")), Pressed())
    working = box.view()
    assert isinstance(working, Judging) and not working.camera_next


def test_sticks_are_not_asked_for_where_nothing_mounts_them() -> None:
    box = Box(ready=False)
    box.state = replace(box.state, sticks=False)
    box.on(ModelReady())
    assert box.view() == Ready(sticks=False)


def test_nothing_is_recorded_on_a_full_disk() -> None:
    box = Box()
    box.on(TroublesChanged((FULL,)))
    assert box.view() == FULL
    assert box.on(Pressed()) == ()
    assert box.view() == FULL
    box.on(TroublesChanged(()), Pressed())
    assert box.view() == Ready()


def test_what_lasts_is_shown_at_rest_and_marked_at_work() -> None:
    box = Box()
    box.on(TroublesChanged((HOT,)))
    assert box.scene() == Scene(HOT)
    box.on(ClipsArrived(stick("a", "1")))
    assert box.scene().marks == (TroubleKind.TOO_HOT,)
    box.on(TroublesChanged(()))
    assert box.scene().marks == ()


def test_a_refused_model_is_shown_until_it_is_mended() -> None:
    box = Box(ready=False)
    box.on(ClipsArrived(stick("a", "1")), Refused(BAD_MODEL), Pressed())
    assert box.view() == BAD_MODEL
    assert box.on(Reloaded()) == (Reload(),)
    assert box.view() == Starting()
    assert box.on(ModelReady()) == (Scan(stick("a", "1"), Path("a/1")),)


def test_a_model_that_fails_in_the_middle_loses_no_clip() -> None:
    box = Box()
    batch = stick("a", "1", "2")
    box.on(ClipsArrived(batch))
    box.judge(Verdict.REAL)
    box.on(Refused(BAD_MODEL))
    assert box.on(ModelReady()) == (Scan(batch, Path("a/2")),)


def test_settings_are_reloaded_without_losing_what_runs() -> None:
    box = Box()
    box.on(ClipsArrived(stick("a", "1")))
    assert box.on(Reloaded()) == (Reload(),)
    assert isinstance(box.view(), Judging)


def test_holding_long_switches_off_whatever_runs() -> None:
    box = Box()
    box.on(ClipsArrived(stick("a", "1")))
    assert box.on(HeldLong()) == (CancelScan(), PowerOff())
    assert box.view() == ShuttingDown()
    assert box.on(HeldLong(), Pressed(), ClipSkipped(Path("a/1"))) == ()
    box.on(PowerMayGo())
    assert box.view() == Halted()
    assert box.on(Terminated()) == (Exit(),)
    assert box.view() == Halted()


def test_the_end_closes_the_camera_and_gives_up_the_clip() -> None:
    filming, working = Box(), Box()
    filming.on(Pressed())
    assert filming.on(Terminated()) == (CloseCamera(), Exit())
    working.record()
    assert working.on(Terminated()) == (CancelScan(), Exit())


def test_the_display_dims_sleeps_and_wakes_at_the_button() -> None:
    box = Box()
    box.wait(59.0)
    assert box.scene().brightness is Brightness.FULL
    box.wait(1.0)
    assert box.scene().brightness is Brightness.DIM
    box.wait(540.0)
    assert box.scene().brightness is Brightness.OFF
    assert box.on(Pressed()) == ()
    assert box.scene() == Scene(Ready())
    assert box.on(Pressed()) == (OpenViewfinder(),)


def test_the_display_stays_awake_at_work() -> None:
    box = Box()
    box.on(ClipsArrived(stick("a", "1")))
    box.wait(10_000.0)
    assert box.scene().brightness is Brightness.FULL


def test_a_strangers_name_controls_no_terminal() -> None:
    """`systemctl status` wrote raw escape sequences to root's terminal."""
    controls = [*range(1, 0x20), 0x7F, *range(0x80, 0xA0), 0x061C, 0x200E, 0x200F]
    controls += [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0xDC80]
    for code in controls:
        box = Box()
        name = f"a{chr(code)}[31m.mp4"
        box.on(StickPlugged("k", "stick k"), ClipsArrived(stick("k", name)))
        judging = box.scene()
        box.judge(Verdict.REAL)
        for scene in (judging, box.scene()):
            text = f"{scene.status}{scene.view!r}"
            assert text.isprintable(), (hex(code), text)
        assert isinstance(judging.view, Judging)
        assert judging.view.name.isprintable()
        assert judging.view.name.startswith("a\\")
