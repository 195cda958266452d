"""The decoder process from outside: started fresh, spoken to, ended for certain.

It inherits four descriptors and nothing else: no settings, no terminal, no folder. `client` checks
what it answers.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import logging
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.scan.media.clip_file import ClipFile
from edge.scan.media.protocol import ClipError, Fault, Request, pack, read_message

_log = logging.getLogger(__name__)

SANDBOX_LAYERS = {
    "limits": "limits on memory, processor time, file size and open files",
    "no_new_privs": "no new privileges",
    "landlock_files": "no access to files (Landlock)",
    "landlock_network": "no TCP (Landlock, Linux 6.7)",
    "landlock_scope": "no signals to other processes (Landlock, Linux 6.12)",
    "seccomp": "only the system calls that decoding needs (seccomp)",
}
"""What confines the decoder process, in the order in which it is entered, in words."""

_START = (
    "import sys; sys.path[:] = {path!r}; from edge.scan.media.worker import main; "
    "main(*map(int, sys.argv[1:]))"
)
_TRY_SANDBOX = (
    "import sys; sys.path[:] = {path!r}; from edge.scan.media import sandbox; import os; "
    "os.write(1, ' '.join(sandbox.enter(20, 1 << 30, (1,))).encode()); os._exit(0)"
)
_PR_SET_DUMPABLE = 4
_HERE = str(Path(__file__).resolve().parents[3])
# Copied before threads import modules: cv2, while it is imported, has a folder on the path whose
# `typing` would hide Python's own in a process that is started in that moment.
_PATH = [_HERE, *(entry for entry in sys.path if entry and entry != _HERE)]
_LOG_BYTES = 65536
_POLL_SECONDS = 0.002
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class DecoderProcess:
    """The process, its pipes and its shared memory.

    `command` is started with four descriptors as arguments: requests, replies, clip, memory. Raises
    ClipError if anything goes wrong.
    """

    def __init__(self, file: ClipFile, grace: float, command: Sequence[str] | None) -> None:
        self._grace = grace
        self._ended = False
        # No other process of this user may read this one's memory or attach to it.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        with contextlib.ExitStack() as passed, contextlib.ExitStack() as kept:
            if file.size == 0:
                raise ClipError(Fault.EMPTY)
            memory = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            self._memory = _closing(kept, memory)
            requests, self._requests = _pipe(passed, kept)
            self._replies, replies = _pipe(kept, passed)
            self._log, log = _pipe(kept, passed)
            # Neither side ever waits for the other to read.
            for descriptor in (self._requests, self._log, log):
                os.set_blocking(descriptor, False)
            descriptors = (requests, replies, file.descriptor, memory)
            self._process = _spawn(command or _command(), descriptors, log)
            self.pid = self._process.pid
            self._kept = kept.pop_all()

    def send(self, kind: Request, *fields: int) -> None:
        """Send a request without waiting for the process to read it."""
        try:
            os.write(self._requests, pack(kind, *fields))
        except BrokenPipeError:
            return  # it has ended; its last reply is still to be read
        except BlockingIOError:
            raise ClipError(Fault.INVALID_DATA) from None

    def receive(self, deadline: float) -> tuple[int, ...]:
        """Wait for a message until `deadline` on `time.monotonic`'s clock: else TimeoutError."""
        try:
            message = read_message(self._replies, deadline)
        except EOFError:
            raise ClipError(Fault.INVALID_DATA) from None
        if message is None:
            raise ClipError(self._how_it_ended())
        return message

    def share(self, size: int) -> npt.NDArray[np.uint8]:
        """The shared memory as uint8 `[size]`, read-only on this side. Pages exist once written.

        Sealed: if the decoder process could shrink it, reading would kill this one.
        """
        os.ftruncate(self._memory, size)
        fcntl.fcntl(self._memory, fcntl.F_ADD_SEALS, _SEALS)
        shared = mmap.mmap(self._memory, size, prot=mmap.PROT_READ)
        return np.frombuffer(shared, np.uint8)

    def end(self) -> None:
        """Close the pipes, which ends it; kill it if that does not; leave no zombie."""
        if self._ended:
            return
        self._ended = True
        self._write_log()
        self._kept.close()
        if not self._has_exited(self._grace / 4):
            _log.debug("decoder %d is killed", self.pid)
        self._reap()

    def _how_it_ended(self) -> Fault:
        if not self._has_exited(self._grace):
            return Fault.HUNG
        status = self._reap()
        _log.debug("decoder %d ended with status %s", self.pid, status)
        return Fault.TOO_MUCH_WORK if status == -signal.SIGXCPU else Fault.CRASHED

    def _has_exited(self, seconds: float) -> bool:
        """Wait for its end without reaping it, so that its process group keeps its id."""
        if self._process.returncode is not None:
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
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            if self._has_exited(self._grace * 5):
                return self._process.wait()
            _log.error("decoder %d cannot be killed; going on without it", self.pid)
        return self._process.returncode

    def _write_log(self) -> None:
        """Log what it wrote to stderr, as far as the pipe held it."""
        with contextlib.suppress(BlockingIOError):
            stderr = os.read(self._log, _LOG_BYTES)
            if stderr:
                _log.debug("decoder %d: %s", self.pid, ascii(stderr.decode("latin-1")))


def _closing(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    return _closing(reader, read), _closing(writer, write)


def sandbox_layers() -> tuple[str, ...]:
    """Those of `SANDBOX_LAYERS` that hold on this machine, tried in a process of their own."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        tried = subprocess.run(
            _command(_TRY_SANDBOX),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            cwd="/",
        )
        return tuple(tried.stdout.decode("ascii", "replace").split())
    return ()


@cache
def log_sandbox_layers() -> None:
    """Log, once, what confines the decoder process on this machine."""
    held = sandbox_layers()
    missing = "; ".join(text for name, text in SANDBOX_LAYERS.items() if name not in held)
    if missing:
        _log.warning("The decoder process lacks: %s. See `truelight doctor`.", missing)
    else:
        _log.info("The decoder process is confined by every layer.")


def _command(program: str = _START) -> list[str]:
    """A fresh interpreter that imports from where this one does, and reads no settings."""
    return [sys.executable, "-I", "-S", "-c", program.format(path=_PATH)]


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
        raise ClipError(Fault.NOT_STARTED) from error
