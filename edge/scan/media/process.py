"""The decoding child as a process: started fresh, spoken to, ended for certain.

It inherits four descriptors and nothing else: no settings, no terminal, no place in the file
system. What it says is checked by the cage.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.scan.media.protocol import Fault, Order, RefusedError, pack, read_exactly

_log = logging.getLogger(__name__)

_START = (
    "import sys; sys.path[:] = {path!r}; from edge.scan.media.worker import main; "
    "main(*map(int, sys.argv[1:]))"
)
_HERE = str(Path(__file__).resolve().parents[3])
# Kept from before threads import things: cv2, while it is imported, has a folder on the path whose
# `typing` would stand before Python's own in a child that is started in that moment.
_PATH = [_HERE, *(entry for entry in sys.path if entry and entry != _HERE)]
_LOG_BYTES = 65536
_POLL_SECONDS = 0.002
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Child:
    """The process, its pipes and its shared memory.

    `command` is started with four descriptors as arguments: orders, reports, clip, memory. Raises
    RefusedError for whatever goes wrong.
    """

    def __init__(self, path: Path, grace: float, command: Sequence[str] | None) -> None:
        self._grace = grace
        self._ended = False
        with contextlib.ExitStack() as passed, contextlib.ExitStack() as kept:
            clip = _closing(passed, _open_regular(path))
            memory = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            self._memory = _closing(kept, memory)
            orders, self._orders = _pipe(passed, kept)
            self._reports, reports = _pipe(kept, passed)
            self._log, log = _pipe(kept, passed)
            # Neither side ever waits for the other to read.
            for descriptor in (self._orders, self._log, log):
                os.set_blocking(descriptor, False)
            descriptors = (orders, reports, clip, memory)
            self._process = _spawn(command or _command(), descriptors, log)
            self._kept = kept.pop_all()

    def send(self, kind: Order, *fields: int) -> None:
        """Send an order; never waits for the child to read it."""
        try:
            os.write(self._orders, pack(kind, *fields))
        except BrokenPipeError:
            return  # it has ended; what it said last is still to be read
        except BlockingIOError:
            raise RefusedError(Fault.LIED) from None

    def receive(self, deadline: float) -> tuple[int, ...]:
        """Wait for a message until `deadline` on `time.monotonic`'s clock: else TimeoutError."""
        try:
            message = read_exactly(self._reports, deadline)
        except EOFError:
            raise RefusedError(Fault.LIED) from None
        if message is None:
            raise RefusedError(self._how_it_ended())
        return message

    def share(self, slots: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        """The shared memory as uint8 `[slots, height, width, 3]`, read-only on this side.

        Sealed: were the child able to shrink it, reading would kill this process.
        """
        size = slots * height * width * 3
        os.ftruncate(self._memory, size)
        fcntl.fcntl(self._memory, fcntl.F_ADD_SEALS, _SEALS)
        shared = mmap.mmap(self._memory, size, prot=mmap.PROT_READ)
        return np.frombuffer(shared, np.uint8).reshape(slots, height, width, 3)

    def end(self) -> None:
        """Close the pipes, which ends a sane child; kill what stays; leave no zombie."""
        if self._ended:
            return
        self._ended = True
        self._show_log()
        self._kept.close()
        if not self._has_exited(self._grace / 4):
            _log.debug("decoder %d is killed", self._process.pid)
        self._reap()

    def _how_it_ended(self) -> Fault:
        if not self._has_exited(self._grace):
            return Fault.HUNG
        status = self._reap()
        _log.debug("decoder %d ended with status %s", self._process.pid, status)
        return Fault.TOO_MUCH_WORK if status == -signal.SIGXCPU else Fault.CRASHED

    def _has_exited(self, seconds: float) -> bool:
        """Wait for its end without reaping it, so that its process group keeps its number."""
        if self._process.returncode is not None:
            return True
        deadline = time.monotonic() + seconds
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, self._process.pid, flags) is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _reap(self) -> int | None:
        """Kill the child and all it may have started; its exit status, None if it cannot die."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            if self._has_exited(self._grace * 5):
                return self._process.wait()
            _log.error("decoder %d cannot be killed; going on without it", self._process.pid)
        return self._process.returncode

    def _show_log(self) -> None:
        """What it complained about, as far as the pipe held it: for debugging only."""
        with contextlib.suppress(BlockingIOError):
            complaint = os.read(self._log, _LOG_BYTES)
            if complaint:
                _log.debug("decoder %d: %s", self._process.pid, ascii(complaint.decode("latin-1")))


def _closing(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    return _closing(reader, read), _closing(writer, write)


def _open_regular(path: Path) -> int:
    """A read-only descriptor of a regular file; never waits for a pipe or wakes a device."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise RefusedError(Fault.MISSING) from None
    except PermissionError:
        raise RefusedError(Fault.FORBIDDEN) from None
    except OSError as error:
        not_a_file = stat.S_ISSOCK(_mode(path))
        raise RefusedError(Fault.NOT_A_FILE if not_a_file else Fault.INPUT) from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size > 0:
        return descriptor
    os.close(descriptor)
    raise RefusedError(Fault.EMPTY if stat.S_ISREG(status.st_mode) else Fault.NOT_A_FILE)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _command() -> list[str]:
    """A fresh interpreter that imports from where this one does, and reads no settings."""
    return [sys.executable, "-I", "-S", "-c", _START.format(path=_PATH)]


def _spawn(
    command: Sequence[str], descriptors: tuple[int, ...], log: int
) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    try:
        return subprocess.Popen(
            [*command, *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=descriptors,
            start_new_session=True,
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", **kept},
        )
    except OSError as error:
        raise RefusedError(Fault.NO_CHILD) from error
