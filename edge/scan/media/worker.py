"""The decoder process: opens one clip, hands out its frames, and ends.

Started by `process` or `supervisor` as a fresh interpreter, perhaps before there is a clip. It has
one connection, and gets through it the clip's read-only descriptor, shared memory and a pipe for
stderr; it never sees a path.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import select
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NoReturn

from edge.scan import sandbox
from edge.scan.child_messages import MESSAGE, Notice, pack, read_message, to_bits
from edge.scan.child_process import end_with
from edge.scan.media.clip_file import DescriptorFile, PixelLimits
from edge.scan.media.parts import Parts, import_all, import_readers
from edge.scan.media.protocol import (
    MICROSECONDS,
    ClipError,
    ClipKind,
    Fault,
    PartKind,
    Remark,
    Reply,
    Request,
)
from edge.scan.media.sampling import ClipReader, Sampling
from edge.scan.media.still_check import StillCheck

_ALIVE_SECONDS = 0.5
_FRAMES_TO_COLLECT = 8
_STDERR = 2
_DESCRIPTORS = 3
_CPU_MARGIN = 5
"""Seconds of processor time beyond the budget: a single frame may take long."""


@dataclass
class Budget:
    """How much work the file may still cost, whatever it claims."""

    cpu_seconds: float = inf
    pixels: float = inf
    frame_pixels: int = 0

    def check(self, frames_read: int) -> None:
        """Raises ClipError if that many frames, or the time so far, are too much."""
        if frames_read * self.frame_pixels > self.pixels or time.process_time() > self.cpu_seconds:
            raise ClipError(Fault.TOO_MUCH_WORK)

    def spend(self, frames_read: int) -> None:
        """A part is read, with that many frames."""
        self.pixels -= frames_read * self.frame_pixels


class ParentConnection:
    """The connection to the program. If that ends, this process ends too."""

    def __init__(self, descriptor: int) -> None:
        self.budget = Budget()
        self.descriptor = descriptor
        self.read_before = 0
        """Frames decoded of the parts before the current one."""
        self._last = 0.0

    def reply(self, kind: Reply | Notice, *fields: int) -> None:
        """Send one message; messages are shorter than what a connection takes whole."""
        self._last = time.monotonic()
        try:
            os.write(self.descriptor, pack(kind, *fields))
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)

    def alive(self, frames_read: int) -> None:
        """Report now and then that work goes on. Raises ClipError when it exceeds the budget."""
        self.budget.check(frames_read)
        if time.monotonic() - self._last > _ALIVE_SECONDS:
            self.reply(Reply.ALIVE, self.read_before + frames_read)

    def has_request(self) -> bool:
        """Whether a request is waiting, or the program has ended."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def first_request(self) -> tuple[tuple[int, ...], list[int]]:
        """Wait for the first request, and the descriptors that come with it."""
        with socket.socket(fileno=self.descriptor) as connection:
            try:
                data, descriptors, *_ = socket.recv_fds(connection, MESSAGE.size, _DESCRIPTORS)
            except ConnectionResetError:
                os._exit(0)
            connection.detach()
        if len(data) != MESSAGE.size:
            os._exit(0)
        return MESSAGE.unpack(data), descriptors

    def request(self, expected: Request) -> tuple[int, ...]:
        """Wait for the next request, which must be of the expected kind; its fields.

        Slots that are given back when a part is done are of no use.
        """
        message = read_message(self.descriptor)
        while expected is Request.NEXT and message and message[0] == Request.RELEASE:
            message = read_message(self.descriptor)
        if message is None or message[0] != expected:
            os._exit(0)
        return message[1:]


def main(descriptor: int) -> NoReturn:
    """Serve one clip over this connection, then exit without unwinding."""
    parent = ParentConnection(descriptor)
    parent.reply(Notice.READY, os.getuid(), os.getpid())
    import_all(parent.has_request)  # while it waits
    (kind, *fields), descriptors = parent.first_request()
    try:
        if kind == Request.TRY_SANDBOX:
            _try_sandbox(parent, *fields[:2])
        elif kind == Request.OPEN and len(descriptors) == _DESCRIPTORS:
            clip, memory, log = descriptors
            os.dup2(log, _STDERR)
            os.close(log)
            _serve(parent, fields, clip, memory)
    except ClipError as refusal:
        parent.reply(Reply.FAILED, refusal.fault, *refusal.numbers)
    except MemoryError:
        parent.reply(Reply.FAILED, Fault.MEMORY)
    except OSError:
        parent.reply(Reply.FAILED, Fault.INPUT)
    os._exit(0)


