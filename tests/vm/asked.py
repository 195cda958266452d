"""Does as root, in a virtual machine, what tests/vm/machine.py asks for over a virtio port.

A question is a line: a script for /bin/sh, as a JSON string. So is its answer: [status, output].
Started by systemd in the machine, with its Python and the standard library.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path


def main() -> None:
    """Answer for ever."""
    names = Path("/sys/class/virtio-ports").glob("*/name")
    (name,) = (each.parent.name for each in names if each.read_text().strip() == "asked")
    host = os.open(Path("/dev") / name, os.O_RDWR | os.O_CLOEXEC)
    while True:
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(host, 1 << 16)
        done = subprocess.run(
            ("/bin/sh", "-eu", "-c", json.loads(line)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        answer = json.dumps([done.returncode, done.stdout.decode(errors="replace")])
        rest = answer.encode() + b"\n"
        while rest:
            rest = rest[os.write(host, rest) :]


main()
