"""A clip is refused while it is sent: the reason arrives, and a client says it in a sentence."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from serving import Serving

from edge.client import Client
from edge.errors import TruelightError

LENGTH = 9_000_000
TOO_LONG = 30_000_000
FIRST = 100_000

_TUS = "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream"
_FORM = "Content-Type: multipart/form-data; boundary=b"
_UNKNOWN = "Authorization: Bearer tl_x"
_NO_UPLOAD = f"/api/v1/uploads/{'a' * 26}"
REFUSED = {
    "too large": ("POST", "/api/v1/scans", "", TOO_LONG, 413),
    "a form that is too large": ("POST", "/predict_media", _FORM, TOO_LONG, 413),
    "a form without a file": ("POST", "/api/v1/scans", _FORM, LENGTH, 400),
    "no form": ("POST", "/predict_media", "", LENGTH, 415),
    "a piece of nothing": ("PATCH", _NO_UPLOAD, _TUS, LENGTH, 404),
    "a wrong address": ("POST", "/api/v1/nothing", "", LENGTH, 404),
    "a token that is not known": (
        "POST",
        "/api/v1/scans",
        "Authorization: Bearer tl_x",
        LENGTH,
        401,
    ),
}


def refusal(serving: Serving, head: str, length: int) -> tuple[int, dict[str, object]]:
    """Send a request whole, most of it after the answer is there, then read that."""
    with socket.create_connection(("127.0.0.1", serving.port), timeout=60) as connection:
        announced = f"Host: localhost\r\nConnection: close\r\nContent-Length: {length}"
        connection.sendall(f"{head}\r\n{announced}\r\n\r\n".encode() + bytes(FIRST))
        assert select.select([connection], [], [], 60)[0], "there is no answer"
        connection.sendall(bytes(min(length, LENGTH) - FIRST))
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    top, _, content = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(content)


@pytest.mark.parametrize("why", REFUSED)
def test_the_reason_arrives_while_the_clip_is_sent(
    serving: Serving, client: Client, why: str
) -> None:
    method, path, headers, length, status = REFUSED[why]
    if "Authorization" not in headers:
        headers = f"Authorization: Bearer {client._token}\r\n{headers}".rstrip()
    answered, problem = refusal(serving, f"{method} {path} HTTP/1.1\r\n{headers}", length)
    assert (answered, problem["status"]) == (status, status)
    assert problem["detail"]


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that reads one request, answers this, and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


_HEAD = b"HTTP/1.1 %d x\r\nContent-Length: 100\r\n\r\n"
_SCAN = b'{"id": "a", "name": "b", "status": "judging", "url": "/"}'
_EVENTS = b"HTTP/1.1 200 x\r\n\r\nevent: scan\ndata: %s\n\n" % _SCAN
BROKEN = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 507 Insuff",
    "a refusal without its words": _HEAD % 507,
    "half an answer": _HEAD % 200 + b'{"status": ',
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "another page": b"HTTP/1.1 200 x\r\n\r\n<!DOCTYPE html><title>Sign in</title>",
}


@pytest.mark.parametrize("answer", BROKEN)
def test_a_broken_answer_is_one_sentence(answer: str) -> None:
    with answering(BROKEN[answer]) as address, pytest.raises(TruelightError) as caught:
        Client(address, "tl_x").is_well()
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")


def test_a_scan_whose_events_break_off_is_not_taken_for_deleted() -> None:
    with answering(_EVENTS) as address, pytest.raises(TruelightError, match="closed"):
        list(Client(address, "tl_x").follow("a"))
