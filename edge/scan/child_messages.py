"""What the program and a process that reads a stranger's file say to each other, of both kinds.

A message is ten integers: its kind, and nine fields. `media.protocol` and `model.messages` add what
is said of clips and of models.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Iterable
from enum import IntEnum

MESSAGE = struct.Struct("<10q")


class Notice(IntEnum):
    """What every such process says, whatever it reads; the fields that follow in the message."""

    READY = 8  # unasked, first: user, process
    CONFINED = 9  # for each of `LAYERS` a bit, 1 if it holds
    ENDED = 10  # by the unit's supervisor, last: the signal that ended the process, else 0


LAYERS = {
    "limits": "limits on memory, processor time, file size and open files",
    "no_new_privs": "no new privileges",
    "landlock_files": "no access to files (Landlock)",
    "landlock_network": "no TCP (Landlock, Linux 6.7)",
    "landlock_scope": "no signals to other processes (Landlock, Linux 6.12)",
    "seccomp": "only the system calls that decoding needs (seccomp)",
}
"""What confines such a process, in the order in which it is entered, in words.

What holds crosses as a bit each.
"""


def to_bits(held: Iterable[str]) -> int:
    """Those of `LAYERS` that hold, as the field of `Notice.CONFINED`."""
    names = list(LAYERS)
    return sum(1 << names.index(name) for name in held)


def from_bits(untrusted_bits: int) -> tuple[str, ...]:
    """The reverse of `to_bits`; other bits are ignored."""
    return tuple(name for bit, name in enumerate(LAYERS) if untrusted_bits >> bit & 1)


def pack(kind: IntEnum, *fields: int) -> bytes:
    """One message; missing fields are 0."""
    return MESSAGE.pack(kind, *fields, *(0,) * (9 - len(fields)))


def read_message(descriptor: int, deadline: float | None = None) -> tuple[int, ...] | None:
    """One message from a connection as ten integers; None when the other side has closed it.

    `deadline` is on `time.monotonic`'s clock. Raises TimeoutError when it passes, EOFError when the
    connection ends within a message.
    """
    data = b""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while len(data) < MESSAGE.size:
        if deadline is not None and not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        try:
            part = os.read(descriptor, MESSAGE.size - len(data))
        except ConnectionResetError:
            part = b""
        if not part and data:
            raise EOFError
        if not part:
            return None
        data += part
    return MESSAGE.unpack(data)
