"""What people live through with the box, whatever it judges."""

from __future__ import annotations

from pathlib import Path

from living import BAD_MODEL, HOT, Box, stick

from edge.box.events import (
    CancelScan,
    ClipsArrived,
    ClipSkipped,
    CloseCamera,
    Exit,
    HeldLong,
    ModelReady,
    OpenViewfinder,
    PowerMayGo,
    PowerOff,
    Pressed,
    Refused,
    Reload,
    Reloaded,
    Scan,
    StickPlugged,
    Terminated,
    TroublesChanged,
)
from edge.box.views import Brightness, Scene
from edge.box.views.clips import (
    Judging,
)
from edge.box.views.status import Halted, Ready, ShuttingDown, Starting, TroubleKind
from edge.finding import Verdict


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
