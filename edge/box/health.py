"""The health of the machine: temperature, power supply, room on the disk.

`read` asks the machine, `diagnose` is pure.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import CONFORM, IntFlag
from pathlib import Path
from typing import Final

from edge.box.views.status import Trouble, TroubleKind
from edge.language import N_
from edge.settings import Settings

THERMAL: Final = Path("/sys/class/thermal")
VCGENCMD: Final = "vcgencmd"

_INTERVAL = 5.0  # seconds between two readings
_PATIENCE = 2.0  # seconds that vcgencmd may take
_COOLER = 5.0  # degrees below "hot" at which it is no longer too hot
_ROOMIER = 1.1  # times the least room at which the disk is no longer full
_LASTING = 6  # readings for which a dip of the voltage is shown

_log = logging.getLogger("truelight")


class Throttled(IntFlag, boundary=CONFORM):
    """What the Pi's firmware reports of power and heat; `WAS_` is since it was switched on."""

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
class HealthReading:
    """What was read at one time; None where this machine has no such sensor."""

    celsius: float | None = None
    throttled: Throttled | None = None
    free_megabytes: float | None = None


# ---- Diagnosis


def decode_throttled(text: str) -> Throttled | None:
    """The bits in what `vcgencmd get_throttled` prints, as `throttled=0x50005`; None if none."""
    found = re.fullmatch(r"throttled=0x([0-9a-fA-F]{1,8})", text.strip())
    return Throttled(int(found[1], 16)) if found else None


def throttled_words(bits: Throttled) -> tuple[str, ...]:
    """The bits in words, those of now first."""
    return tuple(words for bit, words in THROTTLED_WORDS.items() if bit in bits)


def diagnose(
    readings: Sequence[HealthReading], settings: Settings, present: Collection[TroubleKind] = ()
) -> tuple[Trouble, ...]:
    """What is wrong, by the latest of `readings` (oldest first, at least one).

    A trouble that is `present` stays until it is clearly over, so that nothing flickers.
    """
    now, found = readings[-1], []
    bits = now.throttled or Throttled(0)
    cool = settings.health.hot - (_COOLER if TroubleKind.TOO_HOT in present else 0.0)
    hot = now.celsius is not None and now.celsius >= cool
    if hot or bits & (Throttled.THROTTLED | Throttled.UNDER_VOLTAGE) == Throttled.THROTTLED:
        message = N_("Too hot: the firmware throttles.")
        if hot:
            message = N_("Too hot: {celsius} °C.").format(celsius=f"{now.celsius:.0f}")
        remedy = N_("Improve the airflow, or add a fan.")
        found.append(Trouble(TroubleKind.TOO_HOT, message, remedy))
    recent = [reading.throttled or Throttled(0) for reading in readings[-_LASTING:]]
    if any(Throttled.UNDER_VOLTAGE in each for each in recent):
        remedy = N_("Use the Pi's own supply and cable.")
        message = N_("The power supply is too weak.")
        found.append(Trouble(TroubleKind.UNDER_VOLTAGE, message, remedy))
    free, least = now.free_megabytes, settings.store.free_megabytes
    if free is not None and free < least * (_ROOMIER if TroubleKind.DISK_FULL in present else 1.0):
        message = N_("The disk is full: {free} MB left.").format(free=f"{free:.0f}")
        remedy = N_("Delete recordings; {least} MB must be free.").format(least=least)
        found.append(Trouble(TroubleKind.DISK_FULL, message, remedy))
    return tuple(found)


# ---- Reading


def read(store: Path) -> HealthReading:
    """Ask the machine; takes up to two seconds where its firmware does not answer."""
    return HealthReading(read_celsius(), read_throttled(), read_free_megabytes(store))


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
    """What the firmware reports; None if this is no Pi or it does not answer in time."""
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
        output, _ = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()  # and not waited for: what hangs in the kernel cannot be killed
        return None
    return decode_throttled(output)


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
    """Reads at an interval, in a thread of its own; `troubles` is what is wrong at present.

    A trouble keeps the figures that it began with, so that the display is steady.
    """

    def __init__(
        self,
        settings: Settings,
        interval: float = _INTERVAL,
        read: Callable[[Path], HealthReading] = read,
    ) -> None:
        self.settings = settings
        self.troubles: tuple[Trouble, ...] = ()
        self._interval = interval
        self._read = read
        self._readings: deque[HealthReading] = deque(maxlen=_LASTING)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; if it hangs at the firmware, it is left behind."""
        self._closed.set()
        self._thread.join(0.5)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._readings.append(self._read(self.settings.store_folder))
            present = {trouble.kind: trouble for trouble in self.troubles}
            found = diagnose(tuple(self._readings), self.settings, present)
            for trouble in found:
                if trouble.kind not in present:
                    _log.warning("%s %s %s", trouble.message, trouble.remedy, self._readings[-1])
            self.troubles = tuple(present.get(trouble.kind, trouble) for trouble in found)
            self._closed.wait(self._interval)
