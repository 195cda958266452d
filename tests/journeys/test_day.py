"""A day in the life of the box, from the first press to the plug: real clips, the real daemon."""

import shutil
from pathlib import Path

from dropping import drop_together
from house import House
from waiting import until

from edge.box.events import Held, HeldLong, Pressed, Reloaded, Terminated
from edge.box.views.camera import Framing, Recording, Viewfinder
from edge.box.views.clips import BatchSummary, ClipVerdict, Judging, StickListing, WritingReport
from edge.box.views.status import Halted, Ready, ShuttingDown, Starting, TroubleKind
from edge.finding import Verdict
from edge.history.writer import open_history


def test_a_day(house: House, clips: Path) -> None:
    house.sees(Starting)
    house.sees(Ready, camera=True)
    someone_is_recorded(house)
    someone_changes_their_mind(house)
    a_stick_is_judged(house, clips)
    a_stick_is_pulled_out(house, clips)
    a_stick_is_given_up(house, clips)
    it_gets_hot(house)
    the_disk_gets_full(house)
    the_camera_is_gone(house)
    the_settings_are_wrong(house)
    a_clip_is_dropped(house, clips)
    it_is_switched_off(house, clips)
    archive = open_history(house.store)
    assert archive
    with archive:
        visits = [(visit.origin, visit.name, visit.ending) for visit in archive.visits()]
    assert visits == [
        ("inbox", "Inbox", "cancelled"),
        ("inbox", "Inbox", "complete"),
        ("stick", "EVENING", "cancelled"),
        ("stick", "NOON", "pulled out"),
        ("stick", "FRIENDS", "complete"),
        ("camera", "Recording", "complete"),
    ]


def someone_is_recorded(house: House) -> None:
    house.happens(Pressed())
    house.sees(Viewfinder, framing=Framing.NO_FACE)
    start = house.moment
    house.sees(Viewfinder, framing=Framing.GOOD)
    for left in (3, 2, 1):
        house.sees(Viewfinder, countdown=left)
    house.sees(Recording)
    assert house.sees(Judging).name == ""
    judged = house.sees(ClipVerdict, verdict=Verdict.FAKE)
    assert judged.fake_probability is not None
    assert judged.fake_probability > 0.9
    assert house.views(start) == [Viewfinder, Recording, Judging, ClipVerdict]
    assert house.lamps(8) == ("........", "##..##..")
    assert list((house.store / "recordings").iterdir()) == []


def someone_changes_their_mind(house: House) -> None:
    house.happens(Pressed())
    house.sees(Viewfinder)
    house.happens(Pressed())
    house.sees(Recording, fraction=0.0)
    assert house.lamps(8) == ("........", "#######.")
    house.happens(Held())
    house.sees(Ready)
    assert house.lamps(16) == ("#" + "." * 15, "." * 16)
    until(lambda: not list((house.store / "recordings").iterdir()))


def a_stick_is_judged(house: House, clips: Path) -> None:
    text = house.folder / "text.mp4"
    text.write_text("no clip")
    chosen = [clips / name for name in ("nobody.mp4", "pale.mp4", "red.mp4")]
    stick = house.plug("sda1", "FRIENDS", *chosen, text)
    start = house.moment
    house.sees(StickListing, name="FRIENDS")
    for number, name in enumerate(("nobody.mp4", "pale.mp4", "red.mp4", "text.mp4"), start=1):
        house.sees(Judging, number=number, of=4, name=name, source="FRIENDS")
    house.sees(WritingReport, name="FRIENDS")
    house.take_report(stick)
    summary = house.sees(BatchSummary)
    assert house.views(start) == [Ready, StickListing, Judging, WritingReport, BatchSummary]
    assert summary.counts == dict.fromkeys(set(Verdict) - {Verdict.UNSURE}, 1)
    assert summary.skipped == 0
    assert summary.note == "The report is on the stick. Safe to remove."
    assert house.lamps(8) == ("........", "##..##..")
    assert "red.mp4" in (stick / "TRUELIGHT-REPORT.html").read_text()
    verdicts = (Verdict.NO_FACE, Verdict.REAL, Verdict.FAKE, Verdict.UNREADABLE)
    for number, verdict in enumerate(verdicts, start=1):
        house.happens(Pressed())
        house.sees(ClipVerdict, number=number, of=4, verdict=verdict, source="FRIENDS")
    house.happens(Pressed())
    house.sees(BatchSummary)
    house.pull(stick)
    house.sees(BatchSummary, note="Stick removed.")
    house.happens(Held())
    house.sees(Ready)


