"""Where the sizes and counts of a file stand, by its container. For damaging them."""

import random
import struct
from collections.abc import Iterator

Place = tuple[int, str]
"""An offset and the `struct` format of the number that stands there."""
Part = tuple[int, int]
"""An offset and a length."""

_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"moof", b"traf", b"mvex"}
_TABLES = {b"stts", b"ctts", b"stsc", b"stsz", b"stco", b"stss", b"elst", b"mdhd", b"mvhd"}
_TABLES |= {b"tkhd", b"stsd", b"trun", b"tfhd"}
_MASTERS = {0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675, 0xA0, 0x1C53BB6B, 0xBB}


def boxes(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[int, int, bytes]]:
    """Offset, size and name of every box of an MP4."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, name = struct.unpack_from(">I", data, at)[0], data[at + 4 : at + 8]
        if size < 8 or at + size > end:
            return
        yield at, size, name
        if name in _BOXES:
            yield from boxes(data, at + 8, at + size)
        at += size


def elements(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Offset, length of the id, length of the size, and size of every Matroska element."""
    at = 0
    while at < len(data) - 12 and data[at]:
        id_length = 9 - data[at].bit_length()
        number = int.from_bytes(data[at : at + id_length], "big")
        first = data[at + id_length]
        if not first:
            return
        length = 9 - first.bit_length()
        raw = int.from_bytes(data[at + id_length : at + id_length + length], "big")
        size = raw & ((1 << 7 * length) - 1)
        yield at, id_length, length, size
        at += id_length + length + (0 if number in _MASTERS else size)


def chunks(data: bytes, order: str, at: int, extra: int) -> Iterator[tuple[int, int, bytes]]:
    """Offset, size and name of every chunk of a RIFF file or a PNG."""
    while at + 8 + extra <= len(data):
        if order == "<":
            name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        else:
            size, name = struct.unpack_from(">I", data, at)[0], data[at + 4 : at + 8]
        yield at, size, name
        at += 12 if name == b"LIST" else 8 + extra + size + (size % 2 if order == "<" else 0)


def segments(data: bytes) -> Iterator[Part]:
    """Offset and size of every segment of a JPEG before its picture."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = struct.unpack_from(">H", data, at + 2)[0]
        yield at, 2 + size
        at += 2 + size


def places(kind: str, data: bytes) -> list[Place]:
    """Where sizes and counts stand."""
    if kind in ("mp4", "mov"):
        return [
            (at + offset, ">I")
            for at, size, name in boxes(data)
            for offset in (0, *(range(8, min(size, 104), 4) if name in _TABLES else ()))
        ]
    if kind in ("avi", "webp"):
        return [
            (at + 4 + offset, "<I")
            for at, size, _ in chunks(data, "<", 12, 0)
            for offset in range(0, min(size, 56), 4)
        ]
    if kind == "png":
        return [
            (at + (offset if offset else 0), ">I")
            for at, size, _ in chunks(data, ">", 8, 4)
            for offset in (0, *range(8, 8 + min(size, 24), 4))
        ]
    if kind == "jpg":
        return [
            (at + step, ">H") for at, size in segments(data) for step in range(2, min(size, 20))
        ]
    return [(at, form) for at in range(min(len(data) - 8, 512)) for form in (">I", "<H")]


def parts(kind: str, data: bytes) -> list[Part]:
    """The pieces that a file is made of."""
    if kind in ("mp4", "mov"):
        found = [(at, size) for at, size, _ in boxes(data)]
    elif kind == "mkv":
        found = [(at, a + b + size) for at, a, b, size in elements(data)]
    elif kind in ("avi", "webp"):
        found = [(at, 8 + size + size % 2) for at, size, _ in chunks(data, "<", 12, 0)]
    elif kind == "png":
        found = [(at, 12 + size) for at, size, _ in chunks(data, ">", 8, 4)]
    elif kind == "jpg":
        found = list(segments(data))
    else:
        unit = 188 if kind == "ts" else max(64, len(data) // 50)
        found = [(at, unit) for at in range(0, len(data) - unit, unit)]
    return [(at, size) for at, size in found if at + size <= len(data)]


def some(chance: random.Random, found: list[Place], most: int) -> list[Place]:
    """A few of them."""
    return chance.sample(found, min(len(found), chance.randint(1, most)))