def _try_sandbox(parent: ParentConnection, cpu: int, space: int) -> None:
    held = sandbox.enter(cpu, space, (parent.descriptor, _STDERR))
    parent.reply(Notice.CONFINED, to_bits(held))


def _serve(parent: ParentConnection, fields: Sequence[int], clip: int, memory: int) -> None:
    *sampled, handed_out, video, picture, cpu, space = fields
    with contextlib.suppress(ClipError):
        import_readers(DescriptorFile(clip))
    gc.freeze()
    gc.enable()  # off since its start: what is imported stays
    parent.budget.cpu_seconds = cpu
    sandbox.enter(cpu + _CPU_MARGIN, space, (parent.descriptor, _STDERR))
    end_with(parent.descriptor)  # no thread before: some layers confine only the one that enters
    window_frames, micro_rate, max_windows, first = sampled
    sampling = Sampling(window_frames, micro_rate / MICROSECONDS, max_windows, first or None)
    limits = PixelLimits(handed_out, video, picture)
    parts = Parts(DescriptorFile(clip), limits, parent.alive)
    while (reader := _open_next(parent, parts)) is not None:
        slots, pixels, *_ = parent.request(Request.START)
        parent.budget.pixels = min(pixels, parent.budget.pixels)
        parent.budget.frame_pixels = reader.frame_pixels
        shared = mmap.mmap(memory, slots * reader.width * reader.height * 3)
        if not _hand_out(parent, parts, reader, sampling, memoryview(shared), slots):
            return
        parent.request(Request.NEXT)


def _open_next(parent: ParentConnection, parts: Parts) -> ClipReader[Any] | None:
    """Open the next part and describe it, or say that there is none."""
    began, stopped, reader = time.monotonic(), False, None
    try:
        reader = parts.open_next()
    except ClipError:
        stopped = parts.current.kind is not PartKind.FIRST
        if not stopped:
            raise
    if reader is None:
        _reply_done(parent, parts, parts.left_out, 0, stopped, follows=False)
        return None
    if parts.current.kind is not PartKind.FIRST:
        parent.reply(Reply.PART, parts.current.kind, parts.current.number)
    parent.reply(
        Reply.OPENED,
        *(reader.kind, reader.form.number, reader.codec, reader.width, reader.height),
        int(reader.seconds * MICROSECONDS),
        int(reader.frame_rate * 1000) if reader.kind is ClipKind.VIDEO else 0,
        int((time.monotonic() - began) * MICROSECONDS),
    )
    return reader


def _hand_out(
    parent: ParentConnection,
    parts: Parts,
    reader: ClipReader[Any],
    sampling: Sampling,
    shared: memoryview,
    slots: int,
) -> bool:
    """Hand out the wanted frames of a part; whether another one follows."""
    free = list(range(slots))
    size = reader.width * reader.height * 3
    busy, resumed = 0.0, time.monotonic()
    still, stopped = StillCheck(), False
    try:
        for chosen in reader.choose(sampling):
            if not free:
                busy += time.monotonic() - resumed
                free.append(parent.request(Request.RELEASE)[0])
                resumed = time.monotonic()
            slot = free.pop()
            pixels = shared[slot * size : (slot + 1) * size]
            reader.paint(chosen.frame, pixels)
            still.add(pixels)
            parent.reply(
                *(Reply.FRAME, slot, chosen.window, int(chosen.time * MICROSECONDS)),
                *(parent.read_before + reader.frames_read, int(parts.damaged or reader.damaged)),
            )
            del chosen  # else its frame would stay in memory while the next one is decoded
            if reader.frames_read < _FRAMES_TO_COLLECT:
                gc.collect()  # PyAV ties a frame whose side data was read to itself
    except ClipError as refusal:
        is_first = parts.current.kind is PartKind.FIRST
        stopped = refusal.fault is Fault.TOO_MUCH_WORK and (still.frames > 0 or not is_first)
        if not stopped and is_first:
            raise
    busy += time.monotonic() - resumed
    if still.frames > 1 and still.is_still:
        reader.remarks[Remark.STILL] = still.frames
    parent.budget.spend(reader.frames_read)
    parent.read_before += reader.frames_read
    remarks = parts.finish(reader, still.frames)
    follows = parts.follows and not stopped
    _reply_done(parent, parts, remarks, int(busy * MICROSECONDS), stopped, follows)
    return follows


def _reply_done(
    parent: ParentConnection,
    parts: Parts,
    remarks: Mapping[Remark, int],
    busy: int,
    stopped: bool,
    follows: bool,
) -> None:
    parent.reply(Reply.REMARKS, *(remarks.get(remark, 0) for remark in Remark))
    read, damaged = parent.read_before, int(parts.damaged)
    parent.reply(Reply.DONE, read, damaged, busy, int(stopped), int(follows))
