"""Plugs sticks into a virtual machine and pulls them out, for every kind of file system.

stick.py FOLDER    with vm.img, vmlinuz, small.img and share/, as tests/vm/stick.sh makes them
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import Machine

FOLDER = Path(sys.argv[1])
SIZE = 64 * 1024**2
FIRST = 2048  # sector of the partition, where there is one

KINDS = {  # how each is made, on the whole stick or on a partition
    "vfat": ("sda1", "mkfs.vfat -n 'MY STICK'", "fsck.vfat -n"),
    "exfat": ("sda", "mkfs.exfat -L 'MY STICK'", "fsck.exfat -n"),
    "ntfs": ("sda", "mkfs.ntfs -q -F -f -L 'MY STICK'", "ntfsfix --no-action"),
    "ext4": ("sda", "mkfs.ext4 -q -L 'MY STICK'", "e2fsck -fn"),
}
DRIVERS = {"vfat": "vfat", "exfat": "exfat", "ntfs": "ntfs3", "ext4": "ext4"}
SAFE = {"ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow"}


@contextmanager
def plugged(machine: Machine, image: Path, name: str, **how: bool) -> Iterator[dict[str, object]]:
    """A stick that is in; what the daemon gets to know of it. Afterwards nothing of it is left."""
    start = time.monotonic()
    machine.plug(image, **how)
    status = f"/run/truelight/sticks/{name}.json"
    output = machine.ask(
        f"for _ in $(seq 900); do [ ! -e {status} ] || exec cat {status}; sleep 0.1; done;"
        " journalctl --lines 60; udevadm info /dev/sda; exit 1"
    )
    facts = json.loads(output)
    facts["seconds"] = time.monotonic() - start
    yield facts
    machine.pull()
    machine.ask(
        'while [ -e /sys/block/sda ] || [ -n "$(ls /run/truelight/sticks)" ]; do sleep 0.1; done'
    )
    assert "/run/truelight" not in machine.ask("cat /proc/self/mountinfo")


def sha256(image: Path) -> str:
    with image.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(machine: Machine, name: str) -> list[str]:
    """Content, times and size of all that people have on it."""
    return machine.ask(
        f"cd /run/truelight/sticks/{name}; find . -type f ! -iname 'truelight-report.*' -print0 |"
        ' sort -z | xargs -0 -I{} sh -c \'sha256sum "{}"; stat -c "%y %s" "{}"\''
    ).splitlines()


def try_kind(machine: Machine, kind: str) -> None:
    name, make, check = KINDS[kind]
    image = FOLDER / f"{kind}.img"
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(SIZE)
        if name != "sda":
            file.seek(446)
            no_place = b"\xfe\xff\xff"  # in cylinders and heads
            where = FIRST, SIZE // 512 - FIRST
            file.write(struct.pack("<B3sB3sII", 0, no_place, 0x0C, no_place, *where))
            file.seek(510)
            file.write(b"\x55\xaa")
    with plugged(machine, image, name) as facts:
        assert facts["error"] == "The stick is empty or damaged.", facts
        print(f"{kind}: before it is formatted, {facts['error']}", flush=True)
        machine.ask(
            f"{make} /dev/{name}; mount -i -t {DRIVERS[kind]} /dev/{name} /mnt;"
            " mkdir /mnt/album; cp /var/tmp/clips/broken.mp4 /mnt/album/Käthe.mp4;"
            " echo 'Dear all' >/mnt/letter.txt; umount /mnt"
        )
    before = sha256(image)
    machine.ask("systemctl stop truelight")
    with plugged(machine, image, name) as facts:
        assert (facts["filesystem"], facts["name"], facts["error"]) == (kind, "MY STICK", None), (
            facts
        )
        options = machine.ask(f"grep sticks/{name} /proc/self/mountinfo").split()
        assert set(options[5].split(",")) >= SAFE, options
        assert DRIVERS[kind] in options, options
        first = sums(machine, name)
        assert any("Käthe" in line for line in first), first
        print(f"{kind}: mounted {facts['seconds']:.1f} s after plugging in:", " ".join(options[5:]))
    assert sha256(image) == before
    print(f"{kind}: without a report no bit of it changes", flush=True)
    machine.ask("systemctl start truelight")
    with plugged(machine, image, name):
        page = f"/run/truelight/sticks/{name}/TRUELIGHT-REPORT.html"
        machine.ask(f"while [ ! -e {page} ]; do sleep 0.1; done")
        machine.ask(
            f"while systemctl is-active -q truelight-report@{name}.service; do sleep 0.1; done"
        )
        options = machine.ask(f"grep sticks/{name} /proc/self/mountinfo").split()
        assert set(options[5].split(",")) >= SAFE, options
        assert "ro" in options[-1].split(","), options
    machine.ask("systemctl stop truelight")
    with plugged(machine, image, name):
        assert sums(machine, name) == first
        listed = machine.ask(
            f"cd /run/truelight/sticks/{name}; find . -type f | grep -v System | sort"
        )
        print(f"{kind}: after the report, plugged in again: {listed.split()}")
        machine.ask(f"{check} /dev/{name}")
    before = sha256(image)
    machine.ask("systemctl start truelight; journalctl --rotate; journalctl --vacuum-time=1s")
    with plugged(machine, image, name, protected=True):
        machine.ask("while ! journalctl | grep 'write-protected. The report'; do sleep 0.2; done")
    assert sha256(image) == before
    print(f"{kind}: write-protected, it is judged and the report is kept")


def try_intruders(machine: Machine) -> None:
    """A keyboard and a network card that are plugged in are refused, and work for upkeep."""
    used = "cat /proc/bus/input/devices; ls /sys/class/net"
    before = machine.ask(used)
    for device in ("usb-kbd", "usb-net"):
        machine.add(device, "intruder")
        refused = "/run/truelight/sticks/usb-*.json"
        facts = json.loads(
            machine.ask(f"for _ in $(seq 300); do cat {refused} && exit; sleep 0.1; done; exit 1")
        )
        assert facts["error"].startswith("USB device refused"), facts
        assert machine.ask(used) == before
        machine.remove("intruder")
        machine.ask(f"while ls {refused}; do sleep 0.1; done")
        print(f"{device}: {facts['error']}", flush=True)
    machine.ask("systemctl stop truelight-usb")
    machine.add("usb-kbd", "upkeep")
    machine.ask("while ! grep 'QEMU USB Keyboard' /proc/bus/input/devices; do sleep 0.1; done")
    machine.remove("upkeep")
    machine.ask("systemctl start truelight-usb")


def main() -> None:
    machine = Machine(FOLDER)
    try:
        start = time.monotonic()
        machine.ask("while ! systemctl is-active -q truelight; do sleep 0.2; done", 400)
        print(f"booted within {time.monotonic() - start:.0f} s", flush=True)
        try_intruders(machine)
        for kind in KINDS:
            try_kind(machine, kind)
    finally:
        machine.end()


main()
