"""The doctor's checks of lamps, display, button and camera."""

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
import smbus2
from examined import HARDWARE, SERVICE, Somebody, changed, check, machine, write
from gpiozero.pins.mock import MockFactory, MockPin

from edge.doctor import hardware
from edge.doctor.context import Result, State


# ---- Lamps, display, button, camera
@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    factory = MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.reset()


def test_lamps_that_light_up(root: Path, pins: MockFactory) -> None:
    somebody = Somebody()
    result = check("lamps", machine(root, somebody))
    assert result == Result(State.OK, "Green and red light up, on GPIO 22 and 27.")
    assert somebody.heard[-1] == "Did green and red light up in turn?"
    for number in (22, 27):
        states = [bool(state.state) for state in pins.pin(number).states]
        assert states.count(True) >= 3


def test_lamps_that_do_not_light_up(root: Path, pins: MockFactory) -> None:
    result = check("lamps", machine(root, Somebody(sees=False)))
    assert (result.state, bool(result.remedy)) == (State.FAILURE, True)


def test_without_an_operator_the_lamps_are_only_switched(root: Path, pins: MockFactory) -> None:
    result = check("lamps", machine(root))
    assert (result.state, "nobody" in result.sentence) == (State.OK, True)


def test_pins_that_cannot_be_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "none-such")
    for part in ("lamps", "button"):
        result = check(part, machine(root))
        assert (result.state, "Cannot use GPIO" in result.sentence) == (State.FAILURE, True)
        assert "setup.sh install" in result.remedy


def test_a_button_that_is_pressed(root: Path, pins: MockFactory) -> None:
    somebody = Somebody(does=lambda: pins.pin(17).drive_low())  # and held until it counts
    result = check("button", changed(machine(root, somebody), button__hold=0.5))
    assert result == Result(State.OK, "Pressed and held, on GPIO 17.")


def test_a_button_that_is_not_pressed(
    root: Path, pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "PATIENCE", 0.05)
    result = check("button", machine(root, Somebody()))
    assert (result.state, result.sentence) == (State.FAILURE, "No press on GPIO 17.")
    assert check("button", machine(root)).state is State.OK


class Grounded(MockPin):  # type: ignore[misc]  # gpiozero has no types
    """A pin whose wire touches ground."""

    def _change_state(self, value: bool) -> bool:
        return bool(super()._change_state(False))


def test_a_button_that_is_always_pressed(root: Path, pins: MockFactory) -> None:
    pins.pin_class = Grounded
    result = check("button", machine(root))
    assert (result.state, result.sentence) == (State.FAILURE, "GPIO 17 is always pressed.")


class Bus:
    """An I2C bus with a display at 0x3c."""

    def __init__(self, number: int) -> None:
        assert number == 1

    def write_i2c_block_data(self, address: int, register: int, values: list[int]) -> None:
        if address != 0x3C:
            raise OSError(121, "Remote I/O error")

    def i2c_rdwr(self, *messages: Any) -> None:
        """Take the pixels."""

    def close(self) -> None:
        """Nothing to close."""


def test_a_display_that_answers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smbus2, "SMBus", Bus)
    result = check("display", machine(root, Somebody()))
    assert result == Result(State.OK, "ssd1306 at 0x3c on I2C bus 1 shows its test picture.")
    assert check("display", machine(root, Somebody(sees=False))).state is State.FAILURE


def test_a_missing_display_is_a_warning(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smbus2, "SMBus", Bus)
    result = check("display", changed(machine(root), display__address=0x3D))
    assert (result.state, "No ssd1306 at 0x3d" in result.sentence) == (State.WARNING, True)
    (root / "dev/i2c-1").unlink()
    result = check("display", machine(root))
    assert (result.state, "no I2C bus 1" in result.sentence) == (State.WARNING, True)


def test_a_camera_that_gives_a_frame(root: Path, clips: Path) -> None:
    playing = changed(machine(root), camera__kind="file", camera__file=str(clips / "red.mp4"))
    result = check("camera", playing)
    assert (result.state, "Frames of" in result.sentence) == (State.OK, True)
    result = check("camera", changed(playing, camera__file=str(clips / "none.mp4")))
    assert (result.state, bool(result.remedy)) == (State.FAILURE, True)


def test_parts_in_use_by_the_daemon_are_not_touched(root: Path) -> None:
    running = machine(root, systemctl=SERVICE.format("active", "Ready", 0))
    for part in HARDWARE:
        result = check(part, running)
        assert (result.state, "daemon is using it" in result.sentence) == (State.ABSENT, True)
        assert "systemctl stop truelight" in result.remedy


def test_a_daemon_in_a_terminal_is_noticed_by_its_lock(root: Path, pins: MockFactory) -> None:
    write(root / "store/lock", "")
    assert check("lamps", machine(root)).state is State.OK
    with (root / "store/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = check("lamps", machine(root))
    assert (result.state, "daemon is using it" in result.sentence) == (State.ABSENT, True)


def test_a_laptop_lacks_nothing(tmp_path: Path) -> None:
    assert {check(part, machine(tmp_path)).state for part in HARDWARE} == {State.ABSENT}


def test_a_missing_part_that_was_set_up_fails(tmp_path: Path, clips: Path) -> None:
    laptop = changed(machine(tmp_path), camera__kind="file", camera__file=str(clips / "no.mp4"))
    assert check("camera", laptop).state is State.FAILURE


def test_a_part_that_is_switched_off_is_not_missed(root: Path) -> None:
    unseen = changed(machine(root), panel__kind="none", camera__kind="none")
    for part in HARDWARE:
        result = check(part, unseen)
        assert (result.state, "Disabled" in result.sentence) == (State.ABSENT, True)
