"""Plugs sticks into a virtual machine and pulls them out, for every kind of file system.

stick.py FOLDER [PULLS [LONGEST]]
    with vm.img, vmlinuz, small.img and share/, as tests/vm/stick.sh makes them; at the end a stick
    is pulled out so many times at a random moment, at most LONGEST seconds after it was plugged in
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import Machine

FOLDER = Path(sys.argv[1])
PULLS = int(sys.argv[2]) if len(sys.argv) > 2 else 12
LONGEST = float(sys.argv[3]) if len(sys.argv) > 3 else 25.0
SIZE = 64 * 1024**2
FIRST = 2048  # sector of the partition, where there is one

KINDS = {  # how each is made, on the whole stick or on a partition
    "vfat": ("sda1", "mkfs.vfat -n 'MY STICK'", "fsck.vfat -n"),
    "exfat": ("sda", "mkfs.exfat -L 'MY STICK'", "fsck.exfat -n"),
    "ntfs": ("sda", "mkfs.ntfs -q -F -f -L 'MY STICK'", "ntfsfix --no-action"),
    "ext4": ("sda", "mkfs.ext4 -q -L 'MY STICK'", "e2fsck -fn"),
}
DRIVERS = {"vfat": "vfat", "exfat": "exfat", "ntfs": "ntfs3", "ext4": "ext4"}
GONE_SECONDS = 180
"""For an emulated machine on a busy one; a Pi takes 1 or 2."""
SAFE = {"ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow"}


@contextmanager
def plugged(machine: Machine, image: Path, name: str, **how: bool) -> Iterator[dict[str, object]]:
    """A stick that is in; what the daemon gets to know of it. Afterwards nothing of it is left."""
    start = time.monotonic()
    machine.plug(image, **how)
    status = f"/run/truelight/sticks/{name}.json"
    output = machine.ask(
        f"for _ in $(seq 1800); do [ ! -e {status} ] || exec cat {status}; sleep 0.1; done;"
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
            machine.ask(f"for _ in $(seq 900); do cat {refused} && exit; sleep 0.1; done; exit 1")
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


def pull_at_random(machine: Machine, count: int, longest: float) -> None:
    """Pull a stick out while it is mounted, searched, judged or written to: nothing may be left."""
    chance = random.Random(5)
    image = FOLDER / "pulled.img"
    shutil.copyfile(FOLDER / "vfat.img", image)
    machine.plug(image)
    machine.ask(
        "for _ in $(seq 900); do [ -e /dev/sda1 ] && break; sleep 0.1; done;"
        " systemctl stop truelight; umount /dev/sda1 2>/dev/null;"
        " blockdev --setrw /dev/sda /dev/sda1;"
        " mount -t vfat /dev/sda1 /mnt; rm -rf /mnt/album; mkdir /mnt/clips;"
        " cp /var/tmp/clips/*.mp4 /mnt/clips; sync; umount /mnt; systemctl start truelight"
    )
    machine.pull()
    slowest, stuck, moments = 0.0, 0, Counter[str]()
    for number in range(1, count + 1):
        machine.until("the last stick is gone", lambda: no_stick(machine), GONE_SECONDS)
        machine.plug(image)
        time.sleep(chance.uniform(0.0, longest))
        moments[machine.ask("systemctl show --value -p StatusText truelight").split()[0]] += 1
        machine.pull()
        start = time.monotonic()
        try:
            machine.until("nothing is left", lambda: no_stick(machine), GONE_SECONDS)
        except SystemExit:
            stuck += 1
            print(machine.ask("cat /proc/self/mountinfo; ls /run/truelight/sticks"), flush=True)
        slowest = max(slowest, time.monotonic() - start)
        if number % 10 == 0:
            print(f"{number} pulls, {stuck} stuck, slowest {slowest:.1f} s", flush=True)
    failed = machine.ask("systemctl list-units --failed --plain --no-legend 'truelight*'")
    restarts = machine.ask("systemctl show --value -p NRestarts truelight")
    print(f"{count} pulls at random moments ({dict(moments)}): {stuck} stuck mounts,")
    print(
        f"    nothing left after {slowest:.1f} s at most; restarts {restarts}, failed: {failed!r}"
    )
    assert (stuck, restarts, failed) == (0, "0", "")
    machine.ask("touch /var/tmp/mark; sleep 3")  # times on a stick are of two seconds
    with plugged(machine, image, "sda1"):
        newer = "find /run/truelight/sticks/sda1/TRUELIGHT-REPORT.html -newer /var/tmp/mark"
        machine.ask(f'while [ -z "$({newer} 2>/dev/null)" ]; do sleep 0.2; done', 600)
    print("    the next stick is judged and gets its report")


def no_stick(machine: Machine) -> bool:
    """Whether nothing of a stick is left."""
    return not machine.ask(
        "ls -d /sys/block/sd? 2>/dev/null; ls /run/truelight/sticks;"
        " grep /run/truelight/sticks /proc/self/mountinfo || true"
    )


def main() -> None:
    machine = Machine(FOLDER)
    try:
        start = time.monotonic()
        machine.booted("while ! systemctl is-active -q truelight; do sleep 0.2; done")
        print(f"booted within {time.monotonic() - start:.0f} s", flush=True)
        try_intruders(machine)
        for kind in KINDS:
            try_kind(machine, kind)
        pull_at_random(machine, PULLS, LONGEST)
    finally:
        machine.end()


main()
