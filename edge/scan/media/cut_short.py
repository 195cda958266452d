"""Whether a file ends before its last picture does: FFmpeg fills the rest without a word.

Standard library only. Every walk ends after a number of steps that is set here.
"""

from __future__ import annotations

from edge.scan.media import structure
from edge.scan.media.clip_file import DescriptorFile

_MOST_STEPS = 2_000_000
_IMAGE, _EXTENSION = 0x2C, 0x21


def gif_is_cut_short(file: DescriptorFile) -> bool:
    """Whether the file ends within a block. Many writers leave out the trailer alone."""
    file.seek(0)
    data = file.read()
    place = 13 + _colours(data, 10)
    for _ in range(_MOST_STEPS):
        if place >= len(data) or data[place] not in (_IMAGE, _EXTENSION):
            return False
        # An image has its size, its colours and the width of its codes; an extension its kind.
        place += 11 + _colours(data, place + 9) if data[place] == _IMAGE else 2
        while place < len(data) and data[place]:
            place += 1 + data[place]
        if place >= len(data):
            return True
        place += 1
    return False


def png_is_cut_short(file: DescriptorFile) -> bool:
    """Whether the file ends before the chunk that ends it, IEND."""
    place = 8
    for _ in range(_MOST_STEPS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return True
        place += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return False
    return False


def _colours(data: bytes, place: int) -> int:
    """Bytes of the table of colours that the flags at this place announce."""
    flags = data[place] if place < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


CUT_SHORT = {
    "matroska": structure.is_cut_short,
    "avi": structure.is_cut_short,
    "gif": gif_is_cut_short,
    "apng": png_is_cut_short,
}
"""By the name of FFmpeg's demuxer."""
