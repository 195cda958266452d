"""Children that tell lies, and what it takes to watch one."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import edge
from edge.scan.media.client import ClipError, Limits, OpenClip, open_clip
from edge.scan.media.protocol import Fault
from edge.scan.media.sampling import Sampling

FOUR_HERTZ = Sampling(window_frames=8, window_rate=4.0, max_windows=5)
SHORT = Limits(silence=0.5, grace=0.2)

# What the lying children have in common: they speak the protocol by hand.
LIAR = f"""
import mmap, os, struct, sys, time
sys.path.insert(0, {str(Path(edge.__file__).parents[1])!r})
from edge.scan.media.protocol import Fault, Order, Report
orders, reports, clip, memory = map(int, sys.argv[1:])
def read(): return struct.unpack("<10q", os.read(orders, 80))
def say(*fields): os.write(reports, struct.pack("<10q", *fields, *(0,) * (10 - len(fields))))
def opened(kind=0, container=0, codec=0, width=64, height=48, us=2_000_000, rate=25_000):
    say(Report.OPENED, kind, container, codec, width, height, us, rate)
def frame(slot=0, window=0, us=0, read=1, damaged=0):
    say(Report.FRAME, slot, window, us, read, damaged)
def silence(): time.sleep(60)
assert read()[0] == Order.OPEN
"""


def liar(body: str) -> list[str]:
    return [sys.executable, "-c", LIAR + body]


def watch(
    path: Path, limits: Limits = SHORT, command: Sequence[str] | None = None
) -> list[tuple[int, int, float]]:
    with open_clip(path, FOUR_HERTZ, limits, command=command) as opened:
        return [(frame.index, frame.window, frame.time) for frame in opened.frames()]


def fault_of(clip: Path, body: str, limits: Limits = SHORT) -> Fault:
    with pytest.raises(ClipError) as caught:
        watch(clip, limits, liar(body))
    return caught.value.fault


def child_of(opened: OpenClip) -> int:
    return opened._child._process.pid


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def shared_pieces() -> int:
    return Path("/proc/self/maps").read_text().count("memfd:frames")
