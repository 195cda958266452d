"""Root's program for sticks alone, with real USB and the kernel's file systems, but no systemd, no
udev and no daemon: it boots in a tenth of the time.

alone.py FOLDER PULLS
    with vm.img, vmlinuz and small.img, as tests/vm/stick.sh makes them; a stick of each file system
    is formatted, mounted, read and pulled out: no bit of it may change. Then each gets a report,
    and others are pulled out PULLS times in all while theirs is written: nothing that people have
    on them may change, and nothing may stay mounted.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

from machine import Machine
from plugging import STICKS, empty_stick, sums
from visits import DRIVERS, FORMATS, fill

PROGRAM = "python3 -IB /opt/truelight/systemd/stick {} {} --view /proc/1/ns/mnt"
REPORTS = "/run/truelight/reports"
WRITTEN = "TRUELIGHT-REPORT.html"
READY = "grep -q . /sys/class/block/{0}/size && [ -b /dev/{0} ]"
GONE = "[ ! -e /sys/class/block/sda ]"
LONGEST = 4.0
"""Seconds in which 16 MB come onto a slow stick."""


def sha256(image: Path) -> str:
    with image.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plug(machine: Machine, image: Path, name: str, *, slow: bool = False) -> None:
    machine.plug(image, slow=slow)
    machine.ask(f"for _ in $(seq 300); do {READY.format(name)} && exit; sleep 0.1; done; exit 1")


def pull(machine: Machine) -> None:
    machine.pull()
    machine.ask(f"for _ in $(seq 300); do {GONE} && exit; sleep 0.1; done; exit 1")


def mount(machine: Machine, name: str) -> dict[str, object]:
    machine.ask(PROGRAM.format("mount", name))
    facts = json.loads(machine.ask(f"cat {STICKS}/{name}.json"))
    assert isinstance(facts, dict)
    return facts


def unmount(machine: Machine, name: str) -> None:
    """As when the stick is gone; nothing may be left."""
    machine.ask(f"{PROGRAM.format('unmount', name)}; ls {STICKS}; ! grep {STICKS} /proc/mounts")


def leave_a_report(machine: Machine, name: str, plugged: object, kilobytes: int) -> None:
    """What the daemon leaves for root's program."""
    machine.ask(
        f"rm -rf {REPORTS}/{name}; mkdir -p {REPORTS}/{name}; cd {REPORTS}/{name};"
        f" head -c {kilobytes}k /dev/zero | tr '\\0' x >{WRITTEN};"
        f" echo '{{}}' >truelight-report.json; echo {plugged} >ready"
    )


def visit(machine: Machine, kind: str, image: Path) -> None:
    """Formatted, filled, read, pulled out: the same bits. Then with a report."""
    name, make, check = FORMATS[kind]
    empty_stick(image, partitioned=name != "sda")
    plug(machine, image, name)
    assert mount(machine, name)["error"] == "The stick is empty or damaged."
    unmount(machine, name)
    fill(machine, name, make, DRIVERS[kind], "broken.mp4")
    pull(machine)
    before = sha256(image)
    plug(machine, image, name)
    facts = mount(machine, name)
    assert (facts["filesystem"], facts["name"], facts["error"]) == (kind, "MY STICK", None), facts
    first = sums(machine, name)
    assert any("Käthe" in line for line in first), first
    pull(machine)
    unmount(machine, name)
    assert sha256(image) == before
    print(f"{kind}: mounted, read and pulled out: no bit of it changes", flush=True)

    plug(machine, image, name)
    leave_a_report(machine, name, mount(machine, name)["plugged"], 40)
    machine.ask(PROGRAM.format("report", name))
    assert machine.ask(f"head -n 1 {REPORTS}/{name}/result") == "written"
    assert machine.ask(f"stat -c %s {STICKS}/{name}/{WRITTEN}") == str(40 * 1024)
    assert sums(machine, name) == first
    pull(machine)
    unmount(machine, name)
    plug(machine, image, name)
    machine.ask(f"{check} /dev/{name}")
    pull(machine)
    print(f"{kind}: with a report, pulled out: {check.split()[0]} finds it clean", flush=True)


def pull_while_written(machine: Machine, kind: str, image: Path, chance: random.Random) -> str:
    """Pull a stick out while its report is written; what became of the report."""
    name, _, check = FORMATS[kind]
    image = Path(shutil.copyfile(image, image.with_name("alone-pulled.img")))
    plug(machine, image, name, slow=True)
    facts = mount(machine, name)
    first = sums(machine, name)
    leave_a_report(machine, name, facts["plugged"], 16_000)
    machine.ask(
        f"{PROGRAM.format('report', name)} >/run/said 2>&1 & sleep {chance.uniform(0, LONGEST):.2f}"
    )
    machine.pull()
    machine.ask(f"for _ in $(seq 300); do {GONE} && break; sleep 0.1; done; {GONE}")
    machine.ask("while pgrep -f [s]ystemd/stick; do sleep 0.1; done")
    said = machine.ask(f"head -n 1 {REPORTS}/{name}/result 2>/dev/null || echo none")
    unmount(machine, name)
    plug(machine, image, name)
    facts = mount(machine, name)
    assert facts["error"] is None, facts
    # Beside them lies a part of the report, and the file that warns.
    assert set(sums(machine, name)) >= set(first)
    unmount(machine, name)
    found = machine.ask(f"{check} /dev/{name} >/run/found 2>&1 && echo clean || echo damaged")
    pull(machine)
    return f"{kind} {said}, {found}"


def main() -> None:
    folder, pulls = Path(sys.argv[1]), int(sys.argv[2])
    machine = Machine(folder, memory=512, alone=True)
    chance = random.Random(5)
    try:
        machine.boot("cat /proc/uptime")
        machine.ask(f"modprobe -a usb-storage uas sd_mod vfat exfat ntfs3; mkdir -p {STICKS} /mnt")
        for kind in FORMATS:
            visit(machine, kind, folder / f"alone-{kind}.img")
        ends = Counter[str]()
        for number in range(pulls):
            kind = [*FORMATS][number % len(FORMATS)]
            ends[pull_while_written(machine, kind, folder / f"alone-{kind}.img", chance)] += 1
            print(f"{number + 1} pulls while a report was written: {dict(ends)}", flush=True)
        print("    what people have on them is unchanged, and nothing stays mounted")
    finally:
        print(f"   {machine.seconds():.0f} s of the processor")
        machine.end()


main()
