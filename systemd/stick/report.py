"""A report that the daemon left is written onto a stick."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import stat
import threading
from collections.abc import Iterator, Mapping

from device import Stick, UnusableError, do_mount, lock, opened, say, write_whole

FILES = ("TRUELIGHT-REPORT.html", "truelight-report.json")
CANARY = "TRUELIGHT-IN-PROGRESS.txt"
CANARY_TEXT = (
    b"Truelight is writing its report onto this stick.\r\n"
    b"If you read this elsewhere, the stick was pulled out too early and the report is missing.\r\n"
    b"Nothing else was touched. You may delete this file.\r\n"
)
MOST_BYTES = 64 * 1024**2
SPARE_BYTES = 256 * 1024
PIECE = 1024**2

ENDED = threading.Event()

KEPT = "The report is in the history."
WORDS = {
    "written": "The report is on the stick. Safe to remove.",
    "write-protected": f"Stick is write-protected. {KEPT}",
    "full": f"Stick is full. {KEPT}",
    "gone": f"Stick is gone. {KEPT}",
    "failed": f"Stick takes no report. {KEPT}",
}


class NotWrittenError(Exception):
    """There is no report on the stick; `result` says why, by a key of `WORDS`."""

    def __init__(self, result: str, detail: str) -> None:
        super().__init__(detail)
        self.result = result


def report(stick: Stick) -> None:
    """Write the daemon's report onto the stick and leave it word of what became of it."""
    # Ended in the middle, it goes on to where the stick is as it was.
    signal.signal(signal.SIGTERM, lambda *_: ENDED.set())
    where = stick.run / "reports" / stick.name
    owner = where.parent.stat().st_uid
    result = "written"
    with opened(where, os.O_DIRECTORY | os.O_NOFOLLOW) as box:
        try:
            try:
                plugged = take(box, "ready", owner, 64)
            finally:
                os.unlink("ready", dir_fd=box)  # or the path unit would start this again
            kind = kind_of(stick, plugged)
            put(stick, kind, {name: take(box, name, owner, MOST_BYTES) for name in FILES})
        except (NotWrittenError, UnusableError, OSError) as failure:
            result = meaning(stick, failure)
            say(f"{stick.name}: {failure}")
        say(f"{stick.name}: {WORDS[result]}")
        write_whole(box, "result", [f"{result}\n{WORDS[result]}\n".encode()])


def take(box: int, name: str, owner: int, most: int) -> bytes:
    """What the daemon left under this name: a plain file of its own, of no more than that size."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=box), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != owner or facts.st_size > most:
            raise NotWrittenError("failed", f"{name} is not what the daemon leaves")
        return file.read(most)


def kind_of(stick: Stick, plugged: bytes) -> str:
    """The file system of the stick that the report is for: is it the one that is there now?"""
    try:
        facts = json.loads(stick.status.read_bytes())
    except FileNotFoundError:
        raise NotWrittenError("gone", "it is not there any more") from None
    if facts["error"] is not None or str(facts["plugged"]).encode() != plugged.strip():
        raise NotWrittenError("gone", "the report is for another stick")
    if not facts["sound"]:
        raise NotWrittenError("failed", "it needs a repair first, as by fsck")
    return str(facts["filesystem"])


def put(stick: Stick, kind: str, files: Mapping[str, bytes]) -> None:
    """Write these files, and let a file that nobody can miss stand there meanwhile."""
    room = os.statvfs(stick.folder)
    if room.f_bavail * room.f_frsize < sum(map(len, files.values())) + SPARE_BYTES:
        raise NotWrittenError("full", "there is too little room on it")
    with writable(stick, kind), opened(stick.folder) as root:
        try:
            write_whole(root, CANARY, [CANARY_TEXT])
            for name, content in files.items():
                write_whole(root, name, pieces(content))
        finally:
            with contextlib.suppress(OSError):
                os.unlink(CANARY, dir_fd=root)
                os.fsync(root)


@contextlib.contextmanager
def writable(stick: Stick, kind: str) -> Iterator[None]:
    """The stick may be written to, for as long as this lasts."""
    lock(stick, False)
    try:
        flag = stick.sys / stick.name / "ro"
        if flag.exists() and flag.read_text().strip() == "1":
            raise NotWrittenError("write-protected", "it has a switch, or is worn out")
        done = do_mount(stick, kind, "remount,rw")
        if done.returncode:
            refused = "write-protected" if "write-protected" in done.stderr else "failed"
            raise NotWrittenError(refused, done.stderr)
        try:
            yield
        finally:
            done = do_mount(stick, kind, "remount,ro")
            if done.returncode:
                raise NotWrittenError("failed", done.stderr)
    finally:
        with contextlib.suppress(OSError):
            lock(stick, True)


def meaning(stick: Stick, failure: Exception) -> str:
    """What a failure says of the stick, by a key of `WORDS`."""
    number = getattr(failure, "errno", None)
    if isinstance(failure, NotWrittenError):
        return failure.result
    if not stick.device.exists() or number in (errno.ENODEV, errno.ENXIO):
        return "gone"
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "full"
    return "write-protected" if number == errno.EROFS else "failed"


def pieces(content: bytes) -> Iterator[bytes]:
    """A file's content, for as long as nobody wants this to end."""
    for start in range(0, len(content), PIECE):
        if ENDED.is_set():
            raise NotWrittenError("failed", "it had to end")
        yield content[start : start + PIECE]
