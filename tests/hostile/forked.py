"""Daemons and decoder processes forked from one that has imported everything.

To start one takes most of the time that a small file or a kill costs. All else is as on an
installed box: a decoder process with a supervisor for each connection, as systemd starts them, and
the same sandbox; a daemon in a session of its own that reads its own settings.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from frontdoor import ROOT

from edge.scan import child_process

_START = (
    "import sys; sys.path[:] = {path!r}; from hostile.forked import serve; "
    "serve(int(sys.argv[1]), sys.argv[2])"
)
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNS, _MS_BIND = 0x00020000, 4096


def serve(descriptor: int, what: str) -> None:
    """Fork a `decoder` or a `daemon` for each connection to this socket."""
    _end_with_parent()
    begin = {"decoder": _prepared_decoder, "daemon": _prepared_daemon}[what]()
    os.chdir("/")
    listener = socket.socket(fileno=descriptor)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            _end_with_parent()
            begin(connection)
            return
        connection.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _prepared_decoder() -> Callable[[socket.socket], object]:
    from edge.scan import supervisor
    from edge.scan.media.parts import import_all

    def begin(connection: socket.socket) -> NoReturn:
        os.dup2(connection.detach(), supervisor.CONNECTION)
        supervisor.main("edge.scan.media.worker")

    import_all(lambda: False)
    return begin


def _prepared_daemon() -> Callable[[socket.socket], object]:
    import edge.box.daemon
    import edge.cli.run
    import edge.history.report
    import edge.scan.faces.search
    import edge.scan.model.bundle
    import edge.scan.model.saliency
    import edge.scan.scanner  # noqa: F401
    from edge.cli.main import main

    def begin(connection: socket.socket) -> None:
        """Say the daemon's id, and how it ended; in the daemon, exit as the program does."""
        with connection, connection.makefile("rwb", buffering=0) as lines:
            told = json.loads(lines.readline())
            daemon = os.fork()
            if daemon:
                lines.write(b"%d\n" % daemon)
                status = os.waitstatus_to_exitcode(os.waitpid(daemon, 0)[1])
                with suppress(BrokenPipeError):
                    lines.write(b"%d\n" % status)
                os._exit(0)
        _become(told)
        sys.exit(main(told["arguments"]))

    return begin


def _become(told: Mapping[str, Any]) -> None:
    """Be a process as the program finds it when it starts."""
    _end_with_parent()
    os.setsid()
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(told["environment"])
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    child_process.UNITS = Path(told["decoders"]).parent
    libc = ctypes.CDLL(None, use_errno=True)
    if told["instead"]:
        assert libc.unshare(_CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    for instead, path in told["instead"].items():
        places = os.fsencode(instead), os.fsencode(path)
        assert libc.mount(*places, None, _MS_BIND, None) == 0, os.strerror(ctypes.get_errno())


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@dataclass(frozen=True)
class Forks:
    """Where daemons and their decoder processes are forked."""

    daemons: Path
    decoders: Path
    decoder_server: int
    """The id of the process whose children decode."""


class ForkedDaemon:
    """A daemon, as `subprocess.Popen` shows one."""

    def __init__(
        self,
        forks: Forks,
        arguments: Sequence[object],
        log: Path,
        environment: Mapping[str, str],
        instead: Mapping[str, str],
    ) -> None:
        """Start it. `instead`: files that it sees in the place of others, for root."""
        told = {
            "arguments": [str(each) for each in arguments],
            "environment": dict(environment),
            "instead": dict(instead),
            "log": str(log),
            "decoders": str(forks.decoders),
        }
        log.write_bytes(b"")
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(os.fspath(forks.daemons))
        self._connection.sendall(json.dumps(told).encode() + b"\n")
        self._lines = self._connection.makefile("rb", buffering=0)
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its status. Raises TimeoutExpired."""
        if self.returncode is None:
            if timeout is not None and not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("daemon", timeout)
            self.returncode = int(self._lines.readline() or -1)
            self._lines.close()
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its status, if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None

    def kill(self) -> None:
        """Kill it."""
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        """End it as systemd does."""
        self._send(signal.SIGTERM)

    def _send(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


@contextmanager
def _server(folder: Path, what: str) -> Iterator[tuple[Path, int]]:
    """A socket and the process that serves it."""
    with socket.socket(socket.AF_UNIX) as listener:
        path = folder / f"{what}.sock"
        listener.bind(os.fspath(path))
        listener.listen()
        server = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path), str(listener.fileno()), what],
            pass_fds=(listener.fileno(),),
            env={"LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"},
        )
        listener.close()  # if the server dies, nobody waits for it
        try:
            yield path, server.pid
        finally:
            server.kill()
            server.wait()


@contextmanager
def forked() -> Iterator[None]:
    """Within this, decoder processes of this process are forked."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(Path(folder), "decoder") as (path, _),
        mock.patch.object(child_process, "UNITS", path.parent),
    ):
        yield


@contextmanager
def forks() -> Iterator[Forks]:
    """Where to fork daemons, within this."""
    with (
        tempfile.TemporaryDirectory() as name,
        _server(Path(name), "daemon") as (daemons, _),
        _server(Path(name), "decoder") as (decoders, server),
    ):
        yield Forks(daemons, decoders, server)
