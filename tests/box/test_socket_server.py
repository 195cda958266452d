"""The socket's file is there when, and only when, connections are taken."""

import socket
import stat
from pathlib import Path

import pytest

from edge.box import socket_server
from edge.box.socket_server import MODE, SocketServer


def test_the_socket_is_seen_only_once_it_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "box.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))  # what a daemon that was killed leaves
    seen = []
    activate = socket_server._Server.server_activate

    def listen(server: socket_server._Server) -> None:
        seen.append(path.exists())
        activate(server)

    monkeypatch.setattr(socket_server._Server, "server_activate", listen)
    server = SocketServer(path, {})
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(path))
        assert (seen, stat.S_IMODE(path.stat().st_mode)) == ([False], MODE)
        assert list(tmp_path.iterdir()) == [path]
    finally:
        server.close()
    assert not list(tmp_path.iterdir())
