"""A box for a machine that has none: `truelight run` without a panel, as a child of the page.

So the page is the same everywhere: it talks to a daemon by its socket. The child is started again
when it ends, as systemd does on the box.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from edge.errors import TruelightError
from edge.settings import HOME

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 1.0

_log = logging.getLogger("truelight")


@contextmanager
def own_box(store: Path, sections: Mapping[str, Mapping[str, Any]]) -> Iterator[Path]:
    """Run a daemon with these settings; its socket.

    Raises TruelightError: it does not start; it has said why itself.
    """
    with tempfile.TemporaryDirectory(prefix="truelight-") as name:
        folder = Path(name)
        (folder / "web").mkdir(mode=0o700)
        config = folder / "settings.yaml"
        config.write_text(yaml.safe_dump({key: dict(of) for key, of in sections.items()}))
        daemon = _Daemon(store, config, folder)
        try:
            daemon.wait(folder / "web" / "box.sock")
            yield folder / "web" / "box.sock"
        finally:
            daemon.close()


class _Daemon:
    """Keeps the child running."""

    def __init__(self, store: Path, config: Path, runtime: Path) -> None:
        program = [sys.executable, "-m", "edge.cli.main", "run", "--panel", "none"]
        self._command = [*program, "--store", str(store), "--config", str(config)]
        self._environment = os.environ | {"RUNTIME_DIRECTORY": str(runtime)}
        path = self._environment.get("PYTHONPATH", "")
        self._environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HOME), path)))
        self._closing = threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep, name="own box", daemon=True)

    def wait(self, socket: Path) -> None:
        """Wait until the child listens. Raises TruelightError if it does not."""
        until = time.monotonic() + START_SECONDS
        while not socket.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                message = "What judges the clips does not start."
                raise TruelightError(message, "The lines above say why.")
            time.sleep(0.05)
        self._thread.start()

    def close(self) -> None:
        """End the child."""
        self._closing.set()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        # Ctrl-C in the terminal ends the page, which then ends the child.
        return subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.DEVNULL, process_group=0
        )

    def _keep(self) -> None:
        while True:
            status = self._process.wait()
            if self._closing.is_set():
                return
            name = signal.Signals(-status).name if status < 0 else f"status {status}"
            _log.warning("What judges the clips ended (%s); it is started again.", name)
            self._closing.wait(AGAIN_SECONDS)
            if self._closing.is_set():
                return
            self._process = self._start()
