"""Decoder processes forked from one that has imported everything.

To start one takes most of the time that a small file costs. All else is as in the program: a
process for each clip, the same descriptors, the same sandbox.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn
from unittest import mock

from edge.scan.media import process

_PR_SET_CHILD_SUBREAPER = 36
_SERVE = (
    "import sys; sys.path[:] = {path!r}; from hostile.forked import {serve}; "
    "{serve}(int(sys.argv[1]))"
)


class Forked:
    """What the program uses of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def wait(self) -> int:
        """Reap it; its status."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def _import_readers() -> None:
    import edge.scan.media.heif
    import edge.scan.media.images
    import edge.scan.media.joined
    import edge.scan.media.video  # noqa: F401

    os.chdir("/")


def serve_requests(descriptor: int) -> NoReturn:
    """Fork a decoder process for each message, which brings its descriptors; answer with its id."""
    from edge.scan.media.worker import main

    _import_readers()
    requests = socket.socket(fileno=descriptor)
    empty = os.open(os.devnull, os.O_RDWR)
    requests.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1, 5)
        if not message:
            os._exit(0)
        between, to = os.pipe()
        if (first := os.fork()) == 0:
            if pid := os.fork():
                os.write(to, str(pid).encode())
                os._exit(0)
            os.setsid()
            *passed, log = descriptors
            for number, each in ((0, empty), (1, empty), (2, log)):
                os.dup2(each, number)
            for each in (descriptor, empty, log, between, to):
                os.close(each)
            main(*passed)
        os.waitpid(first, 0)  # from now on the decoder process is a child of the program
        answer = os.read(between, 20)
        for each in (*descriptors, between, to):
            os.close(each)
        requests.send(answer)


def serve_connections(descriptor: int) -> NoReturn:
    """Fork a supervisor, with its decoder process, for each connection: as systemd starts them."""
    from edge.scan.media import supervisor

    _import_readers()
    listener = socket.socket(fileno=descriptor)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os.dup2(connection.detach(), supervisor.CONNECTION)
            supervisor.main()
        connection.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


@contextmanager
def forked() -> Iterator[None]:
    """Within this, decoder processes are forked."""
    with _connections() if hasattr(process, "UNIT_SOCKET") else _requests():
        yield


def _start(serve: str, passed: socket.socket) -> subprocess.Popen[bytes]:
    code = _SERVE.format(path=sys.path, serve=serve)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(passed.fileno())],
        pass_fds=(passed.fileno(),),
        env={"LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"},
    )


@contextmanager
def _requests() -> Iterator[None]:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        server = _start("serve_requests", its)
    assert ours.recv(9) == b"ready"

    def spawn(command: Sequence[str], descriptors: tuple[int, ...], log: int) -> Forked:
        socket.send_fds(ours, [b"x"], [*descriptors, log])
        return Forked(int(ours.recv(20)))

    with ours, mock.patch.object(process, "_spawn", spawn):
        yield
    server.wait()


@contextmanager
def _connections() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, "decoder.sock")
        listener.bind(os.fspath(path))
        listener.listen()
        server = _start("serve_connections", listener)
        with mock.patch.object(process, "UNIT_SOCKET", path):
            yield
        server.kill()
        server.wait()
