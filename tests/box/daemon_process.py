"""`truelight run` as a process, with all that it tells systemd."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

import yaml
from frontdoor import ROOT, command
from waiting import until

WATCHDOG_SECONDS = 1.0


class Box:
    """`truelight run` as systemd starts it, and all that it tells systemd."""

    def __init__(
        self,
        folder: Path,
        bundle: Path,
        *,
        wrong: str = "",
        environment: Mapping[str, str] = MappingProxyType({}),
        **more: object,
    ) -> None:
        self.store, self.config = folder / "store", folder / "settings.yaml"
        self.inbox = self.store / "inbox"
        self.settings = {"model": {"bundle": str(bundle)}, "camera": {"kind": "none"}, **more}
        self.configure(wrong)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._listener.bind(str(folder / "notify"))
        self.messages: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        environment = (
            os.environ
            | dict(environment)
            | {
                "NOTIFY_SOCKET": str(folder / "notify"),
                "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6)),
                "RUNTIME_DIRECTORY": str(folder / "run"),
            }
        )
        self.process = subprocess.Popen(
            command("run", "--panel", "none", "--store", self.store, "--config", self.config),
            cwd=ROOT,
            env=environment,
            stderr=(folder / "log").open("w"),
        )
        self.log = folder / "log"

    def configure(self, text: str = "") -> None:
        """Write the settings; `text` in their stead."""
        self.config.write_text(text or yaml.safe_dump(self.settings))

    def drop(self, clip: Path, name: str = "") -> Path:
        """Move a clip into the inbox, whole."""
        place = self.inbox / (name or clip.name)
        shutil.copy(clip, place.with_suffix(".part"))
        return place.with_suffix(".part").rename(place)

    def lines(self, beginning: str = "") -> list[str]:
        return [line for line in self.messages if line.startswith(beginning)]

    @property
    def attempts(self) -> list[str]:
        """The identities of clips at which an attempt runs or did not end, by the history."""
        with closing(sqlite3.connect(self.store / "history.sqlite")) as database:
            return [clip for (clip,) in database.execute("SELECT clip FROM attempts")]

    def says(self, beginning: str, times: int = 1) -> None:
        """Wait until it has said this."""
        until(
            lambda: len(self.lines(beginning)) >= times or self.process.poll() is not None,
            60,
            lambda: f"not {beginning!r}, but {self.lines()}",
        )
        assert len(self.lines(beginning)) >= times, self.log.read_text()

    def reload(self) -> None:
        before = len(self.lines("READY=1"))
        self.process.send_signal(signal.SIGHUP)
        self.says("READY=1", before + 1)

    def end(self) -> int:
        """Have it end; the exit status."""
        self.process.terminate()
        return self.process.wait(60)

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        found = [(task / "children").read_text().split() for task in tasks]
        return [int(child) for children in found for child in children]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                message = self._listener.recv(4096).decode()
            except OSError:
                return
            self.messages += message.split("\n")


Start = Callable[..., Box]
