"""Stands for systemd: starts a supervisor for each connection to a unit's socket."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

SUPERVISOR = """
import sys
from importlib import import_module
from edge.scan import supervisor
worker = import_module({module!r})
supervisor.CONNECTION = int(sys.argv[1])
{body}
supervisor.main({module!r})
"""


class ListeningUnit:
    """Of one kind, "decoder" or "model", whose process runs `main` of `module`.

    Its folder takes the place of `edge.scan.child_process.UNITS`.
    """

    def __init__(self, folder: Path, kind: str, module: str) -> None:
        self.body = ""
        """Python that is run before, with the module as `worker`."""
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        self._module = module
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / f"{kind}.sock"))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    code = SUPERVISOR.format(module=self._module, body=self.body)
                    number = connection.fileno()
                    command = [sys.executable, "-c", code, str(number)]
                    self.started.append(subprocess.Popen(command, pass_fds=(number,)))

    def close(self) -> None:
        """Stop, and wait for what was started: all of it ends."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for supervisor in self.started:
            supervisor.wait(60)
