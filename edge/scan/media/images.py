"""What a still picture's own header says: its size, and how it was held. Pure.

The size is read here because FFmpeg names none that it finds too large, and the orientation because
FFmpeg knows it for some kinds of picture only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112
_MOST_ENTRIES = 512
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def orientation(data: bytes) -> int:
    """The orientation (1 to 8, as EXIF counts) in a JPEG, PNG, WebP or TIFF file; 1 if untold."""
    for block in _tiff_blocks(data):
        found = _tags(block).get(_ORIENTATION, 0)
        if 1 <= found <= 8:
            return found
    return 1


def pixel_count(data: bytes) -> int:
    """Width times height as the header claims; 0 if it tells none."""
    width = height = 0
    if data[:4] == b"\x89PNG" and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
    elif data[:2] == b"BM" and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)
    elif data[:4] == b"GIF8" and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
    elif data[12:16] == b"VP8X" and len(data) >= 30:
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif data[:2] == b"\xff\xd8":
        for marker, body in _jpeg_segments(data):
            if marker in _FRAME_HEADERS and len(body) >= 5:
                height, width = struct.unpack_from(">HH", body, 1)
    else:
        tags = _tags(data)
        width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    return abs(width * height)


def chunks(data: bytes, order: str, checksum: int) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies of PNG's (length first) or RIFF's (name first, even sizes) chunks."""
    place = 0
    while place + 8 <= len(data):
        first, second = data[place : place + 4], data[place + 4 : place + 8]
        name, size = (second, first) if checksum else (first, second)
        (length,) = struct.unpack(order + "I", size)
        yield name, data[place + 8 : place + 8 + length]
        place += 8 + length + (checksum or length % 2)


def _tiff_blocks(data: bytes) -> Iterator[bytes]:
    if data[:2] == b"\xff\xd8":
        for marker, body in _jpeg_segments(data):
            if marker == 0xE1 and body.startswith(b"Exif\0\0"):
                yield body[6:]
    elif data[:4] == b"\x89PNG":
        yield from (body for name, body in chunks(data[8:], ">", 4) if name == b"eXIf")
    elif data[:4] == b"RIFF":
        for name, body in chunks(data[12:], "<", 0):
            if name == b"EXIF":
                yield body.removeprefix(b"Exif\0\0")
    else:
        yield data


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, place + 2)
        yield data[place + 1], data[place + 4 : place + 2 + length]
        place += 2 + max(2, length)


def _tags(block: bytes) -> dict[int, int]:
    """The first directory's single numbers of 16 or 32 bits."""
    found: dict[int, int] = {}
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 10:
        return found
    (start,) = struct.unpack_from(order + "I", block, 4)
    if start + 2 > len(block):
        return found
    (count,) = struct.unpack_from(order + "H", block, start)
    for place in range(start + 2, start + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        if place + 12 > len(block):
            break
        tag, kind = struct.unpack_from(order + "HH", block, place)
        if kind in (3, 4):
            (found[tag],) = struct.unpack_from(
                order + ("H" if kind == 3 else "I"), block, place + 8
            )
    return found
