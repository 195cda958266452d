"""A process of a confined model from outside: started fresh, spoken to, ended for certain.

As a decoder process, it is of a unit and a user of its own on an installed box
(`systemd/truelight-model@.service`), elsewhere a child of this program. `confined` says what it is
asked, and checks what it answers.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import time
import weakref
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from typing import Final

from edge.language import N_
from edge.scan.child_messages import Notice, from_bits, pack, read_message
from edge.scan.child_process import connect, expects_unit, forbid_attaching, interpreter, spawn
from edge.scan.confinement import MODEL, Confinement
from edge.scan.model.messages import Ask

_log = logging.getLogger(__name__)

UNIT_SECONDS: Final = 20.0
"""For a process of the unit to start; then a child is started instead."""
_GRACE = 5.0
"""Seconds for a process that has closed the connection to end."""
_HANG_UP_SECONDS = 1.0
_TRY_SECONDS = 30.0
_MOST_SIGNAL = 64
_WORKER = "edge.scan.model.confined_worker"


class ProcessEndedError(Exception):
    """It has ended; its text says how."""


class ModelProcess:
    """One process, and its connection. It has read nothing of a stranger's yet."""

    def __init__(self, connection: socket.socket, child: subprocess.Popen[bytes] | None) -> None:
        """`child` is None for a process of the unit."""
        self._connection = connection
        self._child = child
        self.pid = child.pid if child else 0
        """The process's id; of the unit's, what it says itself."""
        self.user = os.getuid()
        """The user that it runs as."""
        self._finalizer = weakref.finalize(self, _end, connection, child)

    @property
    def is_child(self) -> bool:
        """Whether it is a child of this program, not a process of the unit."""
        return self._child is not None

    def wait_until_ready(self, deadline: float) -> None:
        """Wait until it has imported everything. Raises as `receive`, ValueError."""
        kind, user, process, *_ = self.receive(deadline)
        if kind != Notice.READY:
            raise ValueError(f"message {kind}")
        if self._child is None:
            self.user, self.pid = user, process

    def load(
        self, threads: int, sizes: Sequence[int], path: bytes, files: Sequence[int], deadline: float
    ) -> Confinement:
        """Have it enter the sandbox, then load a bundle; what confines it.

        `sizes` are those of its four files, -1 for one that is missing; `files` their descriptors.
        Raises as `receive`, ValueError.
        """
        self._connection.settimeout(max(0.001, deadline - time.monotonic()))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer is missing
            head = pack(Ask.LOAD, threads, *sizes, len(path))
            socket.send_fds(self._connection, [head], list(files))
            self._connection.sendall(path)
        kind, untrusted_bits, *_ = self.receive(deadline)
        if kind != Notice.CONFINED:
            raise ValueError(f"message {kind}")
        own_user = self.user != os.getuid()
        return Confinement(from_bits(untrusted_bits), own_user, expects_unit(), MODEL)

    def send(self, ask: IntEnum, *fields: int, content: memoryview, deadline: float) -> None:
        """Send a message, and an array. Raises TimeoutError."""
        self._connection.settimeout(max(0.001, deadline - time.monotonic()))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer is missing
            self._connection.sendall(pack(ask, *fields))
            self._connection.sendall(content)

    def receive(self, deadline: float) -> tuple[int, ...]:
        """The next message. Raises TimeoutError, ProcessEndedError."""
        try:
            message = read_message(self._connection.fileno(), deadline)
        except EOFError:
            message = None
        if message is None or (message[0] == Notice.ENDED and self._child is None):
            raise ProcessEndedError(self._how_it_ended(message))
        return message

    def receive_bytes(self, size: int, deadline: float) -> bytearray:
        """So many bytes. Raises as `receive`."""
        content = bytearray(size)
        rest = memoryview(content)
        while rest:
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                count = self._connection.recv_into(rest)
            except ConnectionResetError:
                count = 0
            if not count:
                raise ProcessEndedError(self._how_it_ended(None))
            rest = rest[count:]
        return content

    def end(self) -> None:
        """Hang up, which ends it; kill a child. One of the unit is killed by its supervisor."""
        self._finalizer()

    def _how_it_ended(self, message: tuple[int, ...] | None) -> str:
        number = message[1] if message else 0
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                number = -self._child.wait(_GRACE)
        if 0 < number <= _MOST_SIGNAL:
            return N_("it was ended by signal {number}").format(number=number)
        return N_("it ended")


def _end(connection: socket.socket, child: subprocess.Popen[bytes] | None) -> None:
    with connection, contextlib.suppress(OSError):
        if child is None:
            connection.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + _HANG_UP_SECONDS
            while (left := deadline - time.monotonic()) > 0:
                connection.settimeout(left)
                if not connection.recv(1 << 16):
                    break
    if child is not None:
        child.kill()
        child.wait()


def start(command: Sequence[str] | None, deadline: float) -> ModelProcess:
    """A process that is ready; a child where the unit does not start one.

    `command` replaces the process in tests. Raises as `ModelProcess.wait_until_ready`, OSError.
    """
    forbid_attaching()
    connection = None if command else connect("model")
    if connection is not None:
        process = ModelProcess(connection, None)
        try:
            process.wait_until_ready(min(deadline, time.monotonic() + UNIT_SECONDS))
        except (TimeoutError, ProcessEndedError, ValueError):
            process.end()  # it has read nothing of a stranger's, who cannot be the reason
        else:
            return process
    process = ModelProcess(*spawn(command or interpreter(_WORKER)))
    try:
        process.wait_until_ready(deadline)
    except BaseException:
        process.end()
        raise
    return process


def try_confinement() -> Confinement:
    """Start a process and let it enter the sandbox."""
    deadline = time.monotonic() + _TRY_SECONDS
    try:
        process = start(None, deadline)
    except (OSError, ProcessEndedError, ValueError):
        return Confinement((), False, expects_unit(), MODEL)
    try:
        return process.load(1, (-1, -1, -1, -1), b"", [], deadline)
    except (OSError, ProcessEndedError, ValueError):
        return Confinement((), process.user != os.getuid(), expects_unit(), MODEL)
    finally:
        process.end()


@cache
def log_confinement(found: Confinement) -> None:
    """Log, once, what confines the process of a model on this machine."""
    if not found.missing:
        _log.info("%s", found.summary)
    else:
        level = logging.WARNING if found.unit_expected else logging.INFO
        _log.log(level, "%s See `truelight doctor`.", found.summary)
