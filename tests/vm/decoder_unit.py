"""In the booted system, as root: the units of the decoder processes."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

from booted import do, show, until
from confined_unit import DECODER, cannot_be_taken_over, has_no_rights, leaves_nothing_behind

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
    until("a decoder waits", lambda: len(DECODER.processes()) == 1)
    supervisor, decoder = DECODER.processes()[0]
    until("it has imported everything", lambda: waits(decoder))
    for number in (supervisor, decoder):
        has_no_rights(number, DECODER)
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
            for pair in DECODER.processes():
                peak = max([peak, *(high_water(number) for number in pair)])
            time.sleep(0.01)
        finding = json.loads(scan.stdout.read())
    limit = int(show("MemoryMax", "truelight-decoder@x.service"))
    size = "{width} x {height}".format(**finding["clip"])
    print(f"8K: {finding['verdict']}, {size}; decoder at most {peak / 1e6:.0f} MB")
    assert finding["verdict"] == "NO_FACE", finding
    assert 0 < peak < limit * 0.75, f"its limit is {limit / 1e6:.0f} MB"


# ---- Pieces


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


LOOKS = (
    keeps_a_decoder_ready,
    decodes_8k_within_its_memory,
    lambda: cannot_be_taken_over(DECODER),
    lambda: leaves_nothing_behind(DECODER),
)
