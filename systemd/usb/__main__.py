"""What may be plugged into the box: storage and hubs; nothing that types or has a network.

    guard         devices that are plugged in from now on are not used until they are judged;
                  those that are in stay, and controllers that come later are guarded too
    open          the contrary: everything is used
    judge NAME    use the device, as 1-1.2, if it is storage or a hub
    forget NAME   it was pulled out

Started by truelight-usb.service, and by udev for each device, as `python3 -IB FOLDER`. It reads
what strangers' devices say of themselves, so it stands alone: the system's Python with its
standard library.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import time
from pathlib import Path

NAME = re.compile(r"\d{1,3}-\d{1,3}(\.\d{1,3}){0,6}")
MOST_BYTES = 1 << 16  # of the descriptors
INTERFACE = 4  # the type of its descriptor, in the second byte
STORAGE, HUB = 0x08, 0x09
SCSI = 0x06
BULK_ONLY, UAS = 0x50, 0x62
KINDS = {
    0x01: "sound", 0x02: "modem or network", 0x03: "keyboard or mouse", 0x06: "camera or phone",
    0x07: "printer", 0x0A: "modem or network", 0x0B: "smart card", 0x0E: "camera",
    0xE0: "wireless", 0xEF: "unknown", 0xFF: "unknown",
}  # fmt: skip

Interface = tuple[int, int, int]


def interfaces(descriptors: bytes) -> list[Interface]:
    """Class, subclass and protocol of each interface, of all configurations."""
    found, at = [], 0
    while at + 1 < len(descriptors):
        length, kind = descriptors[at], descriptors[at + 1]
        if length < 2:
            break
        if kind == INTERFACE and length >= 9 and at + 8 <= len(descriptors):
            found.append((descriptors[at + 5], descriptors[at + 6], descriptors[at + 7]))
        at += length
    return found


def is_allowed(interface: Interface) -> bool:
    """Whether it is a hub, or storage as sticks and card readers are."""
    kind, subclass, protocol = interface
    return kind == HUB or (kind == STORAGE and subclass == SCSI and protocol in (BULK_ONLY, UAS))


def wants_upkeep(settings: Path) -> bool:
    """Whether the settings have `usb: upkeep: true`, written over two lines or as {upkeep: true}.

    Any other way of writing it counts as false.
    """
    try:
        text = settings.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    lines = [line for raw in text.splitlines() if (line := raw.partition("#")[0].rstrip())]
    section = ""
    for line in lines:
        if re.fullmatch(r"usb:\s*\{\s*upkeep:\s*true\s*\}", line):
            return True
        if not line.startswith(" "):
            section = line
        elif section == "usb:" and re.fullmatch(r"\s+upkeep:\s*true", line):
            return True
    return False


class Port:
    """The USB devices of a machine."""

    def __init__(self, sys_folder: Path, run: Path, settings: Path) -> None:
        self._devices = sys_folder / "bus" / "usb" / "devices"
        self._of_controllers = sys_folder / "module/usbcore/parameters/authorized_default"
        self._run = run / "sticks"
        self._settings = settings

    def guard(self) -> None:
        """Judge what comes from now on."""
        value = "1" if wants_upkeep(self._settings) else "0"
        self._set_default(value)
        log("USB: every device is used (usb.upkeep)" if value == "1" else "USB: storage and hubs")

    def open(self) -> None:
        """Use everything."""
        self._set_default("1")
        for device in self._devices.glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if NAME.fullmatch(device.name) and read(device / "authorized") == "0":
                    (device / "authorized").write_text("1")
                    self.forget(device.name)

    def judge(self, name: str) -> None:
        """Use a device that is not used yet, if it is allowed; if not, tell the daemon."""
        device = self._devices / name
        with (device / "descriptors").open("rb") as file:
            found = interfaces(file.read(MOST_BYTES))
        others = sorted({KINDS.get(each[0], "unknown") for each in found if not is_allowed(each)})
        if found and not others:
            (device / "authorized").write_text("1")
            return
        what = ", ".join(others) or "unknown"
        log(f"USB: {name} is refused: {what}; {read(device / 'idVendor')}:"
            f"{read(device / 'idProduct')}")  # fmt: skip
        facts = {
            "name": "USB device",
            "error": f"USB device refused: {what}.",
            "remedy": "Only USB sticks may be plugged in.",
            "plugged": time.monotonic_ns(),
        }
        part = self._run / f".usb-{name}.part"
        part.write_text(json.dumps(facts), encoding="utf-8")
        part.replace(self._run / f"usb-{name}.json")

    def forget(self, name: str) -> None:
        """The device was pulled out, or is used after all."""
        (self._run / f"usb-{name}.json").unlink(missing_ok=True)

    def _set_default(self, value: str) -> None:
        if not self._of_controllers.exists() and not self._devices.exists():
            log("USB: this kernel has none (usbcore is missing), so there is nothing to guard")
            return
        # First of what comes while this runs, or the driver's module is loaded later.
        self._of_controllers.write_text(value)
        for hub in self._devices.glob("usb*"):
            (hub / "authorized_default").write_text(value)


def read(file: Path) -> str:
    """A value of /sys; empty if there is none."""
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()[:16]
    except OSError:
        return ""


def log(text: str) -> None:
    """Write a line into the journal."""
    sys.stderr.write(ascii(text)[1:-1] + "\n")


def main() -> None:
    """Parse and do."""
    os.umask(0o022)
    parser = argparse.ArgumentParser(prog="truelight-usb", description=__doc__.split("\n")[0])
    parser.add_argument("verb", choices=("guard", "open", "judge", "forget"))
    parser.add_argument("name", nargs="?", default="", help="of a device, as in 1-1.2")
    parser.add_argument("--sys", type=Path, default=Path("/sys"))
    parser.add_argument("--run", type=Path, default=Path("/run/truelight"))
    parser.add_argument("--settings", type=Path, default=Path("/etc/truelight/truelight.yaml"))
    given = parser.parse_args()
    port = Port(given.sys, given.run, given.settings)
    if given.verb in ("guard", "open"):
        getattr(port, given.verb)()
    elif NAME.fullmatch(given.name):
        getattr(port, given.verb)(given.name)
    else:
        parser.error("NAME is not a device's")


main()
