"""The doctor: what is said of each part of a Pi, well and not."""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gpiozero
import pytest
import smbus2
from gpiozero.pins.mock import MockFactory, MockPin

from edge.doctor import PARTS
from edge.doctor import hardware as parts
from edge.doctor import runner as rounds
from edge.doctor.context import Check, Nobody, Patient, Person, State
from edge.doctor.hardware import check_button, check_camera, check_display, check_lamps
from edge.doctor.machine import check_board, check_clock, check_disk, check_power, check_temperature
from edge.doctor.program import (
    check_detector,
    check_history,
    check_model,
    check_service,
    check_sticks,
)
from edge.history.writer import History
from edge.settings import Settings, load_settings

SERVICE = "LoadState=loaded\nActiveState={}\nSubState=running\nStatusText={}\nNRestarts={}"


class Somebody:
    """Sees and does what a test says."""

    def __init__(self, sees: bool = True, does: Callable[[], None] = lambda: None) -> None:
        self.sees, self.does = sees, does
        self.heard: list[str] = []

    def confirms(self, question: str) -> bool | None:
        self.heard.append(question)
        return self.sees

    def asked(self, request: str) -> bool:
        self.heard.append(request)
        self.does()
        return True


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a Pi, as far as the doctor looks at it."""
    write(tmp_path / "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    write(tmp_path / "dev/i2c-1", "")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def said(**answers: str) -> Callable[[Sequence[str]], str]:
    return lambda command: answers.get(command[0], "")


def patient(root: Path, person: Person | None = None, **answers: str) -> Patient:
    settings = load_settings().changed("test", {"store.folder": str(root / "store")})
    return Patient(
        settings,
        root,
        person or Nobody(),
        said(**answers),
        pause=lambda seconds: None,
        now=lambda: datetime(2030, 1, 31, tzinfo=UTC),
    )


def changed(old: Patient, **values: object) -> Patient:
    """The same with settings as somebody made them; `a__b` is a.b."""
    settings = old.settings.changed(
        "/etc/truelight/truelight.yaml, line 1",
        {path.replace("__", "."): value for path, value in values.items()},
    )
    return Patient(settings, old.root, old.person, old.ask, old.pause, old.now)


def test_every_part_is_looked_at_in_turn(root: Path) -> None:
    assert [check.name for check in rounds.examine(patient(root))] == list(PARTS)
    assert [check.name for check in rounds.examine(patient(root), ["clock", "disk"])] == [
        "disk",
        "clock",
    ]


def test_the_worst_part_tells_how_the_whole_is() -> None:
    def whole(*states: State) -> State:
        return rounds.worst(Check("part", state, "") for state in states)

    assert whole(State.OK, State.ABSENT) is State.OK
    assert whole(State.OK, State.WARNING) is State.WARNING
    assert whole(State.WARNING, State.FAILURE, State.OK) is State.FAILURE


# ---- The machine


def test_the_board_is_named(root: Path) -> None:
    assert check_board(patient(root)).sentence == "Raspberry Pi 5 Model B Rev 1.0."
    write(root / "proc/device-tree/model", "Another Board\0")
    assert check_board(patient(root)).state is State.ABSENT


def test_room_on_the_disk(root: Path) -> None:
    assert check_disk(patient(root)).state is State.OK
    tight = check_disk(changed(patient(root), store__free_megabytes=1_000_000))
    assert tight.state is State.FAILURE
    assert tight.remedy


def test_heat(root: Path) -> None:
    states = []
    for milli in ("48200", "75000", "83000"):
        write(root / "sys/class/thermal/thermal_zone0/temp", milli)
        states.append(check_temperature(patient(root)))
    assert [check.state for check in states] == [State.OK, State.WARNING, State.FAILURE]
    assert states[0].sentence == "48 °C."


@pytest.mark.parametrize(
    ("bits", "state", "word"),
    [
        ("0x0", State.OK, "has held"),
        ("0x50000", State.WARNING, "Under-voltage has occurred, was throttled (0x50000)."),
        ("0x50005", State.FAILURE, "Under-voltage now, throttled now"),
        ("0x80000", State.WARNING, "Soft temperature limit was reached"),
    ],
)
def test_the_bits_of_the_supply_are_put_in_words(
    root: Path, bits: str, state: State, word: str
) -> None:
    check = check_power(patient(root, vcgencmd=f"throttled={bits}"))
    assert (check.state, word in check.sentence) == (state, True)
    assert bool(check.remedy) == (state is not State.OK)


def test_a_clock_that_nobody_set(root: Path) -> None:
    doubtful = patient(root)
    assert check_clock(doubtful).state is State.WARNING
    reset = Patient(Settings(), root, now=lambda: datetime(1970, 1, 1, tzinfo=UTC))
    assert check_clock(reset).state is State.FAILURE
    write(root / "dev/rtc0", "")
    assert check_clock(doubtful).state is State.OK
    (root / "dev/rtc0").unlink()
    write(root / "run/systemd/timesync/synchronized", "")
    assert check_clock(doubtful).sentence == "2030-01-31 00:00 UTC, set by the network."


# ---- The program


def test_the_service(root: Path) -> None:
    assert check_service(patient(root)).state is State.ABSENT
    well = check_service(patient(root, systemctl=SERVICE.format("active", "Ready", 0)))
    assert (well.state, well.sentence) == (State.OK, "It runs. Ready")
    again = check_service(patient(root, systemctl=SERVICE.format("active", "Ready", 3)))
    assert (again.state, "3 times" in again.sentence) == (State.WARNING, True)
    failed = check_service(patient(root, systemctl=SERVICE.format("failed", "", 5)))
    assert (failed.state, failed.remedy) == (State.FAILURE, "journalctl -b -u truelight")


@pytest.fixture
def installed(root: Path) -> Path:
    """A root in which everything that sticks need is in place."""
    rule = root / "etc/udev/rules.d/99-truelight.rules"
    write(rule, "")
    write(root / "opt/truelight/.placed", "/etc/udev/rules.d/99-truelight.rules\n")
    write(root / "etc/passwd", "root:x:0:0::/root:/bin/sh\ntruelight:x:990:990::/:/bin/false\n")
    write(root / "etc/group", "gpio:x:1:pi,truelight\ni2c:x:2:truelight\nvideo:x:3:truelight\n")
    (root / "run/truelight/sticks").mkdir(parents=True)
    write(root / "proc/filesystems", "nodev\tproc\n\text4\n\tvfat\n")
    write(root / "proc/sys/kernel/osrelease", "6.12.1\n")
    write(root / "lib/modules/6.12.1/modules.dep", "kernel/fs/exfat/exfat.ko.xz:\n")
    write(root / "lib/modules/6.12.1/modules.builtin", "kernel/fs/ntfs3/ntfs3.ko\n")
    return root


def test_what_sticks_need(installed: Path) -> None:
    check = check_sticks(patient(installed))
    assert (check.state, check.sentence) == (
        State.OK,
        "The rules are in place, for vfat, exfat, ntfs3, ext4.",
    )


@pytest.mark.parametrize(
    ("gone", "text", "state", "word"),
    [
        ("opt/truelight/.placed", None, State.ABSENT, "Not installed"),
        ("etc/udev/rules.d/99-truelight.rules", None, State.FAILURE, "99-truelight.rules is mis"),
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\n", State.FAILURE, "no user truelight"),
        ("etc/group", "gpio:x:1:truelight\n", State.FAILURE, "not in i2c, video"),
        ("lib/modules/6.12.1/modules.builtin", "", State.WARNING, "with ntfs3"),
    ],
)
def test_what_sticks_miss(
    installed: Path, gone: str, text: str | None, state: State, word: str
) -> None:
    if text is None:
        (installed / gone).unlink()
    else:
        write(installed / gone, text)
    check = check_sticks(patient(installed))
    assert (check.state, word in check.sentence) == (state, True), check
    assert check.remedy


def test_the_model_runs_its_golden_vector(root: Path, bundle: Path) -> None:
    well = changed(patient(root), model__bundle=str(bundle))
    assert check_model(well).state is State.OK
    gone = check_model(changed(well, model__bundle=str(root / "none")))
    assert (gone.state, str(root / "none") in gone.sentence) == (State.FAILURE, True)


def test_the_detectors_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_detector(patient(root)).state is State.OK
    monkeypatch.setenv("TRUELIGHT_MODELS", str(root))
    assert check_detector(patient(root)).state is State.FAILURE


def test_the_history(root: Path) -> None:
    assert check_history(patient(root)).state is State.ABSENT
    store = root / "store"
    store.mkdir()
    with History(store, 10, 10) as history:
        history.open_visit("stick", "HOLIDAY")
    assert check_history(patient(root)).sentence == f"0 findings in {store}."
    for file in store.iterdir():
        file.write_bytes(b"no database at all" * 100)
    assert check_history(patient(root)).state is State.FAILURE


# ---- What people touch and see


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    factory = MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.reset()


def test_lamps_that_light(root: Path, pins: MockFactory) -> None:
    somebody = Somebody()
    check = check_lamps(patient(root, somebody))
    assert (check.state, check.sentence) == (State.OK, "Green and red light, at GPIO 22 and 27.")
    assert somebody.heard[-1] == "Did green and red light in turn?"
    for number in (22, 27):
        states = [bool(state.state) for state in pins.pin(number).states]
        assert states.count(True) >= 3


def test_lamps_that_do_not_light(root: Path, pins: MockFactory) -> None:
    check = check_lamps(patient(root, Somebody(sees=False)))
    assert (check.state, bool(check.remedy)) == (State.FAILURE, True)


def test_pins_that_cannot_be_reached(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "none-such")
    for check in (check_lamps(patient(root)), check_button(patient(root))):
        assert (check.state, "cannot be reached" in check.sentence) == (State.FAILURE, True)
        assert "setup.sh install" in check.remedy


def test_without_anybody_the_lamps_are_only_switched(root: Path, pins: MockFactory) -> None:
    check = check_lamps(patient(root))
    assert (check.state, "nobody" in check.sentence) == (State.OK, True)


def test_a_button_that_is_pressed(root: Path, pins: MockFactory) -> None:
    def press() -> None:
        pins.pin(17).drive_low()
        time.sleep(0.1)  # longer than contacts bounce
        pins.pin(17).drive_high()

    check = check_button(patient(root, Somebody(does=press)))
    assert (check.state, check.sentence) == (State.OK, "It was pressed, at GPIO 17.")


def test_a_button_that_is_not_pressed(
    root: Path, pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PATIENCE", 0.05)
    check = check_button(patient(root, Somebody()))
    assert (check.state, check.sentence) == (State.FAILURE, "No press was seen at GPIO 17.")
    assert check_button(patient(root)).state is State.OK


class Grounded(MockPin):
    """A pin whose wire touches ground."""

    def _change_state(self, value: bool) -> bool:
        return bool(super()._change_state(False))


def test_a_button_that_is_down_all_the_time(root: Path, pins: MockFactory) -> None:
    pins.pin_class = Grounded
    check = check_button(patient(root))
    assert (check.state, check.sentence) == (State.FAILURE, "GPIO 17 is down all the time.")


class Bus:
    """An I2C bus with a display at 0x3c."""

    def __init__(self, number: int) -> None:
        assert number == 1

    def write_i2c_block_data(self, address: int, register: int, values: list[int]) -> None:
        if address != 0x3C:
            raise OSError(121, "Remote I/O error")

    def i2c_rdwr(self, *messages: Any) -> None:
        """Take the points."""

    def close(self) -> None:
        """Nothing to close."""


def test_a_display_that_answers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smbus2, "SMBus", Bus)
    check = check_display(patient(root, Somebody()))
    assert check == Check(
        "display", State.OK, "ssd1306 at 0x3c on I2C bus 1 shows its test picture."
    )
    assert check_display(patient(root, Somebody(sees=False))).state is State.FAILURE


def test_a_display_that_is_not_there_is_a_warning(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smbus2, "SMBus", Bus)
    check = check_display(changed(patient(root), display__address=0x3D))
    assert (check.state, "No ssd1306 at 0x3d" in check.sentence) == (State.WARNING, True)
    (root / "dev/i2c-1").unlink()
    check = check_display(patient(root))
    assert (check.state, "no I2C bus 1" in check.sentence) == (State.WARNING, True)


def test_a_camera_that_gives_a_frame(root: Path, clips: Path) -> None:
    playing = changed(patient(root), camera__kind="file", camera__file=str(clips / "red.mp4"))
    check = check_camera(playing)
    assert (check.state, "It gave a frame of" in check.sentence) == (State.OK, True)
    check = check_camera(changed(playing, camera__file=str(clips / "none.mp4")))
    assert (check.state, bool(check.remedy)) == (State.FAILURE, True)


@pytest.mark.parametrize("check", [check_lamps, check_display, check_button, check_camera])
def test_what_a_running_box_has_is_left_to_it(
    root: Path, check: Callable[[Patient], Check]
) -> None:
    found = check(patient(root, systemctl=SERVICE.format("active", "Ready", 0)))
    assert (found.state, "the box runs" in found.sentence) == (State.ABSENT, True)
    assert "systemctl stop truelight" in found.remedy


def test_a_box_in_a_terminal_is_noticed_by_its_lock(root: Path, pins: MockFactory) -> None:
    write(root / "store/lock", "")
    assert check_lamps(patient(root)).state is State.OK
    with (root / "store/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = check_lamps(patient(root))
    assert (found.state, "the box runs" in found.sentence) == (State.ABSENT, True)


@pytest.mark.parametrize("check", [check_lamps, check_display, check_button, check_camera])
def test_a_laptop_lacks_nothing(tmp_path: Path, check: Callable[[Patient], Check]) -> None:
    assert check(patient(tmp_path)).state is State.ABSENT


def test_what_was_set_up_and_is_not_there_fails(tmp_path: Path, clips: Path) -> None:
    laptop = changed(patient(tmp_path), camera__kind="file", camera__file=str(clips / "no.mp4"))
    assert check_camera(laptop).state is State.FAILURE


def test_what_is_switched_off_is_not_missed(root: Path) -> None:
    unseen = changed(patient(root), panel__kind="none", camera__kind="none")
    for check in (check_lamps, check_display, check_button, check_camera):
        found = check(unseen)
        assert (found.state, "Not wanted" in found.sentence) == (State.ABSENT, True)
