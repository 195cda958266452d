"""How files are built, read without decoding: boxes of MP4, elements of Matroska, JPEG's markers.

Standard library only. Every walk ends after a number of steps that is set here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from edge.scan.media.clip_file import DescriptorFile
from edge.scan.media.encryption import is_film_encrypted

EBML = b"\x1aE\xdf\xa3"
_SEGMENT = b"\x18S\x80g"
MOV_ATOMS = frozenset(
    (
        *(b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid"),
        *(b"moof", b"sidx", b"ssix", b"prft", b"emsg"),
    )
)
# The configuration of Dolby Vision, profile 5, in MP4 or Matroska: compatible with nothing else.
_DOLBY_ALONE = re.compile(rb"dv[cv]C(?:\x41\xed.)?[\1\2].[\x0a\x0b].[\0-\x0f]", re.DOTALL)
_MOST_STEPS = 200_000
_MOST_MOOV = 1 << 24
_MOST_JPEG = 1 << 27
_HEAD = 64
_TS_PACKET = 188
_MOST_TS = 200 * _TS_PACKET
# How videos begin that lie behind a picture or another video.
_VIDEO = re.compile(
    rb"\0\0\0[\x10-\xff]ftyp(?:mp4|isom|iso[2-9]|qt  |avc1|M4V |3gp|MSNV|hvc1|mmp4)"
    rb"|\x1aE\xdf\xa3.{0,64}(?:matroska|webm)|RIFF.{4}AVI |"
    + b"|".join(
        re.escape(beginning)
        for beginning in (
            *(b"FLV\1\1\0\0\0\x09", b"FLV\1\5\0\0\0\x09", b"DKIF\0\0\x20\0", b"YUV4MPEG2 "),
            b"nut/multimedia container\0",
            b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
            b"\x06\x0e\x2b\x34\2\5\1\1\x0d\1\2\1\1\2",
        )
    ),
    re.DOTALL,
)
# Markers of frames, by how they are coded; DHT, JPG and DAC lie between them.
_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS = frozenset((0xC3, 0xC7, 0xCB, 0xCF, 0xF7))
# A marker that ends or interrupts the data of a scan: no stuffing, restart or fill.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Film(NamedTuple):
    """What the boxes of an MP4 or QuickTime file hold."""

    films: int
    """Number of `moov` boxes: players show the first."""
    fragments: bool
    """Whether there are boxes of a fragmented film."""
    has_video: bool
    truncated: bool
    """Whether a box reaches beyond the file's end."""
    has_media: bool
    """Whether there is anything beside the description."""
    needs_dolby: bool
    """Whether the pictures are coded for Dolby Vision alone, without a layer for others."""
    encrypted: bool


