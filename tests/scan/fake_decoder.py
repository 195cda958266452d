"""Decoder processes that misbehave, and what it takes to run one."""

import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

import edge
from edge.scan.media.client import ClipError, Limits, open_clip
from edge.scan.media.decoders import Decoders
from edge.scan.media.protocol import Fault
from edge.scan.media.sampling import Sampling

FOUR_HERTZ = Sampling(window_frames=8, window_rate=4.0, max_windows=5)
SHORT = Limits(silence=30.0, grace=0.2)
IMPATIENT = Limits(silence=0.5, grace=0.2)
"""For decoder processes that fall silent: on a busy machine others seem to."""

# What they have in common: they speak the protocol by hand.
PREAMBLE = f"""
import mmap, os, socket, struct, sys, time
sys.path.insert(0, {str(Path(edge.__file__).parents[1])!r})
from edge.scan.media.decoders import Decoders
from edge.scan.child_messages import Notice
from edge.scan.media.protocol import Fault, Reply, Request
connection = socket.socket(fileno=int(sys.argv[1]))
replies = connection.fileno()
def read(): return struct.unpack("<10q", os.read(replies, 80))
def reply(*fields): os.write(replies, struct.pack("<10q", *fields, *(0,) * (10 - len(fields))))
def opened(kind=0, container=0, codec=0, width=64, height=48, us=2_000_000, rate=25_000):
    reply(Reply.OPENED, kind, container, codec, width, height, us, rate)
def frame(slot=0, window=0, us=0, read=1, damaged=0):
    reply(Reply.FRAME, slot, window, us, read, damaged)
def silence(): time.sleep(60)
reply(Notice.READY, os.getuid(), os.getpid())
request, (clip, memory, log), *_ = socket.recv_fds(connection, 80, 3)
assert struct.unpack("<10q", request)[0] == Request.OPEN
"""


def fake_decoder(body: str) -> Decoders:
    return Decoders([sys.executable, "-c", PREAMBLE + body])


def decode(
    path: Path, limits: Limits = SHORT, decoders: Decoders | None = None
) -> list[tuple[int, int, float]]:
    with open_clip(path, FOUR_HERTZ, limits, decoders=decoders) as opened:
        return [(frame.index, frame.window, frame.time) for frame in opened.frames()]


def fault_of(clip: Path, body: str, limits: Limits = SHORT) -> Fault:
    with pytest.raises(ClipError) as caught:
        decode(clip, limits, fake_decoder(body))
    return caught.value.fault


def descriptors() -> Counter[str]:
    """How many of each file, and of sockets and pipes, are open: not their numbers."""
    found: Counter[str] = Counter()
    for number in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # another thread closed it
            found[str(number.readlink()).partition(":[")[0]] += 1
    return found


def shared_pieces() -> int:
    return Path("/proc/self/maps").read_text().count("memfd:frames")
