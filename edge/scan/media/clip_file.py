"""A clip's file: opened once, hashed, and read through its descriptor.

Standard library only. The program and the decoder process both use it.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from edge.scan.media.beneath import open_beneath
from edge.scan.media.protocol import ClipError, Fault

if TYPE_CHECKING:
    from edge.scan.media.formats import ClipFormat

HEAD_BYTES = 65536

_HASHED_BYTES = 1 << 20


def open_regular(path: Path, beneath: Path | None = None) -> int:
    """A read-only descriptor of a regular file; never waits for a pipe or wakes a device.

    With `beneath`, a folder, no link on the way from there is followed. Raises ClipError.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = open_beneath(beneath, path, flags) if beneath else os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise ClipError(Fault.MISSING) from None
    except PermissionError:
        raise ClipError(Fault.FORBIDDEN) from None
    except OSError as error:
        no_file = error.errno in (errno.ELOOP, errno.ENXIO, errno.EXDEV)
        raise ClipError(Fault.NOT_A_FILE if no_file else Fault.INPUT) from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise ClipError(Fault.NOT_A_FILE)


class ClipFile:
    """A regular file, opened once: what is hashed is what is decoded. A context manager.

    With `beneath`, a folder, no link on the way from there is followed. Raises ClipError.
    """

    def __init__(self, path: Path, beneath: Path | None = None) -> None:
        self.descriptor = open_regular(path, beneath)
        self._opened = self._state()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    @property
    def size(self) -> int:
        """Bytes, when it was opened."""
        return self._opened[0]

    @property
    def modified_ns(self) -> int:
        """When it was last written to before it was opened, nanoseconds since 1970."""
        return self._opened[1]

    @property
    def changed(self) -> bool:
        """Whether it was written to since it was opened."""
        return self._state() != self._opened

    def _state(self) -> tuple[int, int, int]:
        status = os.fstat(self.descriptor)
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns


class FileHash:
    """The SHA-256 of an open file, computed in a thread. A context manager: leaving it stops."""

    def __init__(self, descriptor: int) -> None:
        self._stop = threading.Event()
        self._hex: str | None = None
        self._thread = threading.Thread(target=self._hash, args=(descriptor,), name="sha256")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def result(self, seconds: float, waiting: Callable[[], None]) -> str | None:
        """The hash in hex; None if the file cannot be read, or not within `seconds`.

        `waiting` is called twice a second until it is ready.
        """
        deadline = time.monotonic() + seconds
        self._thread.join(min(0.5, seconds))
        while self._thread.is_alive() and time.monotonic() < deadline:
            waiting()
            self._thread.join(0.5)
        return self._hex

    def _hash(self, descriptor: int) -> None:
        import hashlib  # not in the decoder process

        state, position = hashlib.sha256(), 0
        try:
            while piece := os.pread(descriptor, _HASHED_BYTES, position):
                if self._stop.is_set():
                    return
                state.update(piece)
                position += len(piece)
        except OSError:
            return
        self._hex = state.hexdigest()


def sha256_of(path: Path, beneath: Path | None, waiting: Callable[[], None]) -> str | None:
    """The hash of a file's content in hex; None if it cannot be read, or not within 20 seconds."""
    try:
        with ClipFile(path, beneath) as file, FileHash(file.descriptor) as file_hash:
            return file_hash.result(20.0, waiting)
    except ClipError:
        return None


class DescriptorFile:
    """A read-only file over a descriptor with a position of its own: several can share one.

    With `start` and `end`, bytes, it is the part of the file between them.
    """

    name = "clip"

    def __init__(self, descriptor: int, start: int = 0, end: int | None = None) -> None:
        self._descriptor = descriptor
        self._start = start
        self.size = (os.lseek(descriptor, 0, os.SEEK_END) if end is None else end) - start
        """Bytes."""
        self.allowance: int | None = None
        """Bytes that may still be read before the file seems to end; None: all."""
        self._position = 0

    def part(self, start: int = 0, end: int | None = None) -> DescriptorFile:
        """This file between two of its bytes, at a position of its own."""
        end = self.size if end is None else end
        return DescriptorFile(self._descriptor, self._start + start, self._start + end)

    def read(self, count: int = -1) -> bytes:
        """Up to `count` bytes from the position on; all that are left if it is negative."""
        left = max(0, self.size - self._position)
        wanted = left if count < 0 else min(count, left)
        if self.allowance is not None:
            wanted = min(wanted, self.allowance)
            self.allowance -= wanted
        if not wanted:
            return b""  # the position may be beyond what the system can take
        data = os.pread(self._descriptor, wanted, self._start + self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, as files do."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The position, bytes."""
        return self._position


class PixelLimits(NamedTuple):
    """The largest frames, in pixels."""

    handed_out: int = 4096 * 2304
    """Larger frames are scaled down to this."""
    video: int = 8192 * 5120
    picture: int = 120_000_000
    """Of a JPEG; less for other pictures."""

    def of(self, form: ClipFormat) -> int:
        """The largest frame that is decoded of this format.

        Pillow decodes JPEG at a reduced size, and holds a WebP four times.
        """
        if form.demuxer:
            return self.video
        return self.picture // {"jpg": 1, "heic": 2, "webp": 4}.get(form.container, 3)


def too_large(pixels: int, most: int) -> ClipError:
    """For a frame of more than `most` pixels, in numbers that differ too."""
    return ClipError(Fault.TOO_LARGE, math.ceil(pixels / 1e6), int(most / 1e6))
