"""A stick in a virtual machine: in until the daemon knows of it, out until nothing is left."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import Machine

STICKS = "/run/truelight/sticks"
SAYS = "while ! systemctl show -p StatusText truelight | grep -q '{}'; do sleep 0.5; done"
NOTHING_LEFT = (
    f'[ ! -e /sys/block/sda ] && [ -z "$(ls {STICKS})" ] && ! grep -q {STICKS} /proc/1/mountinfo'
)
WRITES = "[ -e /sys/fs/cgroup/*/*report*/truelight-report@{}.service ]"  # it runs

SIZE = 64 * 1024**2
FIRST = 2048  # sector of the partition, where there is one


def empty_stick(image: Path, *, partitioned: bool) -> Path:
    """An unformatted stick, with a partition or without."""
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(SIZE)
        if partitioned:
            file.seek(446)
            no_place = b"\xfe\xff\xff"  # in cylinders and heads
            where = FIRST, SIZE // 512 - FIRST
            file.write(struct.pack("<B3sB3sII", 0, no_place, 0x0C, no_place, *where))
            file.seek(510)
            file.write(b"\x55\xaa")
    return image


@contextmanager
def plugged(machine: Machine, image: Path, name: str, **how: object) -> Iterator[dict[str, object]]:
    """A stick that is in; what the daemon gets to know of it. Afterwards nothing of it is left."""
    machine.plug(image, **how)
    status = f"{STICKS}/{name}.json"
    lines = machine.ask(
        f"for _ in $(seq 300); do if [ -e {status} ]; then cat {status}; echo; cat /proc/uptime;"
        " exec dmesg; fi; sleep 0.1; done; journalctl --lines 60; udevadm info /dev/sda; exit 1"
    ).splitlines()
    facts = json.loads(lines[0])
    came = [line for line in lines if "USB device number" in line][-1]
    facts["seconds"] = float(lines[1].split()[0]) - float(came.strip("[ ").split("]")[0])
    yield facts
    machine.pull()
    machine.ask(f"for _ in $(seq 300); do {NOTHING_LEFT} && exit; sleep 0.2; done; exit 1")


def sums(machine: Machine, name: str) -> list[str]:
    """Content, times and size of all that people have on it."""
    return machine.ask(
        f"cd {STICKS}/{name}; find . -type f ! -iname 'truelight-report.*' -print0 |"
        ' sort -z | xargs -0 -I{} sh -c \'sha256sum "{}"; stat -c "%y %s" "{}"\''
    ).splitlines()


def verdict(machine: Machine, judged: int = 1) -> str:
    """The last of so many verdicts in the journal, as soon as they are there."""
    verdicts = "REAL\\|FAKE\\|UNSURE\\|NO_FACE\\|UNREADABLE"
    look = f"journalctl -u truelight -o cat | grep ': \\({verdicts}\\)'"
    return machine.ask(f"while [ $({look} -c) -lt {judged} ]; do sleep 1; done; {look} | tail -n 1")


def wait_for_report(machine: Machine, name: str) -> None:
    """Wait until the report is on the stick, and its unit has ended."""
    machine.ask(
        f"while [ ! -e {STICKS}/{name}/TRUELIGHT-REPORT.html ]; do sleep 0.5; done;"
        f" while {WRITES.format(name)}; do sleep 0.5; done"
    )
