"""The main process of a unit: starts one process that reads a stranger's file, and ends it with
its connection.

Nobody but systemd may signal a process of another user: the program hangs up, this process kills,
and systemd kills what is left of the unit. It never reads from the connection, nor from a file.

    python -m edge.scan.supervisor MODULE    whose `main` gets the connection: descriptor 3, as
                                             systemd gives it
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from edge.scan.child_messages import Notice, pack

CONNECTION = 3
_PR_SET_DUMPABLE = 4


def main(module: str) -> NoReturn:
    """Supervise one process that runs `main` of this module, then exit."""
    # Neither may be read or attached to by other processes of their user.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    worker = os.fork()
    if not worker:
        os.setsid()
        import_module(module).main(CONNECTION)
    poll = select.poll()
    poll.register(CONNECTION, select.POLLRDHUP)
    poll.register(os.pidfd_open(worker), select.POLLIN)
    poll.poll()
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    with suppress(OSError):
        os.write(CONNECTION, pack(Notice.ENDED, max(0, -status)))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
