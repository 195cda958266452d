"""Files that change, grow without end, or cost more work than a clip may."""

import ctypes
import hashlib
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from spent import processor_seconds

from edge.finding import ReasonCode, Verdict
from edge.scan.media.clip_file import ClipFile, FileHash
from edge.scan.media.protocol import ClipError, Fault
from edge.scan.reasons import CHANGED
from edge.scan.scanner import Scanner
from edge.settings import Settings

MOST_SECONDS = 30.0


@pytest.fixture(scope="module")
def scanner(bundle: Path) -> Iterator[Scanner]:
    with Scanner(settings(bundle)) as opened:
        yield opened


def settings(bundle: Path, **changes: object) -> Settings:
    return Settings().changed("test", {"model.bundle": str(bundle), **changes})


def png(width: int, height: int) -> bytes:
    """A black picture, 1 bit a pixel."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)

    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def gif(width: int, height: int, frames: int) -> bytes:
    """Frames of one pixel each, on a large canvas."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    pixel = struct.pack("<BHHHHB", 0x2C, 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    control = b"\x21\xf9\x04\x00\x0a\x00\x00\x00"
    return head + (control + pixel) * frames + b";"


@pytest.mark.parametrize("shape", [(1, 65535), (65535, 1), (16, 65535), (32, 32000)])
def test_an_oblong_picture_is_judged_soon(
    scanner: Scanner, tmp_path: Path, shape: tuple[int, int]
) -> None:
    (tmp_path / "picture.png").write_bytes(png(*shape))
    start = processor_seconds()
    assert scanner.scan(tmp_path / "picture.png").verdict is Verdict.NO_FACE
    assert processor_seconds() - start < MOST_SECONDS


def test_a_large_moving_picture_is_judged_in_part(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "moving.gif").write_bytes(gif(4000, 4000, 300))
    few = settings(bundle, **{"decode.megapixels": 500})
    with Scanner(few) as scanner:
        finding = scanner.scan(tmp_path / "moving.gif")
    assert ReasonCode.WORK_LIMIT in [reason.code for reason in finding.reasons]
    assert finding.frames_read <= 500 / 16 + 2
    assert finding.verdict is not Verdict.REAL


def test_a_clip_beyond_the_limit_is_not_called_real(bundle: Path, clips: Path) -> None:
    few = settings(bundle, **{"decode.megapixels": 1000})
    cases = {"pale.mp4": Verdict.REAL, "red.mp4": Verdict.FAKE}
    with Scanner(few) as scanner:
        assert {name: scanner.scan(clips / name).verdict for name in cases} == cases
    # Its 30 frames have 28 megapixels; settings do not allow so small a limit.
    few = few.model_copy(update={"decode": few.decode.model_copy(update={"megapixels": 20})})
    with Scanner(few) as scanner:
        findings = {name: scanner.scan(clips / name) for name in cases}
    for finding in findings.values():
        assert ReasonCode.WORK_LIMIT in [reason.code for reason in finding.reasons]
    assert findings["pale.mp4"].verdict is Verdict.UNSURE
    assert findings["red.mp4"].verdict in {Verdict.FAKE, Verdict.UNSURE}


def test_a_sparse_file_of_ten_terabytes_is_not_read_to_its_end(
    scanner: Scanner, clips: Path, tmp_path: Path
) -> None:
    sparse = tmp_path / "sparse.mp4"
    sparse.touch()
    try:
        os.truncate(sparse, 10 * 10**12)
    except OSError:
        pytest.skip("this file system has no files of that size")
    start = processor_seconds()
    finding = scanner.scan(sparse)
    assert (finding.verdict, finding.sha256) == (Verdict.UNREADABLE, None)
    assert processor_seconds() - start < MOST_SECONDS


def test_the_hash_is_of_what_was_judged(scanner: Scanner, clips: Path, tmp_path: Path) -> None:
    """Two files were renamed over each other: 4 of 40 findings had one's verdict, other's hash."""
    files = {name: (clips / name).read_bytes() for name in ("red.mp4", "nobody.mp4")}
    verdicts = {
        hashlib.sha256(files["red.mp4"]).hexdigest(): Verdict.FAKE,
        hashlib.sha256(files["nobody.mp4"]).hexdigest(): Verdict.NO_FACE,
    }
    clip, stop = tmp_path / "clip.mp4", threading.Event()
    clip.write_bytes(files["red.mp4"])

    def swap() -> None:
        while not stop.is_set():
            for content in files.values():
                (tmp_path / "new").write_bytes(content)
                (tmp_path / "new").replace(clip)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        findings = [scanner.scan(clip) for _ in range(15)]
    finally:
        stop.set()
        swapping.join()
    # A rename changes the file that was replaced: its links are counted.
    hashed = [finding for finding in findings if finding.sha256]
    assert all(verdicts[finding.sha256 or ""] is finding.verdict for finding in hashed)
    texts = {finding.reasons[0].text for finding in findings if not finding.sha256}
    assert texts <= {CHANGED}


