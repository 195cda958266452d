"""The main process of a decoder unit: starts the decoder process, and ends it with its connection.

Nobody but systemd may signal a process of another user: the program hangs up, this process kills,
and systemd kills what is left of the unit. It never reads from the connection, nor from a clip.

    python -m edge.scan.media.supervisor    with the connection as descriptor 3, as systemd gives it
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
from contextlib import suppress
from typing import NoReturn

from edge.scan.media.protocol import Reply, pack

CONNECTION = 3
_PR_SET_DUMPABLE = 4


def main() -> NoReturn:
    """Supervise one decoder process, then exit."""
    # Neither may be read or attached to by other processes of their user.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    decoder = os.fork()
    if not decoder:
        os.setsid()
        from edge.scan.media import worker

        worker.main(CONNECTION)
    poll = select.poll()
    poll.register(CONNECTION, select.POLLRDHUP)
    poll.register(os.pidfd_open(decoder), select.POLLIN)
    poll.poll()
    with suppress(ProcessLookupError):
        os.kill(decoder, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(decoder, 0)[1])
    with suppress(OSError):
        os.write(CONNECTION, pack(Reply.ENDED, max(0, -status)))
    os._exit(0)


if __name__ == "__main__":
    main()
