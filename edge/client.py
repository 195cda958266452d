"""A client of the API, for programs: sends clips, waits for their findings.

from edge.client import Client

client = Client("https://truelight.local:8443", token="tl_...", fingerprint="A1B2 C3D4 ...")
finding = client.judge("holiday.mp4")
print(finding["verdict"], finding["fake_probability"])
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import ssl
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel

from edge.errors import TruelightError
from edge.finding import Finding
from edge.socket_messages import BoxState, EntryMessage, Scan

API: Final = "/api/v1"
_PIECE: Final = 1 << 20
_TRY_AGAIN: Final = "Try again; the box's log says more."

Message = TypeVar("Message", bound=BaseModel)


class ApiError(TruelightError):
    """A request was refused; `status` is HTTP's, `type` that of the problem (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        detail = problem.get("detail", f"The box answered with HTTP status {status}.")
        super().__init__(str(detail), str(problem.get("remedy", "")))
        self.status = status
        self.type = str(problem.get("type", "about:blank"))


class Client:
    """Requests to one box. For one thread; each request has a connection of its own."""

    def __init__(
        self, address: str, token: str, *, fingerprint: str = "", timeout: float = 60.0
    ) -> None:
        """Use the API at `address`, such as `https://truelight.local:8443`.

        With `fingerprint`, the SHA-256 that the box shows, its own certificate is trusted and no
        other; without it, the authorities that this machine trusts.
        """
        parts = urlsplit(address)
        self._host, self._tls = parts.netloc, parts.scheme == "https"
        self._token, self._timeout = token, timeout
        self._fingerprint = "".join(filter(str.isalnum, fingerprint)).lower()

    def judge(self, clip: str | os.PathLike[str], *, first: int | None = None) -> Finding:
        """Send a clip and wait for its finding. Raises ApiError, OSError."""
        sent = self.send(clip, first=first)
        for scan in self.follow(sent.id):
            if scan.finding:
                return scan.finding
        raise ApiError(404, {"detail": "The clip was deleted before it was judged."})

    def send(
        self,
        clip: str | os.PathLike[str],
        *,
        name: str = "",
        first: int | None = None,
        key: str = "",
    ) -> Scan:
        """Send a clip: the scan. `first`: how many frames to judge. Raises ApiError, OSError.

        `key`: a text of your own; a clip that is sent again with it is judged once.
        """
        path = Path(clip)
        asked = {"name": name or path.name} | ({"first": str(first)} if first else {})
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(path.stat().st_size),
            "Idempotency-Key": key or str(uuid.uuid4()),
        }
        with path.open("rb") as content:
            answer = self._request("POST", f"{API}/scans?{urlencode(asked)}", headers, content)
        return _read(Scan, _document(answer))

    def scan(self, scan: str) -> Scan:
        """A scan as it stands. Raises ApiError."""
        return _read(Scan, self._get(f"{API}/scans/{quote(scan)}"))

    def follow(self, scan: str) -> Iterator[Scan]:
        """A scan whenever it changes, until it is done. Raises ApiError."""
        answer = self._request("GET", f"{API}/scans/{quote(scan)}/events")
        name, status = "", ""
        with _whole_answer():
            for raw in answer:
                line = raw.decode().rstrip("\n")
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    document = json.loads(line.removeprefix("data: "))
                    if name == "problem":
                        raise ApiError(document["status"], document)
                    now = _read(Scan, document)
                    status = now.status
                    yield now
        if status != "done":
            raise _broken_off()

    def scans(self) -> Iterator[Scan]:
        """Uploads: those that wait, then those that are judged, the newest first."""
        for each in self._pages(f"{API}/scans", "scans", {}):
            yield _read(Scan, each)

    def findings(self, **wanted: str) -> Iterator[EntryMessage]:
        """Findings, the newest first: `verdict`, `origin`, `since`, `until`, `text`."""
        for each in self._pages(f"{API}/findings", "findings", wanted):
            yield _read(EntryMessage, each)

    def finding(self, number: int) -> EntryMessage:
        """A finding with portraits of its faces. Raises ApiError."""
        return _read(EntryMessage, self._get(f"{API}/findings/{number}"))

    def report(self, visit: int, form: str = "html") -> bytes:
        """A visit's report, `html` or `json`. Raises ApiError."""
        answer = self._request("GET", f"{API}/visits/{visit}/report.{form}")
        with _whole_answer():
            return answer.read()

    def delete_scan(self, scan: str) -> None:
        """Delete a scan, judged or not. Raises ApiError."""
        self._request("DELETE", f"{API}/scans/{quote(scan)}").read()

    def delete_finding(self, number: int) -> None:
        """Delete a finding. Raises ApiError."""
        self._request("DELETE", f"{API}/findings/{number}").read()

    def box(self) -> BoxState:
        """What the box does: screen, lamps, queue. Raises ApiError."""
        return _read(BoxState, self._get(f"{API}/box"))

    def is_well(self) -> bool:
        """Whether the page and the box work. Raises ApiError."""
        return bool(self._get(f"{API}/health")["status"] == "ok")

    # ---- HTTP

    def _pages(self, path: str, name: str, wanted: Mapping[str, str]) -> Iterator[Any]:
        before: int | None = None
        while True:
            asked = dict(wanted) | ({"before": str(before)} if before else {})
            page = self._get(f"{path}?{urlencode(asked)}")
            yield from page[name]
            before = page["before"]
            if before is None:
                return

    def _get(self, path: str) -> dict[str, Any]:
        return _document(self._request("GET", path))

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: BinaryIO | None = None,
    ) -> http.client.HTTPResponse:
        """The answer to a request; its connection ends with it.

        Raises ApiError: it was refused; TruelightError: the answer broke off; OSError: there is no
        connection.
        """
        connection = self._connect()
        given = {"Authorization": f"Bearer {self._token}", "Connection": "close", **(headers or {})}
        pieces = iter(lambda: body.read(_PIECE), b"") if body else None
        # It may be refused before it is sent: then the answer says why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, pieces, given)
        with _whole_answer():
            answer = connection.getresponse()
            if answer.status < 400:
                return answer
            content = answer.read()
        try:
            problem = json.loads(content)
        except ValueError:
            problem = None
        words = {"remedy": _TRY_AGAIN}  # those of a server in between, or none
        raise ApiError(answer.status, problem if isinstance(problem, dict) else words)

    def _connect(self) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection(self._host, timeout=self._timeout)
        context = ssl.create_default_context()
        if self._fingerprint:
            # The certificate is the box's own: no authority knows it, its fingerprint does.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(self._host, timeout=self._timeout, context=context)
        connection.connect()
        if self._fingerprint:
            certificate = connection.sock.getpeercert(binary_form=True) or b""
            if hashlib.sha256(certificate).hexdigest() != self._fingerprint:
                connection.close()
                message = "This is not the box's certificate: its fingerprint differs."
                raise TruelightError(message, "Compare it with the one on the display.")
        return connection


@contextlib.contextmanager
def _whole_answer() -> Iterator[None]:
    """Within this an answer is read; one that breaks off is an error with its sentence."""
    try:
        yield
    except (http.client.HTTPException, ConnectionError):
        raise _broken_off() from None


def _broken_off() -> TruelightError:
    message = "The box closed the connection before it had answered."
    return TruelightError(message, _TRY_AGAIN)


def _document(answer: http.client.HTTPResponse) -> dict[str, Any]:
    with _whole_answer():
        content = answer.read()
    try:
        document: dict[str, Any] = json.loads(content)
    except ValueError:
        message = "The answer is not one of Truelight's API."
        raise TruelightError(message, "Check the address.") from None
    return document


def _read(kind: type[Message], document: Mapping[str, Any]) -> Message:
    """A message; keys that a newer box has added are passed over."""
    return kind.model_validate(document, extra="ignore")
