"""The child: opens one clip, hands out its frames, and ends.

Started by the cage as a fresh process. It has the clip's read-only descriptor, shared memory and
two pipes, and nothing else; it never sees a path.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import resource
import select
import threading
import time
from typing import NoReturn

from edge.scan.media.protocol import (
    MICROSECONDS,
    Fault,
    Order,
    RefusedError,
    Report,
    pack,
    read_exactly,
)
from edge.scan.media.reader import Reader, prepare
from edge.scan.media.sampling import Sampling
from edge.scan.media.video import Bounds

_ALIVE_SECONDS = 0.5
_FRAMES_TO_COLLECT = 8


class Line:
    """The two pipes to the parent. A parent that is gone ends the child."""

    def __init__(self, orders: int, reports: int) -> None:
        self._orders = orders
        self._reports = reports
        self._last = 0.0
        threading.Thread(target=self._end_with_parent, daemon=True).start()

    def report(self, kind: Report, *fields: int) -> None:
        """Send one message; messages are shorter than what a pipe takes whole."""
        self._last = time.monotonic()
        try:
            os.write(self._reports, pack(kind, *fields))
        except BrokenPipeError:
            os._exit(0)

    def alive(self, frames_read: int) -> None:
        """Say now and then that work goes on."""
        if time.monotonic() - self._last > _ALIVE_SECONDS:
            self.report(Report.ALIVE, frames_read)

    def order(self, expected: Order) -> tuple[int, ...]:
        """Wait for the parent's next order, of which there is only one that fits."""
        message = read_exactly(self._orders)
        if message is None or message[0] != expected:
            os._exit(0)
        return message[1:]

    def _end_with_parent(self) -> None:
        poll = select.poll()
        poll.register(self._orders, 0)
        poll.poll()
        os._exit(0)


def main(orders: int, reports: int, clip: int, memory: int) -> NoReturn:
    """Serve one clip over these descriptors, then exit without unwinding."""
    gc.freeze()
    line = Line(orders, reports)
    try:
        _serve(line, clip, memory)
    except RefusedError as refusal:
        line.report(Report.FAILED, refusal.fault)
    except MemoryError:
        line.report(Report.FAILED, Fault.MEMORY)
    except OSError:
        line.report(Report.FAILED, Fault.INPUT)
    os._exit(0)


def _serve(line: Line, clip: int, memory: int) -> None:
    *sampled, frame, video, picture, cpu, space = line.order(Order.OPEN)
    prepare(clip)
    _confine(cpu, space)
    began = time.monotonic()
    reader = Reader(clip, Bounds(frame, video, picture), line.alive)
    facts = reader.facts
    line.report(
        Report.OPENED,
        *(facts.kind, facts.container, facts.codec, facts.width, facts.height),
        int(facts.seconds * MICROSECONDS),
        int(facts.frame_rate * 1000),
        int((time.monotonic() - began) * MICROSECONDS),
    )
    slots, cpu, *_ = line.order(Order.START)
    _limit_work(cpu)
    _hand_out(line, reader, _sampling(sampled), memoryview(mmap.mmap(memory, 0)), slots)


def _hand_out(
    line: Line, reader: Reader, sampling: Sampling, shared: memoryview, slots: int
) -> None:
    free = list(range(slots))
    size = reader.painter.frame_bytes
    busy, resumed = 0.0, time.monotonic()
    for choice in reader.choices(sampling):
        if not free:
            busy += time.monotonic() - resumed
            free.append(line.order(Order.RELEASE)[0])
            resumed = time.monotonic()
        slot = free.pop()
        reader.painter.paint(choice.frame, shared[slot * size : (slot + 1) * size])
        line.report(
            *(Report.FRAME, slot, choice.window, int(choice.time * MICROSECONDS)),
            *(reader.frames_read, int(reader.damaged)),
        )
        del choice  # else its frame would stay in memory while the next one is decoded
        if reader.frames_read < _FRAMES_TO_COLLECT:
            gc.collect()  # PyAV ties a frame whose side data was read to itself
    busy += time.monotonic() - resumed
    line.report(Report.DONE, reader.frames_read, int(reader.damaged), int(busy * MICROSECONDS))


def _sampling(fields: list[int]) -> Sampling:
    window_frames, micro_rate, max_windows, first = fields
    return Sampling(window_frames, micro_rate / MICROSECONDS, max_windows, first or None)


def _confine(cpu_seconds: int, memory_bytes: int) -> None:
    """Give up what decoding does not need: all is imported and open, and nothing yet parsed.

    The one place for further confinement.
    """
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 16)
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit_work(cpu_seconds)


def _limit(kind: int, value: int) -> None:
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, value))


def _limit_work(cpu_seconds: int) -> None:
    """Only the soft limit: it is set again when the clip's length is known."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, hard))
