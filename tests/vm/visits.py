"""Visits of sticks beside those of each file system: a fast disk, and what the display shows."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

from machine import Machine
from plugging import STICKS, empty_stick, plugged, sums, verdict, wait_for_report

FORMATS = {  # how each is made, on the whole stick or on a partition
    "vfat": ("sda1", "mkfs.vfat -n 'MY STICK'", "fsck.vfat -n"),
    "exfat": ("sda", "mkfs.exfat -L 'MY STICK'", "fsck.exfat -n"),
    "ntfs": ("sda", "mkfs.ntfs -q -F -f -L 'MY STICK'", "ntfsfix --no-action"),
    "ext4": ("sda", "mkfs.ext4 -q -L 'MY STICK'", "e2fsck -fn"),
}
DRIVERS = {"vfat": "vfat", "exfat": "exfat", "ntfs": "ntfs3", "ext4": "ext4"}
DISPLAY = Path(__file__).with_name("display.py")


def fill(machine: Machine, name: str, make: str, driver: str, clip: str) -> None:
    """Format a stick that is in, and put a clip and another file on it."""
    machine.ask(
        f"{make} /dev/{name}; mount -i -t {driver} /dev/{name} /mnt; mkdir /mnt/album;"
        f" cp /var/tmp/clips/{clip} /mnt/album/Käthe-{clip}; echo 'Dear all' >/mnt/letter.txt;"
        " umount /mnt"
    )


def try_uas(machine: Machine, image: Path) -> None:
    """A fast disk, which speaks UAS: used like a stick, and pulled out like one."""
    empty_stick(image, partitioned=False)
    with plugged(machine, image, "sda", uas=True):
        drivers = machine.ask("ls /sys/bus/usb/drivers/uas /sys/bus/usb/drivers/usb-storage")
        fill(machine, "sda", "mkfs.ext4 -q -L 'MY DISK'", "ext4", "broken.mp4")
    before, _, after = drivers.partition("/sys/bus/usb/drivers/usb-storage:")
    assert ":1.0" in before, drivers
    assert ":1.0" not in after, drivers
    with plugged(machine, image, "sda", uas=True) as facts:
        assert (facts["name"], facts["error"]) == ("MY DISK", None), facts
        first = sums(machine, "sda")
        wait_for_report(machine, "sda")
        assert sums(machine, "sda") == first
        print(f"uas: mounted {facts['seconds']:.1f} s after plugging in, {verdict(machine)},")
        print("    the report is on it, and nothing else is changed", flush=True)
    failed = machine.ask("systemctl list-units --failed --plain --no-legend 'truelight*'")
    assert failed == "", failed
    print("uas: pulled out, nothing is left")


def try_screens(machine: Machine, image: Path, kept: Path) -> None:
    """What the display shows of a stick and of a keyboard, kept in a file for display.py."""
    packages = machine.ask("echo /opt/truelight/.venv/lib/python3*/site-packages")
    put(machine, DISPLAY.read_bytes(), f"{packages}/display_kept.py")
    hook = b'import sys; sys.orig_argv[-1:] == ["run"] and __import__("display_kept")'
    put(machine, hook, f"{packages}/display.pth")
    machine.ask(
        "sed -i '/^panel:/,+1d' /etc/truelight/truelight.yaml; systemctl restart truelight;"
        " while [ ! -s /var/lib/truelight/display.hex ]; do sleep 0.5; done"
    )
    empty_stick(image, partitioned=True)
    with plugged(machine, image, "sda1"):
        fill(machine, "sda1", "mkfs.vfat -n 'MY STICK'", "vfat", "photograph.jpg")
    with plugged(machine, image, "sda1"):
        wait_for_report(machine, "sda1")
        print(f"screens: {verdict(machine)}", flush=True)
        machine.ask("sleep 5")
    machine.add("usb-kbd,port=1", "intruder")
    machine.ask(f"while ! ls {STICKS}/usb-*.json; do sleep 0.2; done; sleep 5")
    machine.remove("intruder")
    machine.ask("sleep 3")
    shown = machine.ask("gzip -c /var/lib/truelight/display.hex | base64 -w 0")
    kept.write_bytes(gzip.decompress(base64.b64decode(shown)))
    print(f"screens: {kept.read_text().count(chr(10))} messages to the display are kept")


def put(machine: Machine, content: bytes, path: str) -> None:
    """Write a file in the machine."""
    machine.ask(f"echo {base64.b64encode(content).decode()} | base64 -d >{path}")
