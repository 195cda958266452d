"""How a still picture was held when it was taken: the orientation tag of EXIF. Pure.

Read here and not by FFmpeg, which knows it for some kinds of picture only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_ORIENTATION = 0x0112
_MOST_ENTRIES = 512


def orientation(data: bytes) -> int:
    """The orientation (1 to 8, as EXIF counts) in a JPEG, PNG, WebP or TIFF file; 1 if untold."""
    for block in _tiff_blocks(data):
        found = _from_tiff(block)
        if found:
            return found
    return 1


def _tiff_blocks(data: bytes) -> Iterator[bytes]:
    if data[:2] == b"\xff\xd8":
        yield from _jpeg_segments(data)
    elif data[:4] == b"\x89PNG":
        yield from (body for name, body in _chunks(data[8:], ">", 4) if name == b"eXIf")
    elif data[:4] == b"RIFF":
        for name, body in _chunks(data[12:], "<", 0):
            if name == b"EXIF":
                yield body.removeprefix(b"Exif\0\0")
    else:
        yield data


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, place + 2)
        body = data[place + 4 : place + 2 + length]
        if data[place + 1] == 0xE1 and body.startswith(b"Exif\0\0"):
            yield body[6:]
        place += 2 + max(2, length)


def _chunks(data: bytes, order: str, checksum: int) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies of PNG's (length first) or RIFF's (name first, even sizes) chunks."""
    place = 0
    while place + 8 <= len(data):
        first, second = data[place : place + 4], data[place + 4 : place + 8]
        name, size = (second, first) if checksum else (first, second)
        (length,) = struct.unpack(order + "I", size)
        yield name, data[place + 8 : place + 8 + length]
        place += 8 + length + (checksum or length % 2)


def _from_tiff(block: bytes) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 10:
        return 0
    (start,) = struct.unpack_from(order + "I", block, 4)
    if start + 2 > len(block):
        return 0
    (count,) = struct.unpack_from(order + "H", block, start)
    for entry in range(min(count, _MOST_ENTRIES)):
        place = start + 2 + entry * 12
        if place + 12 > len(block):
            break
        tag, kind, _, value = struct.unpack_from(order + "HHIH", block, place)
        if tag == _ORIENTATION and kind == 3 and 1 <= value <= 8:
            return int(value)
    return 0
