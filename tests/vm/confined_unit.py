"""In the booted system, as root: what the units of clips and of strangers' models share."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from booted import do, process, until

sys.path.insert(0, "/run/source/tests")

from takeover import ATTEMPTS, SUCCESS

SLICE = Path("/sys/fs/cgroup/truelight.slice")
CLIP = Path("/var/tmp/clips/one-person.mp4")
TAKEOVER = "/opt/truelight/.venv/bin/python -IB /usr/local/lib/takeover/takeover.py"
SECRETS = (
    *("/var/lib/truelight", "/run/truelight/sticks", "/run/truelight/power", "/run/dbus"),
    "/home",
)


class Kind(NamedTuple):
    """One kind of unit."""

    name: str
    module: str

    @property
    def user(self) -> str:
        return f"truelight-{self.name}"

    @property
    def drop_in(self) -> Path:
        return Path(f"/run/systemd/system/{self.user}@.service.d/takeover.conf")

    def processes(self, name: str = ".service") -> list[list[int]]:
        """The processes of each unit of this kind whose name ends with this."""
        found = []
        for file in SLICE.glob(f"{self.user}@*{name}/cgroup.procs"):
            try:
                found.append(sorted(map(int, file.read_text().split())))
            except OSError:
                continue
        return [numbers for numbers in found if len(numbers) > 1]

    def connected(self, code: str, confined: bool) -> socket.socket:
        """A connection to a unit that runs this code, see `takeover.py`."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"/run/truelight/{self.name}.sock")
        connection.settimeout(60)
        request = struct.pack("<qqqq", len(code.encode()), process(), 1, confined)
        with CLIP.open("rb") as clip:
            socket.send_fds(connection, [request], [clip.fileno()])
        connection.sendall(code.encode())
        return connection

    def tried(self, code: str, *, confined: bool) -> bool:
        """Whether the code did not fail there."""
        victim, answer = Path("/dev/shm/victim"), b""
        victim.write_bytes(b"untouched")
        victim.chmod(0o666)
        with (
            self.connected(code, confined) as connection,
            contextlib.suppress(ConnectionResetError),
        ):
            while part := connection.recv(1000):
                answer += part
        assert not confined or victim.read_bytes() == b"untouched"
        return SUCCESS in answer


DECODER = Kind("decoder", "edge.scan.media.worker")
MODEL = Kind("model", "edge.scan.model.confined_worker")


def has_no_rights(number: int, kind: Kind) -> None:
    """The process has the unit's user, no group, no capability, and is confined by the unit."""
    status = Path(f"/proc/{number}/status").read_text()
    facts = dict(re.findall(r"^(\w+):\s*(.*)$", status, re.MULTILINE))
    assert set(facts["Uid"].split()) == {do("id", "--user", kind.user)}
    assert facts["Groups"].split() in ([], [do("id", "--group", kind.user)])
    assert facts["CapEff"] == facts["CapBnd"] == "0" * 16
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    print(f"  {facts['Name']} {number}: {facts['VmRSS']} resident")


def cannot_be_taken_over(kind: Kind) -> None:
    """Each attempt after the sandbox, then by the unit alone: as on a kernel without its layers."""
    kind.drop_in.parent.mkdir(parents=True)
    kind.drop_in.write_text(f"[Service]\nExecStart=\nExecStart={TAKEOVER} {kind.module}\n")
    do("systemctl", "daemon-reload")
    assert kind.tried("pass", confined=True), "all would be refused for another reason"
    done = [attempt for attempt, code in ATTEMPTS.items() if kind.tried(code, confined=True)]
    assert not done, done
    alone = [attempt for attempt, code in ATTEMPTS.items() if kind.tried(code, confined=False)]
    print(f"a {kind.name} that was taken over: {len(ATTEMPTS)} attempts, none succeeds")
    print(f"  by the unit alone, {len(alone)} would: {', '.join(alone)}")
    for path in SECRETS:
        assert not kind.tried(f"os.listdir({path!r})", confined=False), path
    assert not kind.tried("os.setgroups([0])", confined=False)


def leaves_nothing_behind(kind: Kind) -> None:
    """What it started, in sessions of its own, ends with its connection."""
    code = "import time\nfor n in range(2):\n    if os.fork(): break\n    os.setsid()\n"
    with kind.connected(code + "time.sleep(600)", confined=False):
        mine = f"-{os.getpid()}-0.service"
        until("it has forked", lambda: sum(len(pair) > 3 for pair in kind.processes(mine)) == 1)
    took = until("all of it is gone", lambda: not kind.processes(mine), 20)
    print(f"two processes that it started are gone {took:.2f} s after the end of its connection")
    kind.drop_in.unlink()
    do("systemctl", "daemon-reload")
