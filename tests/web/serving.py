"""The page as people start it, and its visitors: browsers with a cookie, programs with a token."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml
from frontdoor import ROOT, command
from waiting import until

from edge.client import Client


def free_port() -> int:
    """One that the kernel gives to nobody who asks for any: those begin at 32768."""
    for port in random.sample(range(10_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Serving:
    """`truelight serve`, and what it prints."""

    def __init__(self, folder: Path, settings: dict[str, Any], *options: str) -> None:
        self.folder, self.port = folder, free_port()
        self.store, self.out = folder / "store", folder / "out"
        config = folder / "settings.yaml"
        config.write_text(yaml.safe_dump(settings))
        line = command("serve", "--store", self.store, "--port", self.port, "--config", config)
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                [*line, *options],
                cwd=ROOT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        until(lambda: "The page:" in self.said or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.said
        found = re.search(r"The page: (\S+)/", self.said)
        assert found
        self.address = found[1]

    @property
    def said(self) -> str:
        return self.out.read_text()

    def code(self) -> str:
        """The code that was printed last."""
        until(lambda: "Code to pair" in self.said)
        return str(re.findall(r"Code to pair a device: (\d{4} \d{4})", self.said)[-1])

    def fingerprint(self) -> str:
        found = re.search(r"SHA-256: ([0-9A-F ]+)", self.said)
        return found[1] if found else ""

    def box_process(self) -> int:
        """The daemon's process."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
        (daemon,) = children
        return daemon

    def kill_box(self) -> None:
        """As a crash does; it is started again."""
        before = self.box_process()
        os.kill(before, signal.SIGKILL)
        until(lambda: self.box_process() != before if self._has_child() else False)

    def _has_child(self) -> bool:
        try:
            self.box_process()
        except ValueError:
            return False
        return True

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Visitor:
    """A browser's requests: with its cookie, and the form token of the page it saw last."""

    serving: Serving
    cookie: str = ""
    form_token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.serving.port, timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given = self.headers | given
        if self.cookie:
            given["Cookie"] = self.cookie
        connection.request(method, path, body, given)
        raw = connection.getresponse()
        cookies = raw.headers.get_all("Set-Cookie") or []
        answer = Answer(raw.status, dict(raw.headers.items()), cookies, raw.read())
        connection.close()
        if found := re.search(rb'form-token" content="([0-9a-f]+)"', answer.body):
            self.form_token = found[1].decode()
        return answer

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, **fields: str) -> Answer:
        """Send a form of the page that was seen last."""
        body = urlencode({"form_token": self.form_token} | fields).encode()
        kind = "application/x-www-form-urlencoded"
        return self.ask("POST", path, body, Content_Type=kind, Origin=self.serving.address)

    def pair(self, name: str = "A browser") -> None:
        self.get("/pair")
        answer = self.post("/pair", code=self.serving.code(), name=name)
        assert answer.status == 303, answer.text
        self.cookie = answer.cookies[0].split(";")[0]

    def make_token(self, name: str = "A program") -> str:
        self.get("/devices")
        page = self.post("/devices/token", name=name).text
        found = re.search(r"<code>(tl_[\w-]+)</code>", page)
        assert found, page
        return found[1]


def paired(serving: Serving) -> tuple[Visitor, Client]:
    """A browser that is paired, and a program with a token."""
    visitor = Visitor(serving)
    visitor.pair()
    client = Client(serving.address, visitor.make_token(), fingerprint=serving.fingerprint())
    return visitor, client


def form(boundary: str, name: str, file_name: str, content: bytes, **fields: str) -> bytes:
    """A form with a file, byte by byte as the older app's library writes it."""
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = (
        f"--{boundary}\r\ncontent-type: application/octet-stream\r\n"
        f'content-disposition: form-data; name="{name}"; filename="{file_name}"\r\n\r\n'
    ).encode()
    return b"".join(parts) + head + content + f"\r\n--{boundary}--\r\n".encode()


def path_of(address: str) -> str:
    return urlsplit(address).path
