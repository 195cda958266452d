"""Troubles of the machine, from readings; and readings from a folder."""

from pathlib import Path

import pytest
from waiting import until

from edge.box.health import (
    HealthReading,
    HealthWatch,
    Throttled,
    decode_throttled,
    diagnose,
    read_celsius,
    read_free_megabytes,
    read_throttled,
    throttled_words,
)
from edge.box.views.status import TroubleKind
from edge.settings import Settings

SETTINGS = Settings().changed("test", {"health.hot": 80.0, "store.free_megabytes": 300})
WEAK, THROTTLED = Throttled.UNDER_VOLTAGE, Throttled.THROTTLED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("throttled=0x0\n", ()),
        ("throttled=0x1", ("under-voltage now",)),
        (
            "throttled=0x50005",
            ("under-voltage now", "throttled now", "under-voltage has occurred", "was throttled"),
        ),
        ("throttled=0xA", ("clock capped now", "soft temperature limit now")),
        ("throttled=0xa0000", ("clock was capped", "soft temperature limit was reached")),
        ("throttled=0x80000000", ()),  # a bit of some later firmware
    ],
)
def test_bits_in_words(text: str, words: tuple[str, ...]) -> None:
    bits = decode_throttled(text)
    assert bits is not None
    assert throttled_words(bits) == words


@pytest.mark.parametrize("text", ["", "VCHI initialization failed", "throttled=", "throttled=0xzz"])
def test_what_is_no_answer(text: str) -> None:
    assert decode_throttled(text) is None


@pytest.mark.parametrize(
    ("readings", "standing", "found"),
    [
        ([HealthReading()], [], []),
        ([HealthReading(79.9, Throttled(0), 301)], [], []),
        ([HealthReading(80.0)], [], [TroubleKind.TOO_HOT]),
        ([HealthReading(76.0)], [], []),
        ([HealthReading(76.0)], [TroubleKind.TOO_HOT], [TroubleKind.TOO_HOT]),
        ([HealthReading(74.9)], [TroubleKind.TOO_HOT], []),
        ([HealthReading(60.0, THROTTLED)], [], [TroubleKind.TOO_HOT]),
        ([HealthReading(60.0, THROTTLED | WEAK)], [], [TroubleKind.UNDER_VOLTAGE]),
        ([HealthReading(60.0, Throttled.WAS_UNDER_VOLTAGE)], [], []),
        (
            [HealthReading(60.0, WEAK)] + 5 * [HealthReading(60.0, Throttled(0))],
            [],
            [TroubleKind.UNDER_VOLTAGE],
        ),
        ([HealthReading(60.0, WEAK)] + 6 * [HealthReading(60.0, Throttled(0))], [], []),
        ([HealthReading(free_megabytes=299)], [], [TroubleKind.DISK_FULL]),
        ([HealthReading(free_megabytes=329)], [TroubleKind.DISK_FULL], [TroubleKind.DISK_FULL]),
        ([HealthReading(free_megabytes=331)], [TroubleKind.DISK_FULL], []),
        (
            [HealthReading(90.0, WEAK, 10)],
            [],
            [TroubleKind.TOO_HOT, TroubleKind.UNDER_VOLTAGE, TroubleKind.DISK_FULL],
        ),
    ],
)
def test_what_is_wrong(
    readings: list[HealthReading], standing: list[TroubleKind], found: list[TroubleKind]
) -> None:
    troubles = diagnose(readings, SETTINGS, standing)
    assert [trouble.kind for trouble in troubles] == found
    assert all(trouble.message and trouble.remedy for trouble in troubles)


def test_the_hottest_zone_counts(tmp_path: Path) -> None:
    assert read_celsius(tmp_path) is None
    for number, text in enumerate(("48312\n", "61234\n", "asleep")):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "temp").write_text(text)
    assert read_celsius(tmp_path) == pytest.approx(61.234)


def script(folder: Path, body: str) -> str:
    file = folder / "vcgencmd"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


def test_the_firmware_is_asked(tmp_path: Path) -> None:
    command = script(tmp_path, '[ "$*" = get_throttled ] && echo throttled=0x4')
    assert read_throttled(command) == Throttled.THROTTLED


def test_firmware_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    assert read_throttled(script(tmp_path, "exec sleep 60")) is None
    assert read_throttled(str(tmp_path / "missing")) is None


def test_room_is_measured_for_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    here, later = read_free_megabytes(tmp_path), read_free_megabytes(tmp_path / "a" / "b")
    assert here is not None
    assert later == pytest.approx(here, rel=0.1)


def test_the_watch_reports_present_troubles(tmp_path: Path) -> None:
    settings = Settings().changed("test", {"store.folder": str(tmp_path)})
    full = settings.changed("test", {"store.free_megabytes": 1_000_000})
    watch = HealthWatch(full, interval=0.01)
    try:
        until(lambda: TroubleKind.DISK_FULL in [trouble.kind for trouble in watch.troubles])
        watch.settings = settings.changed("test", {"store.free_megabytes": 50})
        until(lambda: TroubleKind.DISK_FULL not in [trouble.kind for trouble in watch.troubles])
    finally:
        watch.close()
