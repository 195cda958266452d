"""The other end of the box's socket, for tests."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


class Asking:
    """One connection, request after request."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def send(self, line: bytes) -> dict[str, Any]:
        self._socket.sendall(line + b"\n")
        answer: dict[str, Any] = json.loads(self._file.readline() or b"{}")
        return answer

    def ask(self, what: str, **about: object) -> dict[str, Any]:
        """The answer; fails if there is none."""
        said = self.send(json.dumps({"version": 1, "ask": what, "about": about}).encode())
        assert "answer" in said, said
        answer: dict[str, Any] = said["answer"]
        return answer

    def refused(self, what: str, **about: object) -> str:
        """The code of the failure."""
        said = self.send(json.dumps({"version": 1, "ask": what, "about": about}).encode())
        code: str = said["failure"]["code"]
        return code

    def close(self) -> None:
        self._file.close()
        self._socket.close()
