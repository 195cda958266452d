"""A decoder process from outside: started fresh, spoken to, ended for certain.

On an installed box it is a process of its own unit and user, reached by a socket of root's
(`systemd/truelight-decoder@.service`); elsewhere it is a child of this program. It gets one
connection and, with a clip, three descriptors: no settings, no terminal, no folder. `client` checks
what it answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import select
import signal
import socket
import subprocess
import time
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edge.scan.child_messages import Notice, pack, read_message
from edge.scan.child_process import connect, forbid_attaching, interpreter, spawn
from edge.scan.media.protocol import ClipError, Fault, Request

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_log = logging.getLogger(__name__)

_WORKER = "edge.scan.media.worker"
_LOG_BYTES = 65536
_POLL_SECONDS = 0.002
_START_SECONDS = 20.0
_WAIT_SECONDS = 0.5
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class DecoderProcess:
    """One decoder process, its connection, and its shared memory.

    `command` is started with the connection's descriptor as its argument; without it, the unit is
    asked first, unless `child`. Raises ClipError if anything goes wrong.
    """

    def __init__(self, command: Sequence[str] | None = None, *, child: bool = False) -> None:
        self.pid = 0
        """The process's id; of the unit's, what it says itself."""
        self.user = os.getuid()
        """The user that it runs as."""
        self.grace = 1.0
        """Seconds from one step of ending it to the next."""
        self._ended = self._ready = False
        self._child: subprocess.Popen[bytes] | None = None
        forbid_attaching()
        connection = None if command or child else connect("decoder")
        with contextlib.ExitStack() as kept:
            if connection is None:
                try:
                    connection, self._child = spawn(command or interpreter(_WORKER))
                except OSError as error:
                    raise ClipError(Fault.NOT_STARTED) from error
                self.pid = self._child.pid
            self._connection = kept.enter_context(connection)
            self._memory = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            kept.callback(os.close, self._memory)
            self._log, self._its_log = os.pipe()
            kept.callback(os.close, self._log)
            self._not_handed_over = kept.enter_context(contextlib.ExitStack())
            self._not_handed_over.callback(os.close, self._its_log)
            # Neither side ever waits for the other to read.
            for descriptor in (self._log, self._its_log):
                os.set_blocking(descriptor, False)
            self._kept = kept.pop_all()

    @property
    def is_child(self) -> bool:
        """Whether it is a child of this program, not a process of the unit."""
        return self._child is not None

    def is_ready(self, waiting: Callable[[], None] = lambda: None) -> bool:
        """Wait until it has started; False if that fails. `waiting` is called now and then."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready:
            try:
                until = min(deadline, time.monotonic() + _WAIT_SECONDS)
                message = self._read(until)
            except TimeoutError:
                if time.monotonic() >= deadline:
                    return False
                waiting()
                continue
            except EOFError:
                return False
            if message is None or message[0] != Notice.READY:
                return False
            self._ready = True
            if self._child is None:
                self.user, self.pid = message[1:3]
        return not self._has_hung_up()

    def send(self, kind: Request, *fields: int, clip: int | None = None) -> None:
        """Send a request without waiting for the process to read it.

        With the first one, it gets the clip's descriptor, the memory's and that of its log.
        """
        given = [] if clip is None else [clip, self._memory, self._its_log]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", given))] if given else []
        try:
            self._connection.sendmsg([pack(kind, *fields)], rights, socket.MSG_DONTWAIT)
        except (BrokenPipeError, ConnectionResetError):
            return  # it has ended; its last reply is still to be read
        except BlockingIOError:
            raise ClipError(Fault.INVALID_DATA) from None
        finally:
            self._not_handed_over.close()

    def receive(self, deadline: float) -> tuple[int, ...]:
        """Wait for a message until `deadline` on `time.monotonic`'s clock: else TimeoutError."""
        try:
            message = self._read(deadline)
        except EOFError:
            raise ClipError(Fault.INVALID_DATA) from None
        if message is None or message[0] == Notice.ENDED:
            raise ClipError(self._how_it_ended(message))
        return message

    def share(self, size: int) -> npt.NDArray[np.uint8]:
        """The shared memory as uint8 `[size]`, read-only on this side. Pages exist once written.

        Sealed: if the decoder process could shrink it, reading would kill this one.
        """
        import numpy as np  # not before a decoder process has been started

        os.ftruncate(self._memory, size)
        fcntl.fcntl(self._memory, fcntl.F_ADD_SEALS, _SEALS)
        shared = mmap.mmap(self._memory, size, prot=mmap.PROT_READ)
        return np.frombuffer(shared, np.uint8)

    def end(self) -> None:
        """Hang up, which ends it; kill a child that lives on; leave no zombie.

        A process of the unit is killed by its supervisor.
        """
        if self._ended:
            return
        self._ended = True
        self._write_log()
        if self._child is None and not self._hang_up():
            _log.warning("decoder %d of the unit does not end; going on without it", self.pid)
        self._kept.close()
        if self._child is not None:
            if not self._has_exited(self.grace / 4):
                _log.debug("decoder %d is killed", self.pid)
            self._reap()

    def _read(self, deadline: float) -> tuple[int, ...] | None:
        return read_message(self._connection.fileno(), deadline)

    def _hang_up(self) -> bool:
        """End the connection; whether the other side has ended it too."""
        deadline = time.monotonic() + self.grace
        try:
            self._connection.shutdown(socket.SHUT_WR)
            while (in_time := time.monotonic() < deadline) and self._read(deadline):
                pass
        except TimeoutError:
            return False
        except (OSError, EOFError):
            return True
        return in_time

    def _has_hung_up(self) -> bool:
        """Whether the process has ended, or has given up its connection."""
        poll = select.poll()
        poll.register(self._connection, select.POLLRDHUP)
        return bool(poll.poll(0))

    def _how_it_ended(self, message: tuple[int, ...] | None) -> Fault:
        if self._child is None:
            status = -message[1] if message else None
        elif not self._has_exited(self.grace):
            return Fault.HUNG
        else:
            status = self._reap()
        _log.debug("decoder %d ended with status %s", self.pid, status)
        return Fault.TOO_MUCH_WORK if status == -signal.SIGXCPU else Fault.CRASHED

    def _has_exited(self, seconds: float) -> bool:
        """Wait for its end without reaping it, so that its process group keeps its id."""
        assert self._child is not None
        if self._child.returncode is not None:
            return True
        deadline = time.monotonic() + seconds
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, self.pid, flags) is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _reap(self) -> int | None:
        """Kill it and all it may have started; its exit status, None if it cannot be killed."""
        assert self._child is not None
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            if self._has_exited(self.grace * 5):
                return self._child.wait()
            _log.error("decoder %d cannot be killed; going on without it", self.pid)
        return self._child.returncode

    def _write_log(self) -> None:
        """Log what it wrote to stderr, as far as the pipe held it."""
        with contextlib.suppress(BlockingIOError):
            stderr = os.read(self._log, _LOG_BYTES)
            if stderr:
                _log.debug("decoder %d: %s", self.pid, ascii(stderr.decode("latin-1")))
