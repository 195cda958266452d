"""The graphs of a bundle that is not Truelight's: in a process of their own, confined like a clip.

Everything that reads a stranger's model happens there: parsing the graphs and the golden vector,
and all inference. Crops go in, and arrays of checked shape come back. If the process crashes or
hangs, that costs one clip: the next call starts another.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Final

import numpy as np

from edge.scan.child_process import forbid_attaching, interpreter, spawn
from edge.scan.frames import Crops, Floats
from edge.scan.model.bundle_info import BATCH, REMEDY, TOWER_BATCH, BundleError, BundleInfo
from edge.scan.model.manifest import FEATURES, GOLDEN, SEQUENCE, TOWER, File
from edge.scan.model.messages import HEADER, MOST_TEXT, Answer, Ask, pack, shape_of
from edge.text import one_line

LOAD_SECONDS: Final = 45.0
RUN_SECONDS: Final = 20.0
"""For a batch. The daemon lets 60 s pass without a sign of life, also while it loads the model; a
scan may wait for two batches."""
_GRACE = 5.0
"""Seconds for a process that has closed the connection to end."""
CONFINED_FILES: Final[tuple[File, ...]] = (FEATURES, SEQUENCE, GOLDEN, TOWER)
"""In the order in which the process gets them."""
_WORKER = "edge.scan.model.confined_worker"


class ModelProcessError(Exception):
    """The process of the model ended, or was ended, while it ran the graphs."""


class ConfinedGraphs:
    """The two graphs of a bundle in a process of their own, verified there. Any thread."""

    def __init__(
        self, info: BundleInfo, threads: int = 0, command: Sequence[str] | None = None
    ) -> None:
        """`command` replaces the process in tests. Raises BundleError as `load_bundle`."""
        self._info = info
        self._threads = threads or len(os.sched_getaffinity(0))
        self._command = command or interpreter(_WORKER)
        self._batch = TOWER_BATCH if TOWER in info.manifest.files else BATCH
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self.asks_generated = False
        """Whether the sequence graph says if a face was generated whole."""
        self._start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._child.pid

    def features(self, crops: Crops, output: str = "features") -> Floats:
        """As `Sessions.features`."""
        ask = Ask.MAP if output == "map" else Ask.FEATURES
        starts = range(0, max(len(crops), 1), self._batch)
        parts = [crops[at : at + self._batch] for at in starts]
        return np.concatenate([self._run(ask, np.asarray(part, np.uint8)) for part in parts])

    def sequence(self, features: Floats) -> Floats:
        """As `Sessions.sequence`."""
        return self._run(Ask.SEQUENCE, np.asarray(features, np.float32))

    def generated(self, features: Floats) -> Floats:
        """As `Sessions.generated`."""
        return self._run(Ask.GENERATED, np.asarray(features, np.float32))

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._finalizer()
            self._connection = None

    def _start(self) -> None:
        """Start the process and have it load the bundle. Raises BundleError."""
        names = [name for name in CONFINED_FILES if name in self._info.manifest.files]
        path = os.fsencode(self._info.path)
        with contextlib.ExitStack() as opened:
            contents = [opened.enter_context(self._info.open_verified(name)) for name in names]
            sizes = [os.fstat(content.fileno()).st_size for content in contents]
            sizes += [-1] * (4 - len(sizes))
            forbid_attaching()
            try:
                self._connection, self._child = spawn(self._command)
            except OSError as failure:
                text = f"The process of the model {self._info.path} cannot be started"
                raise BundleError(f"{text}: {failure.strerror}.", REMEDY) from None
            self._finalizer = weakref.finalize(self, _end, self._connection, self._child)
            self._connection.settimeout(LOAD_SECONDS)
            head = pack(Ask.LOAD, self._threads, *sizes, len(path))
            with contextlib.suppress(OSError):  # then it has ended, and the answer is missing
                socket.send_fds(self._connection, [head], [each.fileno() for each in contents])
                self._connection.sendall(path)
        try:
            kind, generated, *_ = self._receive_header(time.monotonic() + LOAD_SECONDS)
            if kind != Answer.LOADED:
                raise ValueError(f"answer {kind}")
        except (OSError, EOFError, ValueError) as failure:
            text = f"The model {self._info.path} cannot be loaded"
            raise BundleError(f"{text}: {self._how_it_failed(failure)}.", REMEDY) from None
        self.asks_generated = generated == 1

    def _run(self, ask: Ask, given: Crops | Floats) -> Floats:
        with self._lock:
            if self._connection is None:
                self._start()
            assert self._connection is not None
            deadline = time.monotonic() + RUN_SECONDS
            try:
                self._connection.settimeout(RUN_SECONDS)
                self._connection.sendall(pack(ask, given.ndim, *given.shape))
                self._connection.sendall(np.ascontiguousarray(given).data.cast("B"))
                header = self._receive_header(deadline)
                shape = shape_of(header)
                if header[0] != Answer.ARRAY or shape[0] != len(given):
                    raise ValueError(f"answer {header[:6]}")
                content = self._receive(4 * int(np.prod(shape)), deadline)
            except BundleError as refusal:
                self.close()
                raise ModelProcessError(refusal.message) from None
            except (OSError, EOFError, ValueError) as failure:
                how = self._how_it_failed(failure)
                raise ModelProcessError(f"The model {self._info.path} failed: {how}.") from None
        return np.frombuffer(content, np.float32).reshape(shape)

    def _receive_header(self, deadline: float) -> tuple[int, ...]:
        """The next header. Raises BundleError if it brings a refusal; TimeoutError, EOFError."""
        header = HEADER.unpack(self._receive(HEADER.size, deadline))
        if header[0] != Answer.REFUSED:
            return header
        if not 0 <= header[1] <= MOST_TEXT:
            raise ValueError(f"a text of {header[1]} bytes")
        text = self._receive(header[1], deadline).decode(errors="backslashreplace")
        raise BundleError(one_line(text), REMEDY)

    def _receive(self, size: int, deadline: float) -> bytearray:
        assert self._connection is not None
        content = bytearray(size)
        rest = memoryview(content)
        while rest:
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            count = self._connection.recv_into(rest)
            if not count:
                raise EOFError
            rest = rest[count:]
        return content

    def _how_it_failed(self, failure: Exception) -> str:
        """In words; the process is ended, and another one starts with the next call."""
        status = 0
        if not isinstance(failure, TimeoutError | ValueError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._child.wait(_GRACE)
        self.close()
        if isinstance(failure, TimeoutError):
            return "it does not answer in time"
        if isinstance(failure, ValueError):
            return "it returned invalid data"
        return f"it was ended by signal {-status}" if status < 0 else "it ended"


def _end(connection: socket.socket, child: subprocess.Popen[bytes]) -> None:
    connection.close()
    child.kill()
    child.wait()
