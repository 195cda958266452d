"""How the box is: temperature, power supply, room on the disk.

Reading and judging are apart: `read` asks the machine, `diagnose` is pure.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import threading
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Final

from edge.box.views import Kind, Trouble
from edge.settings import Settings

THERMAL: Final = Path("/sys/class/thermal")
VCGENCMD: Final = "vcgencmd"

_INTERVAL = 5.0  # seconds between two readings
_PATIENCE = 2.0  # seconds that vcgencmd may take
_COOLER = 5.0  # degrees below "hot" at which it is hot no more
_ROOMIER = 1.1  # times the least room at which the disk is full no more
_LASTING = 6  # readings for which a dip of the voltage is told of

_log = logging.getLogger("truelight")


class Throttled(IntFlag):
    """What the Pi's firmware says of its power and heat; `WAS_` is since it was switched on."""

    UNDER_VOLTAGE = 1 << 0
    CAPPED = 1 << 1
    THROTTLED = 1 << 2
    SOFT_LIMIT = 1 << 3
    WAS_UNDER_VOLTAGE = 1 << 16
    WAS_CAPPED = 1 << 17
    WAS_THROTTLED = 1 << 18
    WAS_SOFT_LIMIT = 1 << 19


THROTTLED_WORDS: Final = {
    Throttled.UNDER_VOLTAGE: "under-voltage now",
    Throttled.CAPPED: "clock capped now",
    Throttled.THROTTLED: "throttled now",
    Throttled.SOFT_LIMIT: "soft temperature limit now",
    Throttled.WAS_UNDER_VOLTAGE: "under-voltage has occurred",
    Throttled.WAS_CAPPED: "clock was capped",
    Throttled.WAS_THROTTLED: "was throttled",
    Throttled.WAS_SOFT_LIMIT: "soft temperature limit was reached",
}


@dataclass(frozen=True)
class Reading:
    """What was read at one time; None where this machine cannot tell."""

    celsius: float | None = None
    throttled: Throttled | None = None
    free_megabytes: float | None = None


# ---- Judging


def decode_throttled(text: str) -> Throttled | None:
    """The bits in what `vcgencmd get_throttled` prints, as `throttled=0x50005`; None if none."""
    found = re.fullmatch(r"throttled=0x([0-9a-fA-F]{1,8})", text.strip())
    if not found:
        return None
    known = Throttled(0)
    for bit in Throttled:
        known |= bit
    return Throttled(int(found[1], 16)) & known


def throttled_words(bits: Throttled) -> tuple[str, ...]:
    """The bits in words, those of now first."""
    return tuple(words for bit, words in THROTTLED_WORDS.items() if bit in bits)


def diagnose(
    readings: Sequence[Reading], settings: Settings, standing: Collection[Kind] = ()
) -> tuple[Trouble, ...]:
    """What is wrong, by the latest of `readings` (oldest first, at least one).

    What is in `standing` already stays until it is clearly over, so that nothing flickers; nor do
    figures, which are for the log and the doctor.
    """
    now, found = readings[-1], []
    bits = now.throttled or Throttled(0)
    cool = settings.health.hot - (_COOLER if Kind.TOO_HOT in standing else 0.0)
    hot = now.celsius is not None and now.celsius >= cool
    if hot or bits & (Throttled.THROTTLED | Throttled.UNDER_VOLTAGE) == Throttled.THROTTLED:
        found.append(Trouble(Kind.TOO_HOT, "The box is too hot", "Give it air"))
    recent = [reading.throttled or Throttled(0) for reading in readings[-_LASTING:]]
    if any(Throttled.UNDER_VOLTAGE in each for each in recent):
        found.append(Trouble(Kind.UNDER_VOLTAGE, "Power is too weak", "Use the Pi's supply"))
    least = settings.store.free_megabytes * (_ROOMIER if Kind.DISK_FULL in standing else 1.0)
    if now.free_megabytes is not None and now.free_megabytes < least:
        found.append(Trouble(Kind.DISK_FULL, "The disk is full", "Delete recordings"))
    return tuple(found)


# ---- Reading


def read(store: Path) -> Reading:
    """Ask the machine; takes up to two seconds where its firmware does not answer."""
    return Reading(read_celsius(), read_throttled(), read_free_megabytes(store))


def read_celsius(folder: Path = THERMAL) -> float | None:
    """The hottest of the machine's thermal zones, degrees Celsius."""
    found = []
    for zone in folder.glob("thermal_zone*/temp"):
        try:
            found.append(int(zone.read_text(encoding="ascii")) / 1000)
        except (OSError, ValueError):
            continue  # a sensor that sleeps
    return max(found, default=None)


def read_throttled(command: str = VCGENCMD) -> Throttled | None:
    """What the firmware says; None on what is no Pi, and where it does not answer in time."""
    try:
        process = subprocess.Popen(
            [command, "get_throttled"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:
        return None
    try:
        said, _ = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()  # and not waited for: what hangs in the kernel cannot be killed
        return None
    return decode_throttled(said)


def read_free_megabytes(folder: Path) -> float | None:
    """Room left for this user on the disk that holds `folder`, which need not exist yet."""
    for place in (folder, *folder.parents):
        try:
            status = os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return status.f_bavail * status.f_frsize / 1e6
    return None


class HealthWatch:
    """Reads again and again, in a thread of its own; `troubles` is what stands now."""

    def __init__(self, settings: Settings, interval: float = _INTERVAL) -> None:
        self.settings = settings
        self.troubles: tuple[Trouble, ...] = ()
        self._interval = interval
        self._readings: deque[Reading] = deque(maxlen=_LASTING)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; one that hangs at the firmware is not waited for."""
        self._closed.set()
        self._thread.join(0.5)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._readings.append(read(self.settings.store_folder))
            standing = {trouble.kind for trouble in self.troubles}
            troubles = diagnose(tuple(self._readings), self.settings, standing)
            for trouble in troubles:
                if trouble.kind not in standing:
                    _log.warning("%s. %s. %s", trouble.message, trouble.remedy, self._readings[-1])
            self.troubles = troubles
            self._closed.wait(self._interval)