def atoms(file: DescriptorFile) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each box at the top; the end may lie beyond the file."""
    place = 0
    for _ in range(_MOST_STEPS):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:
            size = file.size - place
        if size < 8:
            return
        yield name, place, place + size
        place += size


def boxes(data: bytes, place: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Name, and start and end of the content, of each box between two places."""
    end = len(data) if end is None else end
    for _ in range(_MOST_STEPS):
        if place + 8 > end:
            return
        size, head = int.from_bytes(data[place : place + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        following = place + size if size else end
        if size and size < head:
            return
        yield data[place + 4 : place + 8], place + head, min(following, end)
        place = following


def read_mov(file: DescriptorFile) -> Film:
    """Look through the boxes of an MP4 or QuickTime file."""
    films, fragments, has_video, truncated = 0, False, False, False
    has_media = needs_dolby = encrypted = False
    for name, start, end in atoms(file):
        truncated |= end > file.size and name in {b"mdat", b"moov", b"moof"}
        fragments |= name in {b"moof", b"styp", b"sidx"}
        has_media |= name in {b"moof", b"mdat"}
        if name == b"moov":
            films += 1
            file.seek(start)
            moov = file.read(min(end - start, _MOST_MOOV))
            has_video |= re.search(rb"hdlr.{8}vide", moov, re.DOTALL) is not None
            fragments |= b"mvex" in moov
            needs_dolby |= is_dolby_alone(moov)
            encrypted |= is_film_encrypted(moov)
    return Film(films, fragments, has_video, truncated, has_media, needs_dolby, encrypted)


def is_dolby_alone(header: bytes) -> bool:
    """Whether the description of a film says that its pictures need Dolby Vision."""
    return _DOLBY_ALONE.search(header) is not None


def is_cut_short(file: DescriptorFile) -> bool:
    """Whether a Matroska or AVI file is shorter than its outermost element says."""
    file.seek(0)
    head = file.read(4096)
    if head.startswith(b"RIFF"):
        # Sizes of AVI are rounded, and some writers leave the size at zero.
        return 8 + int.from_bytes(head[4:8], "little") > file.size + 8
    place = head.find(_SEGMENT)
    size = _ebml_size(head, place + 4) if place >= 0 else None
    return size is not None and place + 4 + size > file.size


def parts(file: DescriptorFile) -> list[DescriptorFile]:
    """The files that are joined in one, for containers that players would end with the first."""
    file.seek(0)
    head = file.read(12)
    if head[:4] == EBML:
        starts = list(_matroska_starts(file))
    elif head[:4] == b"RIFF":
        starts = list(_avi_starts(file))
    elif head[:3] == b"FLV":
        starts = list(_flv_starts(file))
    elif head[4:8] in MOV_ATOMS:
        starts = list(_mov_starts(file))
    else:
        return [file]
    starts = [0, *starts[1:]]
    ends = [*starts[1:], file.size]
    return [file.part(start, end) for start, end in zip(starts, ends, strict=True)]


def _mov_starts(file: DescriptorFile) -> Iterator[int]:
    yield 0
    whole, start = False, 0
    for name, place, end in atoms(file):
        if name == b"ftyp" and whole:
            start, whole = place, False
        if name == b"moov":
            whole = end <= file.size
            if start:
                yield start
                start = 0


def _matroska_starts(file: DescriptorFile) -> Iterator[int]:
    place = 0
    for _ in range(_MOST_STEPS):
        file.seek(place)
        head = file.read(4096)
        segment = head.find(_SEGMENT)
        if head[:4] != EBML or segment < 0:
            return
        yield place
        size = _ebml_size(head, segment + 4)
        if size is None:
            return
        place += segment + 4 + size


def _ebml_size(head: bytes, place: int) -> int | None:
    """Bytes of an element's size and content; None if the size is unknown."""
    length = 9 - head[place].bit_length() if place < len(head) else 9
    most = (1 << 7 * length) - 1
    size = int.from_bytes(head[place : place + length], "big") & most
    return None if length > 8 or size == most else length + size


def _flv_starts(file: DescriptorFile) -> Iterator[int]:
    place = 0
    for _ in range(_MOST_STEPS):
        file.seek(place)
        head = file.read(9)
        if len(head) < 9:
            return
        if head[:3] == b"FLV":
            yield place
            place += int.from_bytes(head[5:9], "big") + 4
        else:
            place += 11 + int.from_bytes(head[1:4], "big") + 4


def _avi_starts(file: DescriptorFile) -> Iterator[int]:
    place = 0
    for _ in range(_MOST_STEPS):
        file.seek(place)
        head = file.read(12)
        if head[:4] != b"RIFF":
            return
        if head[8:12] == b"AVI " or place == 0:
            yield place
        size = int.from_bytes(head[4:8], "little")
        if size < 4:
            return
        place += 8 + size + size % 2


def program_table(file: DescriptorFile, place: int) -> int:
    """Where the last program table of a transport stream begins before a packet at `place`.

    `place` itself without one.
    """
    start = max(0, place - _MOST_TS)
    file.seek(start)
    before = file.read(place - start)
    for back in range(_TS_PACKET, len(before) + 1, _TS_PACKET):
        if before[-back:][:3] == b"G\x40\0":
            return place - back
    return place


class Jpeg(NamedTuple):
    """One JPEG picture in a file."""

    end: int | None
    """Where it ends; None if it is cut short."""
    names_others: bool
    """Whether it says that other pictures belong to it (multi-picture format)."""


def read_jpeg(data: bytes) -> Jpeg:
    """Walk over a JPEG's markers."""
    names_others, place = False, 2
    for _ in range(_MOST_STEPS):
        found = _MARKER.search(data, place)
        if found is None:
            break
        marker, place = data[found.start() + 1], found.end()
        if marker == 0xD9:
            return Jpeg(place, names_others)
        if marker in {0x01, 0xD8}:
            continue
        names_others |= marker == 0xE2 and data[place + 2 : place + 6] == b"MPF\0"
        place += int.from_bytes(data[place : place + 2], "big")
    return Jpeg(None, names_others)


def is_lossless_jpeg(file: BinaryIO | DescriptorFile) -> bool:
    """Whether a JPEG's frame is coded without loss, by the first part of ISO 10918 or JPEG-LS."""
    file.seek(0)
    head, place = file.read(1 << 20), 2
    while (found := _MARKER.search(head, place)) is not None:
        marker, place = head[found.start() + 1], found.end()
        if marker in _FRAMES:
            return marker in _LOSSLESS
        place += int.from_bytes(head[place : place + 2], "big")
    return False


def has_jpegs_in_a_row(file: DescriptorFile) -> bool:
    """Whether another JPEG follows at once and the first does not say that it belongs to it."""
    file.seek(0)
    data = file.read(_MOST_JPEG)
    first = read_jpeg(data)
    if first.end is None or first.names_others:
        return False
    behind = data[first.end : first.end + 64].lstrip(b"\0\r\n")
    return behind.startswith(b"\xff\xd8\xff")


def video_behind(file: DescriptorFile, start: int = 0) -> int | None:
    """Where a video begins that lies behind or within a picture (motion photograph) or a video.

    It is searched from shortly behind the byte `start` on.
    """
    behind = file.part(start)
    found = _VIDEO.search(behind.read(_MOST_JPEG), _HEAD)
    return None if found is None else start + found.start()
