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
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from machine import Machine
from plugging import (
    NOTHING_LEFT,
    SAYS,
    STICKS,
    WRITES,
    empty_stick,
    plugged,
    sums,
    verdict,
    wait_for_report,
)
from refusals import USED, try_hub, try_intruders, try_later_controller, try_upkeep
from visits import DRIVERS, FORMATS, fill, try_screens, try_uas

FOLDER = Path(sys.argv[1])
PULLS, LONGEST, WANTED = int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
MEMORY = 1536

WRITING = 4
"""Of so many pulls, one comes while the report is written."""
SAFE = {"ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow"}
# A face takes an emulated processor half a minute: one file system has one.
CLIPS = dict.fromkeys(FORMATS, "broken.mp4") | {"vfat": "photograph.jpg"}


def sha256(image: Path) -> str:
    with image.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    circles = machine.ask("journalctl --boot | grep 'ordering cycle' || true")
    assert not circles, f"systemd left a unit out: {circles}"
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
    image = empty_stick(FOLDER / f"{kind}.img", partitioned=name != "sda")
    with plugged(machine, image, name) as facts:
        assert facts["error"] == "The stick is empty or damaged.", facts
        print(f"{kind}: before it is formatted: {facts['error']}", flush=True)
        fill(machine, name, make, DRIVERS[kind], CLIPS[kind])
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
    """Without a report no bit of a stick changes: the sticks of the formats that were tried."""
    machine.ask("echo 'stick: {report: false}' >>/etc/truelight/truelight.yaml")
    machine.ask("systemctl reload truelight")
    kinds = [kind for kind in FORMATS if kind in WANTED] or list(FORMATS)
    for judged, kind in enumerate(kinds, 1):
        name = FORMATS[kind][0]
        before = sha256(FOLDER / f"{kind}.img")
        with plugged(machine, FOLDER / f"{kind}.img", name) as facts:
            assert facts["error"] is None, facts
            sums(machine, name)
            said = verdict(machine, judged)
        assert sha256(FOLDER / f"{kind}.img") == before
        print(f"{kind}: {said}; without a report no bit of it changes", flush=True)


def pull_at_random(machine: Machine) -> None:
    """Pull a stick out while it is mounted, searched, judged or written to: nothing may be left."""
    chance = random.Random(5)
    image = empty_stick(FOLDER / "pulled.img", partitioned=True)
    with plugged(machine, image, "sda1"):
        machine.ask(
            "mkfs.vfat -n 'MY STICK' /dev/sda1; mount -t vfat /dev/sda1 /mnt; mkdir /mnt/clips;"
            " for number in 1 2 3; do cp /var/tmp/clips/broken.mp4 /mnt/clips/$number.mp4; done;"
            " umount /mnt"
        )
    with plugged(machine, image, "sda1"):
        first = sums(machine, "sda1")
    slowest, moments = 0.0, Counter[str]()
    for number in range(1, PULLS + 1):
        machine.plug(image)
        moments[moment(machine, chance, writing=number % WRITING == 0)] += 1
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
        assert sums(machine, "sda1") == first
        found = machine.ask("fsck.vfat -n /dev/sda1 || true").splitlines()
    print("    the next stick is judged and gets its report; its clips are unchanged; fsck:", found)


def moment(machine: Machine, chance: random.Random, *, writing: bool) -> str:
    """What the box does at a random moment after a stick was plugged in, or of writing a report."""
    writes = WRITES.format("sda1")
    if writing:
        wait = f"while ! {writes}; do sleep 0.05; done; sleep {chance.uniform(0.0, 0.7):.2f}"
    else:
        wait = f"sleep {chance.uniform(0.0, LONGEST):.2f}"
    return machine.ask(
        f"{wait}; if {writes}; then grep -q '/dev/sda1 rw' /proc/1/mountinfo && echo written ||"
        f" echo report; elif [ ! -e {STICKS}/sda1.json ]; then echo unmounted;"
        " else systemctl show --value -p StatusText truelight; fi"
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
    "uas": lambda machine: try_uas(machine, FOLDER / "uas.img"),
    "screens": lambda machine: try_screens(machine, FOLDER / "screens.img", FOLDER / "display.hex"),
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
    for part in WANTED or PARTS:
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
