"""Decoder processes forked from one that has imported everything.

To start one takes most of the time that a small file costs. All else is as on an installed box: a
process with a supervisor for each connection, as systemd starts them, and the same sandbox.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn
from unittest import mock

from edge.scan import child_process

_START = (
    "import sys; sys.path[:] = {path!r}; from hostile.forked import serve; serve(int(sys.argv[1]))"
)


def serve(descriptor: int) -> NoReturn:
    """Fork a supervisor, with its decoder process, for each connection to this socket."""
    from edge.scan import supervisor
    from edge.scan.media.parts import import_all

    import_all(lambda: False)
    os.chdir("/")
    listener = socket.socket(fileno=descriptor)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            os.dup2(connection.detach(), supervisor.CONNECTION)
            supervisor.main("edge.scan.media.worker")
        connection.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


@contextmanager
def forked() -> Iterator[None]:
    """Within this, decoder processes are forked."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, "decoder.sock")
        listener.bind(os.fspath(path))
        listener.listen()
        server = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path), str(listener.fileno())],
            pass_fds=(listener.fileno(),),
            env={"LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"},
        )
        try:
            with mock.patch.object(child_process, "UNITS", path.parent):
                yield
        finally:
            server.kill()
            server.wait()
