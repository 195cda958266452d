"""What people live through who film with the box."""

from __future__ import annotations

from pathlib import Path

import pytest
from living import FULL, NO_CAMERA, PICTURE, SETTINGS, Box, stick

from edge.box.events import (
    CameraFailed,
    ClipsArrived,
    ClipSkipped,
    CloseCamera,
    Ending,
    Event,
    Finish,
    FrameSeen,
    Held,
    ModelReady,
    OpenViewfinder,
    Pressed,
    Record,
    Recorded,
    RecordingProgressed,
    Scan,
    ScanProgressed,
    TroublesChanged,
)
from edge.box.views.camera import Framing, Recording, Viewfinder
from edge.box.views.clips import (
    ClipVerdict,
    Judging,
    Stopped,
)
from edge.box.views.status import Ready, Starting
from edge.finding import Verdict
from edge.scan.progress import Progress


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


def test_nothing_is_recorded_on_a_full_disk() -> None:
    box = Box()
    box.on(TroublesChanged((FULL,)))
    assert box.view() == FULL
    assert box.on(Pressed()) == ()
    assert box.view() == FULL
    box.on(TroublesChanged(()), Pressed())
    assert box.view() == Ready()
