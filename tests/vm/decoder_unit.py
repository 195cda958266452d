"""In the booted system, as root: the units of the decoder processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from booted import do, process, show, until

sys.path.insert(0, "/run/source/tests")

from takeover import ATTEMPTS, SUCCESS

DECODERS = Path("/sys/fs/cgroup/truelight.slice")
SOCKET = "/run/truelight/decoder.sock"
STICKS = Path("/run/truelight/sticks")
CLIP = Path("/var/tmp/clips/one-person.mp4")
MAKE_8K = """
import sys, av, numpy as np
with av.open(sys.argv[1], "w") as container:
    stream = container.add_stream("h264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 8192, 4320, "yuv420p"
    stream.options = {"preset": "ultrafast", "x264-params": "ref=4:bframes=3:keyint=8"}
    stream.thread_count = 2
    for number in range(16):
        frame = av.VideoFrame(8192, 4320, "yuv420p")
        for plane in frame.planes:
            plane.update(np.full(plane.buffer_size, 16 * number, np.uint8))
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
"""


def keeps_a_decoder_ready() -> None:
    until("a decoder waits", lambda: len(decoders()) == 1)
    supervisor, decoder = decoders()[0]
    until("it has imported everything", lambda: waits(decoder))
    for number in (supervisor, decoder):
        status = Path(f"/proc/{number}/status").read_text()
        facts = dict(re.findall(r"^(\w+):\s*(.*)$", status, re.MULTILINE))
        own = do("id", "--user", "truelight-decoder")
        assert set(facts["Uid"].split()) == {own}
        assert facts["Groups"].split() in ([], [do("id", "--group", "truelight-decoder")])
        assert facts["CapEff"] == facts["CapBnd"] == "0" * 16
        assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
        print(f"  {facts['Name']} {number}: {facts['VmRSS']} resident")
    assert Path(f"/proc/{decoder}/oom_score_adj").read_text() == "1000\n"
    print("a decoder waits, as a user of its own without groups and capabilities")


def decodes_8k_within_its_memory() -> None:
    clip = "/var/tmp/8k.mp4"
    if not Path(clip).exists():
        do("/opt/truelight/.venv/bin/python", "-c", MAKE_8K, clip)
    program = ["runuser", "-u", "truelight", "--", "truelight", "scan", "--json", clip]
    peak = 0
    with subprocess.Popen(program, stdout=subprocess.PIPE) as scan:
        assert scan.stdout is not None
        while scan.poll() is None:
            for pair in decoders():
                peak = max([peak, *(high_water(number) for number in pair)])
            time.sleep(0.01)
        finding = json.loads(scan.stdout.read())
    limit = int(show("MemoryMax", "truelight-decoder@x.service"))
    size = "{width} x {height}".format(**finding["clip"])
    print(f"8K: {finding['verdict']}, {size}; decoder at most {peak / 1e6:.0f} MB")
    assert finding["verdict"] == "NO_FACE", finding
    assert 0 < peak < limit * 0.75, f"its limit is {limit / 1e6:.0f} MB"


def cannot_be_taken_over() -> None:
    """Each attempt after the sandbox, then by the unit alone: as on a kernel without its layers."""
    drop_in = Path("/run/systemd/system/truelight-decoder@.service.d/takeover.conf")
    drop_in.parent.mkdir(parents=True)
    program = "/opt/truelight/.venv/bin/python -IB /usr/local/lib/takeover/takeover.py"
    drop_in.write_text(f"[Service]\nExecStart=\nExecStart={program}\n")
    do("systemctl", "daemon-reload")
    assert tried("pass", confined=True), "all would be refused for another reason"
    done = [attempt for attempt, code in ATTEMPTS.items() if tried(code, confined=True)]
    assert not done, done
    alone = [attempt for attempt, code in ATTEMPTS.items() if tried(code, confined=False)]
    print(f"a decoder that was taken over: {len(ATTEMPTS)} attempts, none succeeds")
    print(f"  by the unit alone, {len(alone)} would: {', '.join(alone)}")
    secrets = ("/var/lib/truelight", str(STICKS), "/run/truelight/power", "/run/dbus", "/home")
    for path in secrets:
        assert not tried(f"os.listdir({path!r})", confined=False), path
    assert not tried("os.setgroups([0])", confined=False)


def leaves_nothing_behind() -> None:
    """What it started, in sessions of its own, ends with its connection."""
    code = "import time\nfor n in range(2):\n    if os.fork(): break\n    os.setsid()\n"
    with connected(code + "time.sleep(600)", confined=False):
        mine = f"-{os.getpid()}-0.service"
        until("it has forked", lambda: sum(len(pair) > 3 for pair in decoders(mine)) == 1)
    took = until("all of it is gone", lambda: not decoders(mine), 20)
    print(f"two processes that it started are gone {took:.2f} s after the end of its connection")
    Path("/run/systemd/system/truelight-decoder@.service.d/takeover.conf").unlink()
    do("systemctl", "daemon-reload")


# ---- Pieces


def decoders(name: str = ".service") -> list[list[int]]:
    """The processes of each unit of decoders whose name ends with this."""
    found = []
    for file in DECODERS.glob(f"truelight-decoder@*{name}/cgroup.procs"):
        try:
            found.append(sorted(map(int, file.read_text().split())))
        except OSError:
            continue
    return [numbers for numbers in found if len(numbers) > 1]


def high_water(number: int) -> int:
    """The most memory that a process had resident, shared memory included, bytes."""
    try:
        status = Path(f"/proc/{number}/status").read_text()
    except OSError:
        return 0
    return sum(int(kilobytes) << 10 for kilobytes in re.findall(r"VmHWM:\s*(\d+)", status))


def waits(number: int) -> bool:
    """Whether a process waits for its connection."""
    return "unix_stream" in Path(f"/proc/{number}/wchan").read_text()


def connected(code: str, confined: bool) -> socket.socket:
    """A connection to a decoder unit that runs this code."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(SOCKET)
    connection.settimeout(60)
    request = struct.pack("<qqqq", len(code.encode()), process(), 1, confined)
    with CLIP.open("rb") as clip:
        socket.send_fds(connection, [request], [clip.fileno()])
    connection.sendall(code.encode())
    return connection


def tried(code: str, *, confined: bool) -> bool:
    """Whether the code did not fail there."""
    victim, answer = Path("/dev/shm/victim"), b""
    victim.write_bytes(b"untouched")
    victim.chmod(0o666)
    with connected(code, confined) as connection, contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1000):
            answer += part
    assert not confined or victim.read_bytes() == b"untouched"
    return SUCCESS in answer


LOOKS = (
    keeps_a_decoder_ready,
    decodes_8k_within_its_memory,
    cannot_be_taken_over,
    leaves_nothing_behind,
)
