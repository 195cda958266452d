"""Measures the page and the API under load: requests at once, and twenty large uploads at once.

    .venv/bin/python benchmarks/page_load.py            # starts `truelight serve` for itself

Prints for each kind of request how many a second were answered, and how long they took (median and
95th percentile, in ms); then what became of 20 uploads of 200 MB with a spool of 1 GB.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
SECONDS, USERS = 10.0, 8
UPLOADS, UPLOAD_BYTES = 20, 200_000_000
PORT = 8499


class Page:
    """A page of its own, with a token."""

    def __init__(self, folder: Path) -> None:
        out = (folder / "out").open("w+")
        command = [sys.executable, "-m", "edge.cli.main", "serve", "--port", str(PORT)]
        self.process = subprocess.Popen(
            [*command, "--store", str(folder / "store")],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        while not (code := re.search(r"pair#code=(\d+)", (folder / "out").read_text())):
            assert self.process.poll() is None, (folder / "out").read_text()
            time.sleep(0.1)
        page = self.ask("GET", "/pair")[1]
        _, _, cookie = self.ask("POST", "/pair", form_token=_token(page), code=code[1])
        page = self.ask("GET", "/devices", cookie=cookie)[1]
        page = self.ask(
            "POST", "/devices/token", cookie=cookie, form_token=_token(page), name="load"
        )[1]
        found = re.search(r"tl_[\w-]+", page)
        assert found
        self.token = found[0]

    def ask(
        self, method: str, path: str, *, cookie: str = "", **fields: str
    ) -> tuple[int, str, str]:
        """Status, body and cookie of a browser's request."""
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
        connection.request(method, path, urlencode(fields), headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        return answer.status, body, (answer.headers["Set-Cookie"] or "").split(";")[0]


def _token(page: str) -> str:
    found = re.search(r'form-token" content="(\w+)"', page)
    assert found
    return found[1]


def many(page: Page, path: str) -> None:
    """Ask for `path` by several users at once, over connections that stay open."""
    times: list[float] = []
    until = time.monotonic() + SECONDS

    def user() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        while time.monotonic() < until:
            start = time.monotonic()
            connection.request("GET", path, headers={"Authorization": f"Bearer {page.token}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            times.append(time.monotonic() - start)

    users = [threading.Thread(target=user) for _ in range(USERS)]
    for each in users:
        each.start()
    for each in users:
        each.join()
    times.sort()
    median, late = statistics.median(times) * 1000, times[int(0.95 * len(times))] * 1000
    print(f"{path}: {len(times) / SECONDS:.0f} a second, median {median:.0f}, 95 % {late:.0f} ms")


def uploads(page: Page) -> None:
    """Send clips that are larger than the spool, all at once."""
    answers: list[tuple[int, str]] = []
    piece = os.urandom(1 << 20)

    def send(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=600)
        connection.putrequest("POST", f"/api/v1/scans?name={number}.mp4")
        connection.putheader("Authorization", f"Bearer {page.token}")
        connection.putheader("Content-Length", str(UPLOAD_BYTES))
        connection.endheaders()
        left = UPLOAD_BYTES
        try:
            while left:
                connection.send(piece[:left])
                left -= min(left, len(piece))
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused meanwhile
        try:
            answer = connection.getresponse()
            answers.append((answer.status, json.loads(answer.read()).get("detail", "")))
        except (ConnectionResetError, http.client.BadStatusLine):
            answers.append((0, "connection closed"))

    start = time.monotonic()
    senders = [threading.Thread(target=send, args=(number,)) for number in range(UPLOADS)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    took = time.monotonic() - start
    for status, words in sorted(set(answers)):
        print(f"{answers.count((status, words))} x {status} {words}")
    taken = sum(status == 202 for status, _ in answers)
    print(f"{taken} uploads of {UPLOAD_BYTES / 1e6:.0f} MB in {took:.1f} s")


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        page = Page(Path(name))
        try:
            for path in ("/api/v1/health", "/api/v1/box", "/api/v1/findings", "/"):
                many(page, path)
            uploads(page)
            page.process.terminate()
            page.process.wait()
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"peak memory of the larger of the two processes: {peak:.0f} MB")
        finally:
            page.process.kill()


if __name__ == "__main__":
    main()
