"""Clips in object storage, and clips that take their worker down: real servers on loopback."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from archive_stage import archive, compared, rows
from frontdoor import run

HANG = "hangs.mp4"


@pytest.fixture
def s3(clips: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a bucket with clips on an S3 server; the environment says where it is."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    storage = boto3.client("s3", endpoint_url=address)
    storage.create_bucket(Bucket="clips")
    for clip in ("red.mp4", "pale.mp4"):
        storage.upload_file(str(clips / clip), "clips", f"2026/{clip}")
    storage.put_object(Bucket="clips", Key="2026/notes.txt", Body=b"no media")
    yield "s3://clips/2026"
    server.stop()


def test_clips_in_object_storage(s3: str, bundle: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = (s3, "--out", out, "--bundle", bundle, "--workers", 1, "--spool", tmp_path)
    ran = archive(*options)
    assert ran.returncode == 0, ran.stderr
    assert "2 to judge." in ran.stdout
    assert "Not judged: 1 file is neither a video nor a picture: notes.txt." in ran.stderr
    found = {row["path"]: json.loads(row["finding"]) for row in rows(out)}
    for name in ("red.mp4", "pale.mp4"):
        scanned = json.loads(run("scan", "--json", "--bundle", bundle, clips / name).stdout)
        address = f"{s3}/{name}"
        assert compared(found[address]) == compared(scanned | {"path": address})
    assert "0 to judge, 2 judged before" in archive(*options).stdout
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # nothing is left of the spool


class _Stalling(SimpleHTTPRequestHandler):
    """Serves a folder; of one file it never sends the content."""

    stop = threading.Event()

    def do_GET(self) -> None:
        if self.path.endswith(HANG):
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.stop.wait()
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_clip_on_which_workers_end_costs_a_retry_and_then_a_row(
    bundle: Path, clips: Path, tmp_path: Path
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / HANG).write_bytes(bytes(1000))
    shutil.copy(clips / "red.jpg", served)

    def handler(*arguments: Any) -> _Stalling:
        return _Stalling(*arguments, directory=str(served))

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    out, paths = tmp_path / "out", (f"{address}/{HANG}", f"{address}/red.jpg")
    options = ("--out", out, "--bundle", bundle, "--workers", 1, "--clip-seconds", 4)
    ran = archive(*paths, *options)
    _Stalling.stop.set()
    server.shutdown()
    assert ran.returncode == 1, ran.stderr
    found = {row["name"]: row for row in rows(out)}
    assert found["red.jpg"]["verdict"] == "FAKE"
    assert found[HANG]["verdict"] == "UNREADABLE"
    (reason,) = found[HANG]["reasons"]
    assert reason.startswith("The worker ended each time it judged this clip")


def test_storage_that_does_not_answer(bundle: Path, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/clip.mp4"
        ran = archive(address, "--out", tmp_path / "out", "--bundle", bundle)
    assert ran.returncode == 2
    assert f"{address} cannot be read" in ran.stderr
