"""A disk that loses what was not synced when its power fails.

    losing_disk.py FOLDER BYTES

mounts FOLDER with one file, `disk`, by FUSE: a loop device on it passes on what a file system
flushes. Orders come line by line over standard input: `cut SEED` (from now on nothing is written,
and of the sectors written since the last flush only some remain, in no order), `fail` (from now on
every write ends with EIO), `revive`.
"""

from __future__ import annotations

import ctypes
import errno
import random
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

SECTOR = 4096
"""Of flash: it is written whole or not at all. Of 512 bytes, a superblock of ext4 is torn."""
NAME = "/disk"
_CLONE_NEWNS = 0x00020000


class Sectors:
    """The content: what is safe, and what was written since."""

    def __init__(self, size: int) -> None:
        self.lock = threading.Lock()
        self.shown = bytearray(size)
        self._safe = bytearray(size)
        self._written: list[tuple[int, bytes]] = []
        self._cut = False
        self.fails = False

    def write(self, content: bytes, at: int) -> None:
        """Take what is written; after a cut it is lost."""
        with self.lock:
            if not self._cut:
                self.shown[at : at + len(content)] = content
                self._written.append((at, content))

    def flush(self) -> None:
        """All that was written is safe."""
        with self.lock:
            if not self._cut:
                self._keep(lambda _: True)

    def cut(self, seed: int) -> int:
        """The power fails; how many sectors were not flushed. Some of them remain."""
        with self.lock:
            self._cut = True
            chance = random.Random(seed)
            share = chance.choice((0.0, 0.1, 0.5, 0.9))
            sectors = sum(-(-len(content) // SECTOR) for _, content in self._written)
            self._keep(lambda _: chance.random() < share)
            self.shown[:] = self._safe
            return sectors

    def revive(self) -> None:
        """The power is back, the disk is well."""
        with self.lock:
            self._cut = self.fails = False

    def _keep(self, remains: Any) -> None:
        for at, content in self._written:
            end = at + len(content)
            for start in range(at - at % SECTOR, end, SECTOR):
                if remains(start):
                    first, last = max(start, at), min(start + SECTOR, end)
                    self._safe[first:last] = content[first - at : last - at]
        self._written.clear()


def serve(folder: str, size: int) -> None:
    """Mount the disk until it is unmounted."""
    from mfusepy import FUSE, FuseOSError, Operations

    class Disk(Operations):  # type: ignore[misc]
        use_ns = True

        def getattr(self, path: str, _fh: int | None = None) -> dict[str, int]:
            if path == "/":
                return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
            if path != NAME:
                raise FuseOSError(errno.ENOENT)
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": size}

        def readdir(self, path: str, _fh: int) -> list[str]:
            return [".", "..", NAME[1:]]

        def read(self, path: str, size: int, offset: int, _fh: int) -> bytes:
            with sectors.lock:
                return bytes(sectors.shown[offset : offset + size])

        def write(self, path: str, data: bytes, offset: int, _fh: int) -> int:
            if sectors.fails:
                raise FuseOSError(errno.EIO)
            sectors.write(bytes(data), offset)
            return len(data)

        def fsync(self, path: str, _datasync: int, _fh: int) -> int:
            if sectors.fails:
                raise FuseOSError(errno.EIO)
            sectors.flush()
            return 0

        def truncate(self, path: str, length: int, _fh: int | None = None) -> int:
            return 0

    sectors = Sectors(size)

    def obey() -> None:
        for line in sys.stdin:
            order, *rest = line.split()
            lost = 0
            if order == "cut":
                lost = sectors.cut(int(rest[0]))
            elif order == "fail":
                sectors.fails = True
            else:
                sectors.revive()
            sys.stdout.write(f"{lost}\n")
            sys.stdout.flush()

    threading.Thread(target=obey, daemon=True).start()
    FUSE(Disk(), folder, foreground=True, nothreads=True)


class LosingDisk:
    """An ext4 on such a disk, mounted at `place`. For root."""

    def __init__(self, folder: Path, size: int = 96 * 1024**2) -> None:
        # Unseen by other mount namespaces, which would hold the file system when it is unmounted.
        assert ctypes.CDLL(None).unshare(_CLONE_NEWNS) == 0, "only root may mount"
        _do("mount", "--make-rprivate", "/")
        self.place, self._under = folder / "ext4", folder / "fuse"
        self.place.mkdir()
        self._under.mkdir()
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(self._under), str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._loop = ""
        while not (self._under / NAME[1:]).exists():
            assert self._server.poll() is None, "the disk was not mounted"
        try:
            self._attach()
            _do("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self._loop)
            _do("mount", self._loop, str(self.place))
        except AssertionError:
            self.close()
            raise

    def cut(self, seed: int) -> int:
        """The power fails; how many sectors were not flushed."""
        return self._order(f"cut {seed}")

    def fail(self) -> None:
        """Every write fails from now on."""
        self._order("fail")

    def revive(self) -> None:
        """The power is back: the file system is mounted again. Nothing may have it open."""
        _do("umount", str(self.place))
        _do("losetup", "--detach", self._loop)
        # A mount namespace of a process that was killed may hold it for a moment, and write.
        backing = Path("/sys/block", Path(self._loop).name, "loop", "backing_file")
        deadline = time.monotonic() + 30
        while backing.exists() and backing.read_text().startswith(str(self._under)):
            assert time.monotonic() < deadline, f"{self._loop} is still in use"
            time.sleep(0.01)
        self._order("revive")
        self._attach()
        _do("mount", self._loop, str(self.place))

    def check(self) -> None:
        """Fails if the file system is not in order."""
        _do("umount", str(self.place))
        _do("e2fsck", "-fn", self._loop)
        _do("mount", self._loop, str(self.place))

    def close(self) -> None:
        """Give everything back."""
        with suppress(AssertionError):  # a failure may have come between
            _insist("umount", str(self.place))
        with suppress(AssertionError):
            _do("losetup", "--detach", self._loop)
        _insist("umount", str(self._under))
        self._server.wait(10)

    def _attach(self) -> None:
        self._loop = _do("losetup", "--find", "--show", str(self._under / NAME[1:]))
        # It keeps the write protection that it was given for what was attached before.
        _do("blockdev", "--setrw", self._loop)

    def _order(self, line: str) -> int:
        assert self._server.stdin and self._server.stdout
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


def _insist(*command: str) -> None:
    """Do it once what was just killed no longer uses the disk."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(AssertionError):
            _do(*command)
            return
        time.sleep(0.1)
    _do(*command)


def _do(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