def test_a_file_that_is_written_to_is_not_judged(
    scanner: Scanner, clips: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes((clips / "red.mp4").read_bytes())
    with ClipFile(clip) as file:
        assert not file.changed
        os.utime(clip, ns=(1, 1))
        assert file.changed

    def touch(_: object) -> None:
        with clip.open("ab") as more:
            more.write(b"x")

    finding = scanner.scan(clip, touch)
    assert (finding.verdict, finding.reasons[0].text) == (Verdict.UNREADABLE, CHANGED)


def test_a_link_in_a_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "private.mp4").write_bytes(b"x")
    (tmp_path / "clip.mp4").symlink_to("private.mp4")
    with pytest.raises(ClipError) as caught:
        ClipFile(tmp_path / "clip.mp4", tmp_path)
    assert caught.value.fault is Fault.NOT_A_FILE
    with ClipFile(tmp_path / "clip.mp4") as file, FileHash(file.descriptor) as file_hash:
        assert file.size == 1
        assert file_hash.result(9, lambda: None) == hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize("is_new", [True, False], ids=["openat2", "part by part"])
def test_nothing_is_opened_outside_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    if not is_new:
        monkeypatch.setattr("edge.scan.media.beneath._openat2", lambda *_: None)
    stick, secret = tmp_path / "stick", tmp_path / "secret"
    for folder in (stick / "album", secret):
        folder.mkdir(parents=True)
        (folder / "a.mp4").write_bytes(folder.name.encode())
    (stick / "link").symlink_to(secret)
    (stick / "inside").symlink_to(stick / "album")
    (stick / "a.mp4").symlink_to(secret / "a.mp4")
    os.mkfifo(stick / "pipe.mp4")
    (tmp_path / "mounted").symlink_to(stick)
    with ClipFile(tmp_path / "mounted" / "album" / "a.mp4", tmp_path / "mounted") as file:
        assert os.pread(file.descriptor, 9, 0) == b"album"
    for name in ("link/a.mp4", "inside/a.mp4", "a.mp4", "../secret/a.mp4", "pipe.mp4", "album"):
        with pytest.raises(ClipError) as refused:
            ClipFile(stick / name, stick)
        # A link where a folder should be is ENOTDIR where it is opened part by part.
        assert refused.value.fault in (Fault.NOT_A_FILE, Fault.MISSING), name
    with pytest.raises(ClipError):
        ClipFile(secret / "a.mp4", stick)
    with pytest.raises(ClipError) as gone:
        ClipFile(stick / "b.mp4", stick)
    assert gone.value.fault is Fault.MISSING


def test_files_and_folders_that_are_swapped_for_links_lead_nowhere(tmp_path: Path) -> None:
    """Of a file that was listed and then swapped for a link, the daemon's own file was judged."""
    stick, secret = tmp_path / "stick", tmp_path / "secret"
    for folder in (stick / "album", secret):
        folder.mkdir(parents=True)
        (folder / "a.mp4").write_bytes(folder.name.encode())
    (tmp_path / "link").symlink_to(secret)
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            exchange(stick / "album", tmp_path / "link")

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen: set[bytes] = set()
    refused = 0
    try:
        deadline = time.monotonic() + 60
        while (refused < 200 or not seen) and time.monotonic() < deadline:
            try:
                with ClipFile(stick / "album" / "a.mp4", stick) as file:
                    seen.add(os.pread(file.descriptor, 9, 0))
            except ClipError:
                refused += 1
    finally:
        ended.set()
        swapping.join()
    assert seen == {b"album"}
    assert refused >= 200


def exchange(one: Path, other: Path) -> None:
    """Two names trade places, at once (renameat2 with RENAME_EXCHANGE)."""
    at_working_folder = -100
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.renameat2(
        at_working_folder, os.fsencode(one), at_working_folder, os.fsencode(other), 2
    )
    assert done == 0, os.strerror(ctypes.get_errno())
