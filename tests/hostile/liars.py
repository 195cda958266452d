"""Decoder processes that lie, die or are stuck: each costs its clip, and nothing is left of it.

    PYTHONPATH=tests:. python -m hostile.liars [--folder FOLDER]

They speak the protocol by hand, as a decoder that was taken over could.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clips import write_clip
from frontdoor import ROOT
from hostile.corpus import held
from hostile.kept import add_folder, do, done, folder_of
from waiting import until

from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.protocol import Fault

sys.path.insert(0, str(ROOT / "tests" / "scan"))
from fake_decoder import FOUR_HERTZ, fake_decoder  # (beside the tests that lie a little)

MOST_SECONDS = 150.0
"""Waiting for a decoder process in all (120 s), and its end."""
QUICK = {
    "ends at once": ("os._exit(0)", Fault.CRASHED),
    "killed": ("os.kill(os.getpid(), 9)", Fault.CRASHED),
    "ends after OPENED": ("opened(); os._exit(0)", Fault.CRASHED),
    "FRAME before OPENED": ("frame(); silence()", Fault.INVALID_DATA),
    "OPENED twice": ("opened(); opened(); silence()", Fault.INVALID_DATA),
    "DONE before it was asked": ("opened(); reply(Reply.DONE, 1, 0, 1)", Fault.NOTHING_DECODED),
    "no such message": ("reply(99); silence()", Fault.INVALID_DATA),
    "slot 3 of 3": ("opened(); read(); frame(3); silence()", Fault.INVALID_DATA),
    "a window that is not planned": (
        "opened(); read(); frame(window=10**6); silence()",
        Fault.INVALID_DATA,
    ),
    "time runs backwards": (
        "opened(); read(); frame(us=10**6, read=1); frame(1, us=0, read=2); silence()",
        Fault.INVALID_DATA,
    ),
    "negative size": ("opened(width=-1); silence()", Fault.INVALID_DATA),
    "1 x 9,437,184": (
        "opened(width=1, height=9437184); read(); frame(); reply(Reply.DONE, 1, 0, 1)",
        None,
    ),
    "a million frames": (
        "opened(); read()\nfor n in range(10**6): frame(n % 3, min(n // 8, 11), n, n)",
        Fault.INVALID_DATA,
    ),
    "ALIVE as fast as it can": ("while 1: reply(Reply.ALIVE, 1)", Fault.INVALID_DATA),
}
SLOW = {
    "never says a word": ("silence(); silence()", Fault.HUNG),
    "half a message": ("os.write(replies, b'x' * 40); silence()", Fault.HUNG),
    "closes its connection, lives on": ("os.close(replies); silence()", Fault.HUNG),
    "stopped": ("os.kill(os.getpid(), 19)", Fault.HUNG),
    "a child keeps the connection": (
        "if os.fork() == 0: os.setsid(); silence()\nos._exit(0)",
        Fault.HUNG,
    ),
    "ALIVE without end": (
        "while 1: reply(Reply.ALIVE, 1); time.sleep(0.2)",
        Fault.TOO_MUCH_WORK,
    ),
    "30 days, then ALIVE without end": (
        "opened(us=30 * 24 * 3600 * 10**6); read()\n"
        "while 1: reply(Reply.ALIVE, 1); time.sleep(0.2)",
        Fault.TOO_MUCH_WORK,
    ),
    "30 days, a frame every 25 s": (
        "opened(us=30 * 24 * 3600 * 10**6); read()\n"
        "for n in range(96): frame(n % 3, n // 8, n * 1000, n + 1); time.sleep(25)",
        None,
    ),
}
"""Those that have to be waited for. None: what was seen until then is judged."""
LIARS = QUICK | SLOW
PART = "liars"


@dataclass(frozen=True)
class Answer:
    """What a liar got."""

    name: str
    fault: Fault | None
    seconds: float
    left: str
    """Descriptors, shared memory or processes that were left; empty if nothing was."""
    expected: Fault | None

    @property
    def is_right(self) -> bool:
        return self.fault is self.expected and self.seconds < MOST_SECONDS and not self.left

    def __str__(self) -> str:
        fault = self.fault.name if self.fault else "judged"
        note = "" if self.is_right else f", WRONG {self.left}"
        return f"{fault} after {self.seconds:.1f} s{note}"


def _holds_no_more(before: tuple[int, int, int]) -> bool:
    return all(now <= then for now, then in zip(held(), before, strict=True))


def fault_of(clip: Path, body: str) -> Fault | None:
    """Why the clip is not judged, if it is not."""
    try:
        with open_clip(clip, FOUR_HERTZ, decoders=fake_decoder(body)) as opened:
            for _ in opened.frames():
                pass
    except ClipError as failure:
        return failure.fault
    return None


def answer(name: str) -> Answer:
    """Have a clip decoded by one of them."""
    body, expected = LIARS[name]
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "clip.mp4", 10)
        gc.collect()
        before, start = held(), time.monotonic()
        fault = fault_of(clip, body)
        seconds, left = time.monotonic() - start, ""
        gc.collect()
        try:
            until(partial(_holds_no_more, before))
        except AssertionError:
            left = f"{held()} instead of {before}"
    return Answer(name, fault, seconds, left, expected)


def main() -> None:
    """Print what they got; the status is 1 if one got something else than it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    with folder_of(parser.parse_args()) as folder:
        do(folder, PART, LIARS, Answer, answer)
        sys.exit(not all(each.is_right for each in done(folder, PART, Answer)))


if __name__ == "__main__":
    main()
