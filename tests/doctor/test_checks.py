"""The doctor's checks in turn, and those of the machine: board, disk, temperature, power, clock."""

from datetime import UTC, datetime
from pathlib import Path

from examined import changed, check, machine, write

from edge.doctor import PARTS, run_checks
from edge.doctor.context import Context, State
from edge.settings import Settings


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