def a_stick_is_pulled_out(house: House, clips: Path) -> None:
    many = [Path(shutil.copy(clips / "red.mp4", house.folder / f"{n}.mp4")) for n in range(6)]
    stick = house.plug("sdb1", "NOON", *many)
    house.sees(Judging, number=3, of=6)
    house.pull(stick)
    trouble = house.sees_trouble(TroubleKind.STICK_PULLED)
    assert trouble.remedy == "2 of 6 judged. Plug it in again."
    assert house.lamps(8) == ("########", "#...#...")
    assert list((house.run / "reports").iterdir()) == []
    house.happens(Pressed())
    house.sees(Ready)


def a_stick_is_given_up(house: House, clips: Path) -> None:
    stick = house.plug("sdb1", "EVENING", clips / "pale.mp4", clips / "red.mp4")
    house.sees(Judging, number=2, of=2)
    house.happens(Held())
    house.sees(Judging, cancelling=True)
    house.take_report(stick)
    summary = house.sees(BatchSummary, counts={Verdict.REAL: 1}, skipped=1)
    assert summary.worst is Verdict.REAL
    assert house.lamps(4) == ("####", "....")
    house.pull(stick)
    house.happens(Held())
    house.sees(Ready)


def it_gets_hot(house: House) -> None:
    house.feels(celsius=83.4)
    assert house.sees_trouble(TroubleKind.TOO_HOT).message == "Too hot: 83 °C."
    assert house.lamps(12) == ("." * 12, "#...#...#...")
    house.feels(celsius=60.0)
    house.sees(Ready)


def the_disk_gets_full(house: House) -> None:
    house.feels(free_megabytes=12)
    house.sees_trouble(TroubleKind.DISK_FULL)
    start = house.moment
    house.happens(Pressed())
    house.feels(free_megabytes=20_000)
    house.happens(Pressed())
    house.sees(Ready)
    assert Viewfinder not in house.views(start)


def the_camera_is_gone(house: House) -> None:
    house.configure(camera={"kind": "file", "file": str(house.folder / "gone.mp4")})
    house.happens(Reloaded())
    house.sees(Starting)
    house.sees(Ready)
    house.happens(Pressed())
    house.sees_trouble(TroubleKind.CAMERA_MISSING)
    assert house.lamps(8) == ("." * 8, "#...#...")
    house.happens(Held())
    house.sees(Ready)


def the_settings_are_wrong(house: House) -> None:
    house.configure(button={"pin": 99})
    house.happens(Reloaded())
    trouble = house.sees_trouble(TroubleKind.SETTINGS_WRONG)
    assert "button.pin is 99" in trouble.message
    assert "from 0 to 27" in trouble.remedy
    house.configure()
    house.happens(Reloaded())
    house.sees(Starting)
    house.sees(Ready)


def a_clip_is_dropped(house: House, clips: Path) -> None:
    inbox = house.store / "inbox"
    shutil.copy(clips / "red.jpg", inbox)
    house.sees(ClipVerdict, name="red.jpg", verdict=Verdict.FAKE, source="Inbox")
    assert (inbox / "red.jpg.truelight.json").exists()
    house.happens(Held())
    house.sees(Ready)


def it_is_switched_off(house: House, clips: Path) -> None:
    names = ("pale.mp4", "red.mp4")
    drop_together(house.store / "inbox", {name: clips / name for name in names})
    house.sees(Judging, name="red.mp4", number=2)
    house.happens(HeldLong())
    house.sees(ShuttingDown)
    house.sees(Halted)
    assert house.lamps(4) == ("....", "....")
    house.happens(Terminated())
    house.thread.join(60)
    assert house.ended is True
    until(lambda: not house.threads())
