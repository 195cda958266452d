"""A clip's file: opened once, hashed, read through its descriptor, recognised by its content.

Standard library only. The program and the decoder process both use it.
"""

from __future__ import annotations

import codecs
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from edge.scan.media.protocol import CONTAINERS, ClipError, ClipKind, Fault

HEAD_BYTES = 65536

_HASHED_BYTES = 1 << 20
_TS_PACKETS = (188, 192, 204)
_SOUND = (b"ID3", b"fLaC", b"OggS", b"MThd", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"#!AMR")
_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
_ANIMATED = 2
_MOV_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def open_regular(path: Path, *, follow_links: bool = True) -> int:
    """A read-only descriptor of a regular file; never waits for a pipe or wakes a device.

    Raises ClipError.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    if not follow_links:
        flags |= os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise ClipError(Fault.MISSING) from None
    except PermissionError:
        raise ClipError(Fault.FORBIDDEN) from None
    except OSError as error:
        no_file = path.is_socket() or (path.is_symlink() and not follow_links)
        raise ClipError(Fault.NOT_A_FILE if no_file else Fault.INPUT) from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise ClipError(Fault.NOT_A_FILE)


class ClipFile:
    """A regular file, opened once: what is hashed is what is decoded. A context manager.

    Without `follow_links`, a symbolic link in its place is refused. Raises ClipError.
    """

    def __init__(self, path: Path, *, follow_links: bool = True) -> None:
        self.descriptor = open_regular(path, follow_links=follow_links)
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


class DescriptorFile:
    """A read-only file over a descriptor with a position of its own: several can share one."""

    name = "clip"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.lseek(descriptor, 0, os.SEEK_END)  # the sandbox allows no fstat
        self._position = 0

    def read(self, count: int = -1) -> bytes:
        """Up to `count` bytes from the position on; all that are left if it is negative."""
        wanted = count if count >= 0 else max(0, self._size - self._position)
        data = os.pread(self._descriptor, wanted, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, as files do."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The position, bytes."""
        return self._position


class ClipFormat(NamedTuple):
    """How a file is opened: by the named demuxer of FFmpeg, or by Pillow where there is none."""

    container: str
    demuxer: str
    kind: ClipKind
    seekable: bool

    @property
    def number(self) -> int:
        """The container's index in the protocol's table."""
        return CONTAINERS.index(self.container)


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
        return self.picture // {"jpg": 1, "webp": 4}.get(form.container, 3)


_FIXED = (
    (b"FLV", ClipFormat("flv", "flv", ClipKind.VIDEO, True)),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ClipFormat("wmv", "asf", ClipKind.VIDEO, True)),
    (b"\x00\x00\x01\xba", ClipFormat("mpg", "mpeg", ClipKind.VIDEO, True)),
    (b"\x00\x00\x01\xb3", ClipFormat("mpg", "mpegvideo", ClipKind.VIDEO, False)),
    (b"GIF87a", ClipFormat("gif", "gif", ClipKind.VIDEO, False)),
    (b"GIF89a", ClipFormat("gif", "gif", ClipKind.VIDEO, False)),
    (b"\xff\xd8\xff", ClipFormat("jpg", "", ClipKind.IMAGE, False)),
    (b"BM", ClipFormat("bmp", "", ClipKind.IMAGE, False)),
    (b"II*\0", ClipFormat("tiff", "", ClipKind.IMAGE, False)),
    (b"MM\0*", ClipFormat("tiff", "", ClipKind.IMAGE, False)),
)
_TRANSPORT_STREAM = ClipFormat("ts", "mpegts", ClipKind.VIDEO, True)


def sniff(head: bytes) -> ClipFormat:
    """Name the container from the file's first bytes (up to `HEAD_BYTES` of them).

    Raises ClipError with a fault that says what the file is instead.
    """
    if not head:
        raise ClipError(Fault.EMPTY)
    if _is_text(head):
        raise ClipError(Fault.TEXT)
    for look in (_mov, _matroska, _riff, _png, _fixed):
        form = look(head)
        if form is not None:
            return form
    if _is_transport_stream(head):
        return _TRANSPORT_STREAM
    raise ClipError(Fault.SOUND if head.startswith(_SOUND) else Fault.NOT_A_CLIP)


def _fixed(head: bytes) -> ClipFormat | None:
    return next((form for magic, form in _FIXED if head.startswith(magic)), None)


def _mov(head: bytes) -> ClipFormat | None:
    if head[4:8] in _MOV_ATOMS:
        return ClipFormat("mov", "mov", ClipKind.VIDEO, True)
    if head[4:8] != b"ftyp":
        return None
    brand = head[8:12]
    if brand in _STILL_BRANDS:
        raise ClipError(Fault.STILL_FORMAT)
    if brand in _SOUND_BRANDS:
        raise ClipError(Fault.SOUND)
    names = {b"qt  ": "mov", b"M4V ": "m4v", b"M4VH": "m4v", b"M4VP": "m4v"}
    name = "3gp" if brand.startswith((b"3gp", b"3g2")) else names.get(brand, "mp4")
    return ClipFormat(name, "mov", ClipKind.VIDEO, True)


def _matroska(head: bytes) -> ClipFormat | None:
    if head[:4] != b"\x1aE\xdf\xa3":
        return None
    return ClipFormat("webm" if b"webm" in head[:64] else "mkv", "matroska", ClipKind.VIDEO, True)


def _riff(head: bytes) -> ClipFormat | None:
    if head[:4] != b"RIFF":
        return None
    if head[8:12] in (b"AVI ", b"AVIX"):
        return ClipFormat("avi", "avi", ClipKind.VIDEO, True)
    if head[8:16] == b"WEBPVP8X" and head[20:21] and head[20] & _ANIMATED:
        return ClipFormat("webp", "", ClipKind.VIDEO, False)
    if head[8:12] == b"WEBP":
        return ClipFormat("webp", "", ClipKind.IMAGE, False)
    raise ClipError(Fault.SOUND)


def _png(head: bytes) -> ClipFormat | None:
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    if b"acTL" in head.split(b"IDAT", 1)[0]:
        return ClipFormat("apng", "apng", ClipKind.VIDEO, False)
    return ClipFormat("png", "", ClipKind.IMAGE, False)


def _is_transport_stream(head: bytes) -> bool:
    """Sync bytes at a steady distance; recorders may put some bytes of junk before the first."""
    for size in _TS_PACKETS:
        for start in range(min(size, len(head))):
            places = head[start : start + 5 * size : size]
            if len(places) == 5 and places == b"G" * 5:
                return True
    return False


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    sample = head[:4096]
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample)
    if controls:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(sample) < 4096)
    except UnicodeDecodeError:
        # Old text in one-byte letters: no control codes and mostly plain characters.
        return sum(byte < 128 for byte in sample) > len(sample) // 2
    return True
