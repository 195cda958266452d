"""Starts the processes that read what strangers bring: each has one connection, and nothing else.

On an installed box such a process is of a unit and user of its own, reached by a socket of root's;
elsewhere it is a child of this program, a fresh interpreter. And what it needs of this module: to
end when the program does.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

UNITS = Path("/run/truelight")
"""Where the sockets of the units are."""

_START = (
    "import gc, sys; gc.disable(); sys.path[:] = {path!r}; "
    "from {module} import main; main(int(sys.argv[1]))"
)
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""As in the decoder's unit; threads that share heaps leave less memory unused."""
_PR_SET_DUMPABLE = 4
_HERE = str(Path(__file__).resolve().parents[2])
# Copied before threads import modules: cv2, while it is imported, has a folder on the path whose
# `typing` would hide Python's own in a process that is started in that moment.
PATH = [_HERE, *(entry for entry in sys.path if entry and entry != _HERE)]


def forbid_attaching() -> None:
    """From now on no other process of this user may read this one's memory or attach to it."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def interpreter(module: str) -> list[str]:
    """A command that runs `main(connection)` of a module.

    It imports from where this program does, and reads no settings.
    """
    return [sys.executable, "-I", "-S", "-c", _START.format(path=PATH, module=module)]


def spawn(command: Sequence[str]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start a command with one end of a connection, whose number is its last argument.

    It shares stderr with this program, and is in a session of its own. Raises OSError.
    """
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            child = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
                env={**_ENVIRONMENT, **kept},
            )
        except OSError:
            ours.close()
            raise
    return ours, child


def connect(kind: str) -> socket.socket | None:
    """A connection to a new process of a unit, "decoder" or "model"; None where this user has none.

    Each connection becomes a process: `systemd/truelight-decoder.socket`, `truelight-model.socket`.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(os.fspath(UNITS / f"{kind}.sock"))
    except OSError:
        connection.close()
        return None
    return connection


def expects_unit() -> bool:
    """Whether this machine is a box, and this program the daemon's user or root."""
    return os.access(UNITS / "reports", os.X_OK)


def end_with(connection: int) -> None:
    """End this process, whatever it does, when the other side of the connection ends.

    Starts a thread.
    """

    def watch() -> NoReturn:
        poll = select.poll()
        poll.register(connection, select.POLLRDHUP)
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
