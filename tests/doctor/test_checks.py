"""The doctor's checks: what each says about a part that works and one that does not."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gpiozero
import pytest
import smbus2
from gpiozero.pins.mock import MockFactory, MockPin

from edge.doctor import PARTS, Operator, hardware, run_checks
from edge.doctor.context import Context, Result, State
from edge.history.writer import History
from edge.scan.child_messages import LAYERS
from edge.scan.confinement import DECODER, MODEL, Confinement, Kind
from edge.scan.media import confinement
from edge.scan.model import process
from edge.settings import Settings, load_settings

HARDWARE = ("lamps", "display", "button", "camera")
SERVICE = "LoadState=loaded\nActiveState={}\nSubState=running\nStatusText={}\nNRestarts={}"


class Somebody(Operator):
    """Sees and does what a test says."""

    def __init__(self, sees: bool = True, does: Callable[[], None] = lambda: None) -> None:
        self.sees, self.does = sees, does
        self.heard: list[str] = []

    def confirm(self, question: str) -> bool | None:
        self.heard.append(question)
        return self.sees

    def request(self, action: str) -> bool:
        self.heard.append(action)
        self.does()
        return True


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a Pi, as far as the doctor examines it."""
    write(tmp_path / "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    write(tmp_path / "dev/i2c-1", "")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def answers(**programs: str) -> Callable[[Sequence[str]], str]:
    return lambda command: programs.get(command[0], "")


def machine(root: Path, operator: Operator | None = None, **programs: str) -> Context:
    settings = load_settings().changed("test", {"store.folder": str(root / "store")})
    return Context(
        settings,
        root,
        operator or Operator(),
        answers(**programs),
        pause=lambda seconds: None,
        now=lambda: datetime(2030, 1, 31, tzinfo=UTC),
    )


def changed(old: Context, **values: object) -> Context:
    """The same machine with settings of its own; `a__b` is a.b."""
    settings = old.settings.changed(
        "/etc/truelight/truelight.yaml, line 1",
        {path.replace("__", "."): value for path, value in values.items()},
    )
    return Context(settings, old.root, old.operator, old.run_program, old.pause, old.now)


def check(part: str, context: Context) -> Result:
    return dict(run_checks(context, [part]))[part]


def test_every_part_is_checked_in_turn(root: Path) -> None:
    assert [part for part, _ in run_checks(machine(root))] == list(PARTS)
    some = run_checks(machine(root), ["clock", "disk"])
    assert [part for part, _ in some] == ["disk", "clock"]


# ---- The machine


def test_the_board_is_named(root: Path) -> None:
    assert check("board", machine(root)).sentence == "Raspberry Pi 5 Model B Rev 1.0."
    write(root / "proc/device-tree/model", "Another Board\0")
    assert check("board", machine(root)).state is State.ABSENT


def test_room_on_the_disk(root: Path) -> None:
    assert check("disk", machine(root)).state is State.OK
    full = check("disk", changed(machine(root), store__free_megabytes=1_000_000))
    assert full.state is State.FAILURE
    assert full.remedy


def test_the_temperature(root: Path) -> None:
    found = []
    for milli in ("48200", "75000", "83000"):
        write(root / "sys/class/thermal/thermal_zone0/temp", milli)
        found.append(check("temperature", machine(root)))
    assert [result.state for result in found] == [State.OK, State.WARNING, State.FAILURE]
    assert [result.sentence for result in found] == [
        "48 °C.",
        "75 °C. The limit is 80 °C.",
        "83 °C. The limit is 80 °C.",
    ]


def test_the_bits_of_the_power_supply_in_words(root: Path) -> None:
    for bits, state, sentence in (
        ("0x0", State.OK, "No under-voltage"),
        ("0x50000", State.WARNING, "Under-voltage has occurred, was throttled (0x50000)."),
        ("0x50005", State.FAILURE, "Under-voltage now, throttled now"),
        ("0x80000", State.WARNING, "Soft temperature limit was reached"),
    ):
        result = check("power", machine(root, vcgencmd=f"throttled={bits}"))
        assert (result.state, sentence in result.sentence) == (state, True)
        assert bool(result.remedy) == (state is not State.OK)


def test_a_clock_that_may_be_wrong(root: Path) -> None:
    doubtful = machine(root)
    assert check("clock", doubtful).state is State.WARNING
    reset = Context(Settings(), root, now=lambda: datetime(1970, 1, 1, tzinfo=UTC))
    assert check("clock", reset).state is State.FAILURE
    write(root / "dev/rtc0", "")
    assert check("clock", doubtful).state is State.OK
    (root / "dev/rtc0").unlink()
    write(root / "run/systemd/timesync/synchronized", "")
    assert check("clock", doubtful).sentence == "2030-01-31 00:00 UTC, set by the network."


# ---- The program


def test_the_service(root: Path) -> None:
    assert check("service", machine(root)).state is State.ABSENT
    for service, result in (
        (SERVICE.format("active", "Ready", 0), Result(State.OK, "Running. Ready")),
        (SERVICE.format("activating", "", 0), Result(State.OK, "Starting.")),
        (
            SERVICE.format("active", "Ready", 3),
            Result(
                State.WARNING, "Running, restarted 3 times. Ready", "journalctl -b -u truelight"
            ),
        ),
        (
            SERVICE.format("failed", "", 5),
            Result(State.FAILURE, "Failed.", "journalctl -b -u truelight"),
        ),
    ):
        assert check("service", machine(root, systemctl=service)) == result


@pytest.fixture
def installed(root: Path) -> Path:
    """A root with everything that USB sticks need."""
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


def test_usb_sticks_are_read(installed: Path) -> None:
    expected = Result(State.OK, "Installed, for vfat, exfat, ntfs3, ext4.")
    assert check("sticks", machine(installed)) == expected


def test_ports_that_nobody_guards_are_named(installed: Path) -> None:
    hub = installed / "sys/bus/usb/devices/usb1"
    hub.mkdir(parents=True)
    for value, state in (("1", State.WARNING), ("0", State.OK)):
        (hub / "authorized_default").write_text(f"{value}\n")
        assert check("sticks", machine(installed)).state is state


@pytest.mark.parametrize(
    ("file", "text", "state", "sentence"),
    [
        ("opt/truelight/.placed", None, State.ABSENT, "Not installed"),
        ("etc/udev/rules.d/99-truelight.rules", None, State.FAILURE, "99-truelight.rules."),
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\n", State.FAILURE, "no user truelight"),
        ("etc/group", "gpio:x:1:truelight\n", State.FAILURE, "not in the groups i2c, video"),
        ("lib/modules/6.12.1/modules.builtin", "", State.WARNING, "not support ntfs3"),
    ],
)
def test_what_usb_sticks_lack(
    installed: Path, file: str, text: str | None, state: State, sentence: str
) -> None:
    if text is None:
        (installed / file).unlink()
    else:
        write(installed / file, text)
    result = check("sticks", machine(installed))
    assert (result.state, sentence in result.sentence) == (state, True), result
    assert result.remedy


def test_the_model_answers_its_golden_vector(root: Path, bundle: Path) -> None:
    well = changed(machine(root), model__bundle=str(bundle))
    assert check("model", well).state is State.OK
    gone = check("model", changed(well, model__bundle=str(root / "none")))
    assert (gone.state, str(root / "none") in gone.sentence) == (State.FAILURE, True)


def test_the_detectors_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("detector", machine(root)).state is State.OK
    monkeypatch.setenv("TRUELIGHT_MODELS", str(root))
    assert check("detector", machine(root)).state is State.FAILURE


def test_the_history(root: Path) -> None:
    assert check("history", machine(root)).state is State.ABSENT
    store = root / "store"
    store.mkdir()
    with History(store, 10, 10) as history:
        history.open_visit("stick", "HOLIDAY")
    assert check("history", machine(root)).sentence == f"0 findings in {store}."
    for file in store.iterdir():
        file.write_bytes(b"no database at all" * 100)
    assert check("history", machine(root)).state is State.FAILURE


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
        assert (result.state, "Not wanted" in result.sentence) == (State.ABSENT, True)


def test_the_sandbox(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = Result(State.OK, "The decoder process is confined by every layer.")
    assert check("sandbox", machine(root)) == complete
    for held, state in (
        (("limits", "no_new_privs", "seccomp"), State.WARNING),
        (("limits", "no_new_privs", "landlock_files"), State.FAILURE),
        ((), State.FAILURE),
    ):
        found = Confinement(held, own_user=False, unit_expected=False)
        monkeypatch.setattr(confinement, "try_confinement", lambda found=found: found)
        result = check("sandbox", machine(root))
        assert result.state is state
        assert "(Landlock, Linux 6.7)" in result.sentence
        assert "libseccomp2" in result.remedy


@pytest.mark.parametrize("kind", [DECODER, MODEL])
@pytest.mark.parametrize(
    ("layers", "own_user", "state", "remedy"),
    [
        (tuple(LAYERS), True, State.OK, ""),
        (tuple(LAYERS), False, State.WARNING, "sudo systemctl restart {socket} truelight"),
        (tuple(LAYERS)[:-1], True, State.FAILURE, "libseccomp2"),
    ],
)
def test_the_sandbox_of_a_box(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
    layers: tuple[str, ...],
    own_user: bool,
    state: State,
    remedy: str,
) -> None:
    """There the process of a model is tried as well, and both have users of their own."""
    found = {each: Confinement(tuple(LAYERS), True, True, each) for each in (DECODER, MODEL)}
    found[kind] = Confinement(layers, own_user, True, kind)
    monkeypatch.setattr(confinement, "try_confinement", lambda: found[DECODER])
    monkeypatch.setattr(process, "try_confinement", lambda: found[MODEL])
    result = check("sandbox", machine(root))
    assert result.state is state
    assert found[kind].summary in result.sentence
    assert remedy.format(socket=kind.socket) in result.remedy
    other = MODEL if kind is DECODER else DECODER
    assert (found[other].summary in result.sentence) == (state is State.OK)
