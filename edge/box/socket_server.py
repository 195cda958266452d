"""The box's socket: requests as JSON lines, each answered from a thread of its connection.

The daemon has no network. Who may open the socket's file may ask: the page's process, which has
another user. A connection that asks nonsense costs itself and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from edge.errors import TruelightError
from edge.socket_messages import MOST_REQUEST_BYTES, Answer, Failure, Request

MOST_CONNECTIONS: Final = 24
IDLE_SECONDS: Final = 60.0
"""A connection that asks nothing for so long is closed."""
REFUSAL_SECONDS: Final = 1.0
"""For the request of a connection that is one too many."""
MODE: Final = 0o660

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Answers a request from its arguments. May raise `MissingError` or TruelightError."""

_log = logging.getLogger("truelight")


class MissingError(TruelightError):
    """What a request asks for is not there, or no longer."""


class SocketServer:
    """Serves a UNIX socket until it is closed."""

    def __init__(self, path: Path, asks: Mapping[str, Ask]) -> None:
        """Listen at `path`, whose folder exists. Raises OSError: it cannot be made."""
        self._path = path
        # Renamed when it listens: who sees a socket that was only bound is refused.
        bound = path.with_suffix(".new")
        for left in (path, bound):  # by a daemon that was killed
            left.unlink(missing_ok=True)
        self._server = _Server(str(bound), asks)
        bound.chmod(MODE)
        bound.rename(path)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="socket"
        )
        self._thread.daemon = True
        self._thread.start()

    def close(self) -> None:
        """Listen no longer; connections that wait are answered or left to their threads."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 2 * MOST_CONNECTIONS

    def __init__(self, path: str, asks: Mapping[str, Ask]) -> None:
        self.asks = asks
        self.room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(path, _Connection)

    def handle_error(self, *_: object) -> None:
        _log.exception("A connection to the box's socket failed.")


class _Connection(socketserver.StreamRequestHandler):
    server: _Server
    timeout = IDLE_SECONDS

    def handle(self) -> None:
        """Answer request after request until the other side closes."""
        if not self.server.room.acquire(blocking=False):
            # The request is read first: who closes with it unread breaks the other side's pipe.
            self.connection.settimeout(REFUSAL_SECONDS)
            with contextlib.suppress(OSError):
                self.rfile.readline(MOST_REQUEST_BYTES + 1)
            self._send(_failure("busy", "Too many connections.", "Try again in a moment."))
            return
        try:
            with contextlib.suppress(TimeoutError, ConnectionError):
                while line := self.rfile.readline(MOST_REQUEST_BYTES + 1):
                    if len(line) > MOST_REQUEST_BYTES:
                        self._send(_failure("wrong", "The request is too long."))
                        return
                    self._send(self._answer(line))
        finally:
            self.server.room.release()

    def _answer(self, line: bytes) -> Answer:
        try:
            request = Request.model_validate_json(line)
            ask = self.server.asks.get(request.ask)
            if ask is None:
                return _failure("unknown", f"There is no request {request.ask[:40]!r}.")
            return Answer(answer=ask(request.about))
        except ValidationError as failure:
            return _failure("wrong", f"The request is not valid: {failure.errors()[0]['msg']}.")
        except MissingError as failure:
            return _failure("missing", failure.message, failure.remedy)
        except TruelightError as failure:
            return _failure("failed", failure.message, failure.remedy)
        except Exception:
            _log.exception("A request at the box's socket failed.")
            return _failure("failed", "The box failed to answer.", "See its log.")

    def _send(self, answer: Answer) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.wfile.write(answer.model_dump_json(exclude_none=True).encode() + b"\n")


def _failure(code: Any, message: str, remedy: str = "") -> Answer:  # noqa: ANN401 (a literal)
    return Answer(failure=Failure(code=code, message=message, remedy=remedy))
