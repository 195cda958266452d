"""A stick in a virtual machine: in until the daemon knows of it, out until nothing is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import Machine

STICKS = "/run/truelight/sticks"
SAYS = "while ! systemctl show -p StatusText truelight | grep -q '{}'; do sleep 0.5; done"
NOTHING_LEFT = (
    f'[ ! -e /sys/block/sda ] && [ -z "$(ls {STICKS})" ] && ! grep -q {STICKS} /proc/1/mountinfo'
)


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
