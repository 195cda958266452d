"""The machine beneath: board, disk, heat, power, clock."""

from __future__ import annotations

from edge.box.health import (
    VCGENCMD,
    Throttled,
    decode_throttled,
    read_celsius,
    read_free_megabytes,
    throttled_words,
)
from edge.doctor.context import Check, Patient, State

SUPPLY = "Use the Pi's own power supply, and a short cable."
_WARM = 10.0
"""Degrees below "hot" from which on it is worth a word."""
_EARLIEST_YEAR = 2026
_NOW = Throttled.UNDER_VOLTAGE | Throttled.CAPPED | Throttled.THROTTLED | Throttled.SOFT_LIMIT


def check_board(patient: Patient) -> Check:
    """Which Pi this is."""
    if not patient.board:
        return Check("board", State.ABSENT, "This machine is no Raspberry Pi.")
    return Check("board", State.OK, f"{patient.board}.")


def check_disk(patient: Patient) -> Check:
    """Room for recordings and the history."""
    folder, least = patient.settings.store_folder, patient.settings.store.free_megabytes
    free = read_free_megabytes(folder)
    if free is None:
        return Check("disk", State.FAILURE, f"The disk of {folder} does not answer.")
    room = f"{free / 1000:.1f} GB" if free >= 1000 else f"{free:.0f} MB"
    sentence, remedy = f"{room} free for {folder}.", "Delete old recordings, or use a larger card."
    if free < least:
        return Check(
            "disk", State.FAILURE, f"{sentence} Below {least} nothing is recorded.", remedy
        )
    if free < 2 * least:
        return Check("disk", State.WARNING, sentence, remedy)
    return Check("disk", State.OK, sentence)


def check_temperature(patient: Patient) -> Check:
    """How hot the processor is."""
    celsius, hot = read_celsius(patient.root / "sys/class/thermal"), patient.settings.health.hot
    if celsius is None:
        return Check("temperature", State.ABSENT, "This machine has no thermometer to ask.")
    sentence, remedy = f"{celsius:.0f} °C.", "Give it air, or a heat sink with a fan."
    if celsius >= hot:
        return Check("temperature", State.FAILURE, sentence, remedy)
    if celsius >= hot - _WARM:
        return Check(
            "temperature", State.WARNING, f"{sentence} At {hot:.0f} it is too hot.", remedy
        )
    return Check("temperature", State.OK, sentence)


def check_power(patient: Patient) -> Check:
    """What the Pi's firmware has seen of its supply, and what it did about heat."""
    bits = decode_throttled(patient.ask([VCGENCMD, "get_throttled"]))
    if bits is None:
        return Check("power", State.ABSENT, "This machine does not tell how its power supply is.")
    if not bits:
        return Check("power", State.OK, "The supply has held since the machine was switched on.")
    under = bits & (Throttled.UNDER_VOLTAGE | Throttled.WAS_UNDER_VOLTAGE)
    words = ", ".join(throttled_words(bits))
    return Check(
        "power",
        State.FAILURE if bits & _NOW else State.WARNING,
        f"{words[0].upper()}{words[1:]} ({bits:#x}).",
        SUPPLY if under else "Give it air, or a heat sink with a fan.",
    )


def check_clock(patient: Patient) -> Check:
    """Whether the times in history and reports mean something."""
    now = patient.now()
    sentence = f"{now:%Y-%m-%d %H:%M} UTC"
    if now.year < _EARLIEST_YEAR:
        remedy = "Connect it to a network for a minute, or: sudo date --set '2030-01-31 12:00'"
        return Check("clock", State.FAILURE, f"{sentence} cannot be right.", remedy)
    if (patient.root / "run/systemd/timesync/synchronized").exists():
        return Check("clock", State.OK, f"{sentence}, set by the network.")
    if not patient.board or (patient.root / "dev/rtc0").exists():
        return Check("clock", State.OK, f"{sentence}, by this machine's own clock.")
    return Check(
        "clock",
        State.WARNING,
        f"{sentence}, if it is right: no network has set it, and no clock runs without power.",
        "Connect a network for a minute, if times in history and reports shall be right.",
    )
