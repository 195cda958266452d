"""Writes a report that the daemon left onto a stick."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import stat
import threading
from collections.abc import Iterator, Mapping

from device import N_, Stick, UnusableError, do_mount, lock, log, opened, write_whole

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

KEPT = N_("The report is in the history.")
NOTES = {
    "written": N_("The report is on the stick.") + " " + N_("Safe to remove."),
    "write-protected": N_("The stick is write-protected.") + " " + KEPT,
    "full": N_("The stick is full.") + " " + KEPT,
    "gone": N_("The stick is gone.") + " " + KEPT,
    "failed": N_("The stick takes no report.") + " " + KEPT,
}


class NotWrittenError(Exception):
    """There is no report on the stick; `result` says why, by a key of `NOTES`."""

    def __init__(self, result: str, detail: str) -> None:
        super().__init__(detail)
        self.result = result


def report(stick: Stick) -> None:
    """Write the daemon's report onto the stick, and the result for the daemon."""
    # When terminated, it still restores the read-only mount.
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
            result = result_of(stick, failure)
            log(f"{stick.name}: {failure}")
        log(f"{stick.name}: {NOTES[result]}")
        write_whole(box, "result", [f"{result}\n{NOTES[result]}\n".encode()])


def take(box: int, name: str, owner: int, most: int) -> bytes:
    """A file that the daemon left: a regular file of its own, of at most `most` bytes."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=box), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != owner or facts.st_size > most:
            raise NotWrittenError("failed", f"{name} is not what the daemon leaves")
        return file.read(most)


def kind_of(stick: Stick, plugged: bytes) -> str:
    """The file system of the stick, if it is the one that the report is for."""
    try:
        facts = json.loads(stick.status.read_bytes())
    except FileNotFoundError:
        raise NotWrittenError("gone", "it is no longer there") from None
    if facts["error"] is not None or str(facts["plugged"]).encode() != plugged.strip():
        raise NotWrittenError("gone", "the report is for another stick")
    if not facts["sound"]:
        raise NotWrittenError("failed", "its file system is not clean; run fsck")
    return str(facts["filesystem"])


def put(stick: Stick, kind: str, files: Mapping[str, bytes]) -> None:
    """Write these files; a third one warns meanwhile that the stick must stay in."""
    room = os.statvfs(stick.folder)
    if room.f_bavail * room.f_frsize < sum(map(len, files.values())) + SPARE_BYTES:
        raise NotWrittenError("full", "there is too little room on it")
    with writable(stick, kind), opened(stick.folder) as root:
        try:
            write_whole(root, CANARY, [CANARY_TEXT])
            for name, content in {free_name(root, name): files[name] for name in files}.items():
                write_whole(root, name, pieces(content))
        finally:
            with contextlib.suppress(OSError):
                os.unlink(CANARY, dir_fd=root)
                os.fsync(root)


def free_name(root: int, name: str) -> str:
    """The name, or one with a number behind it if the stick has a folder of that name."""
    stem, dot, suffix = name.partition(".")
    numbered = (f"{stem}-{number}{dot}{suffix}" for number in range(2, 100))
    for candidate in (name, *numbered):
        try:
            if not stat.S_ISDIR(os.lstat(candidate, dir_fd=root).st_mode):
                return candidate
        except FileNotFoundError:
            return candidate
    raise NotWrittenError("failed", f"{name} is a folder on the stick")


@contextlib.contextmanager
def writable(stick: Stick, kind: str) -> Iterator[None]:
    """Make the stick writable within this context."""
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


def result_of(stick: Stick, failure: Exception) -> str:
    """The key of `NOTES` for a failure."""
    number = getattr(failure, "errno", None)
    if isinstance(failure, NotWrittenError):
        return failure.result
    if not stick.device.exists() or number in (errno.ENODEV, errno.ENXIO):
        return "gone"
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "full"
    return "write-protected" if number == errno.EROFS else "failed"


def pieces(content: bytes) -> Iterator[bytes]:
    """A file's content in pieces, until the program is terminated."""
    for start in range(0, len(content), PIECE):
        if ENDED.is_set():
            raise NotWrittenError("failed", "terminated")
        yield content[start : start + PIECE]
