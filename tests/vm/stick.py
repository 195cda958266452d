"""Plugs USB devices into a virtual machine and pulls them out: sticks of every file system, a hub,
devices that are refused, and sticks that are pulled out at random moments.

stick.py FOLDER PULLS LONGEST [PART...]
    with vm.img, vmlinuz and small.img, as tests/vm/stick.sh makes them; in the last part a stick is
    pulled out PULLS times, at most LONGEST seconds after it was plugged in

The machine boots once, its state is kept, and every part starts from there: one that fails costs
no other. Seconds are those of the machine's own clock, which an emulator's slowness does not touch.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from machine import Machine
from plugging import NOTHING_LEFT, SAYS, STICKS, plugged
from refusals import USED, try_hub, try_intruders, try_later_controller, try_upkeep

FOLDER = Path(sys.argv[1])
PULLS, LONGEST = int(sys.argv[2]), float(sys.argv[3])
SIZE = 64 * 1024**2
FIRST = 2048  # sector of the partition, where there is one
MEMORY = 1536

FORMATS = {  # how each is made, on the whole stick or on a partition
    "vfat": ("sda1", "mkfs.vfat -n 'MY STICK'", "fsck.vfat -n"),
    "exfat": ("sda", "mkfs.exfat -L 'MY STICK'", "fsck.exfat -n"),
    "ntfs": ("sda", "mkfs.ntfs -q -F -f -L 'MY STICK'", "ntfsfix --no-action"),
    "ext4": ("sda", "mkfs.ext4 -q -L 'MY STICK'", "e2fsck -fn"),
}
DRIVERS = {"vfat": "vfat", "exfat": "exfat", "ntfs": "ntfs3", "ext4": "ext4"}
SAFE = {"ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow"}
# A face takes an emulated processor half a minute: one file system has one.
CLIPS = dict.fromkeys(FORMATS, "broken.mp4") | {"vfat": "photograph.jpg"}


def sha256(image: Path) -> str:
    with image.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(machine: Machine, name: str) -> list[str]:
    """Content, times and size of all that people have on it."""
    return machine.ask(
        f"cd {STICKS}/{name}; find . -type f ! -iname 'truelight-report.*' -print0 |"
        ' sort -z | xargs -0 -I{} sh -c \'sha256sum "{}"; stat -c "%y %s" "{}"\''
    ).splitlines()


def empty_stick(kind: str) -> Path:
    """An unformatted stick, with a partition where the kind wants one."""
    image = FOLDER / f"{kind}.img"
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(SIZE)
        if FORMATS[kind][0] != "sda":
            file.seek(446)
            no_place = b"\xfe\xff\xff"  # in cylinders and heads
            where = FIRST, SIZE // 512 - FIRST
            file.write(struct.pack("<B3sB3sII", 0, no_place, 0x0C, no_place, *where))
            file.seek(510)
            file.write(b"\x55\xaa")
    return image


# ---- Parts


def at_boot(machine: Machine) -> None:
    """A keyboard, and a stick behind a hub, that are in when the machine boots."""
    image = FOLDER / "boot.img"
    shutil.rmtree(FOLDER / "boot", ignore_errors=True)
    (FOLDER / "boot").mkdir()
    (FOLDER / "boot" / "letter.txt").write_text("Dear all")
    image.write_bytes(b"")
    make = ("mke2fs", "-q", "-t", "ext4", "-L", "MY STICK", "-d", FOLDER / "boot", image, "64M")
    subprocess.run(make, check=True)
    devices = (
        *("-device", "usb-kbd,id=early,bus=xhci.0,port=1"),
        *("-device", "usb-hub,id=hub,bus=xhci.0,port=2"),
        *("-drive", f"if=none,id=stick0,file={image},format=raw"),
        *("-device", "usb-storage,id=stick0,drive=stick0,removable=on,bus=xhci.0,port=2.1"),
    )
    seconds = machine.boot(SAYS.format("MY STICK.*Safe to remove"), *devices)
    print(f"{machine.kind}: ready after {machine.ask('cat /proc/uptime').split()[0]} s,")
    print(f"    {seconds:.0f} s of this machine, {machine.seconds():.0f} s of its processor")
    assert "QEMU USB Keyboard" in machine.ask(USED)
    facts = json.loads(machine.ask(f"cat {STICKS}/sda.json"))
    assert (facts["filesystem"], facts["error"]) == ("ext4", None), facts
    print("at boot: a keyboard, a hub and a stick behind it are kept; the stick gets its report")
    for name in ("stick0", "hub", "early"):
        machine.remove(name)
    machine.ask(
        f"for _ in $(seq 300); do {NOTHING_LEFT} && break; sleep 0.2; done;"
        f" {NOTHING_LEFT}; {SAYS.format('Ready')}"
    )
    assert "QEMU USB Keyboard" not in machine.ask(USED)


def try_format(machine: Machine, kind: str) -> None:
    """A stick that is not formatted; formatted and judged, with a report; write-protected."""
    name, make, check = FORMATS[kind]
    clip = CLIPS[kind]
    image = empty_stick(kind)
    with plugged(machine, image, name) as facts:
        assert facts["error"] == "The stick is empty or damaged.", facts
        print(f"{kind}: before it is formatted: {facts['error']}", flush=True)
        machine.ask(
            f"{make} /dev/{name}; mount -i -t {DRIVERS[kind]} /dev/{name} /mnt; mkdir /mnt/album;"
            f" cp /var/tmp/clips/{clip} /mnt/album/Käthe-{clip}; echo 'Dear all' >/mnt/letter.txt;"
            " umount /mnt"
        )
    with plugged(machine, image, name) as facts:
        assert (facts["filesystem"], facts["name"], facts["error"]) == (kind, "MY STICK", None), (
            facts
        )
        options = mounted(machine, name)
        assert DRIVERS[kind] in options, options
        first = sums(machine, name)
        assert any("Käthe" in line for line in first), first
        print(f"{kind}: mounted {facts['seconds']:.1f} s after plugging in:", *options, flush=True)
        wait_for_report(machine, name)
        assert "ro" in mounted(machine, name)[-1].split(",")
        assert sums(machine, name) == first
        print(f"{kind}: {verdict(machine)}, the report is on it, and nothing else is changed")
    before = sha256(image)
    with plugged(machine, image, name, protected=True):
        assert sums(machine, name) == first
        listed = machine.ask(f"cd {STICKS}/{name}; find . -type f | grep -v System | sort")
        print(f"{kind}: plugged in again, write-protected: {listed.split()}", flush=True)
        assert "./TRUELIGHT-REPORT.html" in listed, listed
        machine.ask(f"{check} /dev/{name}")
        machine.ask("while ! journalctl | grep 'write-protected. The report'; do sleep 0.5; done")
    assert sha256(image) == before
    print(f"{kind}: {check.split()[0]} finds it clean; it is judged, and the report is kept")


def mounted(machine: Machine, name: str) -> list[str]:
    """How a stick is mounted: options, driver, device, and what the driver has."""
    fields = machine.ask(f"grep sticks/{name} /proc/self/mountinfo").split()
    assert set(fields[5].split(",")) >= SAFE, fields
    return fields[5:]


def leave_unchanged(machine: Machine) -> None:
    """Without a report no bit of a stick changes, whatever its file system."""
    machine.ask("echo 'stick: {report: false}' >>/etc/truelight/truelight.yaml")
    machine.ask("systemctl reload truelight")
    judged = 0
    for kind, (name, *_) in FORMATS.items():
        before = sha256(FOLDER / f"{kind}.img")
        with plugged(machine, FOLDER / f"{kind}.img", name) as facts:
            assert facts["error"] is None, facts
            sums(machine, name)
            judged += 1
            said = verdict(machine, judged)
        assert sha256(FOLDER / f"{kind}.img") == before
        print(f"{kind}: {said}; without a report no bit of it changes", flush=True)


def verdict(machine: Machine, judged: int = 1) -> str:
    """The last of so many verdicts in the journal, as soon as they are there."""
    verdicts = "REAL\\|FAKE\\|UNSURE\\|NO_FACE\\|UNREADABLE"
    look = f"journalctl -u truelight -o cat | grep ': \\({verdicts}\\)'"
    return machine.ask(f"while [ $({look} -c) -lt {judged} ]; do sleep 1; done; {look} | tail -n 1")


def wait_for_report(machine: Machine, name: str) -> None:
    """Wait until the report is on the stick, and its unit has ended."""
    machine.ask(
        f"while [ ! -e {STICKS}/{name}/TRUELIGHT-REPORT.html ]; do sleep 0.5; done;"
        f"while systemctl is-active -q truelight-report@{name}.service; do sleep 0.5; done"
    )


def pull_at_random(machine: Machine) -> None:
    """Pull a stick out while it is mounted, searched, judged or written to: nothing may be left."""
    chance = random.Random(5)
    image = empty_stick("vfat").rename(FOLDER / "pulled.img")
    with plugged(machine, image, "sda1"):
        machine.ask(
            "mkfs.vfat -n 'MY STICK' /dev/sda1; mount -t vfat /dev/sda1 /mnt; mkdir /mnt/clips;"
            " for number in 1 2 3; do cp /var/tmp/clips/broken.mp4 /mnt/clips/$number.mp4; done;"
            " umount /mnt"
        )
    slowest, moments = 0.0, Counter[str]()
    for number in range(1, PULLS + 1):
        machine.plug(image)
        moments[moment(machine, chance.uniform(0.0, LONGEST))] += 1
        machine.pull()
        seconds = machine.ask(
            "start=$(cut -d ' ' -f 1 /proc/uptime); for _ in $(seq 600); do"
            f" if {NOTHING_LEFT}; then echo $start; exec cat /proc/uptime; fi; sleep 0.1; done;"
            f" cat /proc/1/mountinfo; ls {STICKS}; journalctl -n 60; exit 1"
        ).split()
        slowest = max(slowest, float(seconds[1]) - float(seconds[0]))
        print(f"{number} pulls, slowest {slowest:.1f} s, {dict(moments)}", flush=True)
    failed = machine.ask("systemctl list-units --failed --plain --no-legend 'truelight*'")
    restarts = machine.ask("systemctl show --value -p NRestarts truelight")
    print(f"{PULLS} pulls at random moments ({dict(moments)}): 0 stuck mounts,")
    print(f"    nothing left after {slowest:.1f} s at most; restarts {restarts}")
    assert (restarts, failed) == ("0", "")
    machine.ask("touch /var/tmp/mark; sleep 3")  # times on a stick are of two seconds
    with plugged(machine, image, "sda1"):
        newer = f"find {STICKS}/sda1/TRUELIGHT-REPORT.html -newer /var/tmp/mark"
        machine.ask(f'while [ -z "$({newer} 2>/dev/null)" ]; do sleep 0.5; done', 3600)
    print("    the next stick is judged and gets its report")


def moment(machine: Machine, seconds: float) -> str:
    """What the box does so long after a stick was plugged in."""
    return machine.ask(
        f"sleep {seconds:.2f}; if systemctl is-active -q 'truelight-report@*.service'; then echo"
        f" report; elif [ ! -e {STICKS}/sda1.json ]; then echo unmounted; else systemctl show"
        " --value -p StatusText truelight; fi"
    ).split(" ")[0]


def say_why(machine: Machine) -> None:
    """What the machine knows of a failure, if it still answers."""
    with suppress(AssertionError, SystemExit):
        print(machine.ask("journalctl -b -n 150 -o short-monotonic; ls -R /run/truelight", 600))


PARTS: dict[str, Callable[[Machine], None]] = {
    "intruders": try_intruders,
    "later": try_later_controller,
    "upkeep": try_upkeep,
    "hub": try_hub,
    **{kind: lambda machine, kind=kind: try_format(machine, kind) for kind in FORMATS},
    "unchanged": leave_unchanged,
    "pulls": pull_at_random,
}


def main() -> None:
    machine = Machine(FOLDER, memory=MEMORY)
    failed = []
    if machine.kept():
        print("it goes on from the state that was kept", flush=True)
    else:
        try:
            at_boot(machine)
            machine.keep()
        finally:
            machine.end()
    for part in sys.argv[4:] or PARTS:
        print(f"-- {part}", flush=True)
        start = time.monotonic()
        machine.resume()
        try:
            PARTS[part](machine)
        except (AssertionError, SystemExit) as failure:
            failed.append(part)
            print(f"{part} FAILED: {failure!r}", flush=True)
            say_why(machine)
        finally:
            print(
                f"   {time.monotonic() - start:.0f} s, {machine.seconds():.0f} s of the processor"
            )
            machine.end()
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


main()
