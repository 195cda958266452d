"""The part of a video's frames that its container says is shown: clean aperture, Matroska's crop.

What lies outside is padding of the encoder or an edge with noise. Standard library only.
Sources: ISO/IEC 14496-12, 12.1.4 (`clap`); RFC 9559, 5.1.4.1.28.8 to 11 (`PixelCrop`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from edge.scan.media.clip_file import DescriptorFile
from edge.scan.media.structure import EBML, MOV_ATOMS

_MOST_STEPS = 10_000
_MOST_HEADER = 1 << 22
_SAMPLE_ENTRY = 86
"""Bytes of a video's sample entry before its boxes."""
_TRACK_BOXES = (b"mdia", b"minf", b"stbl", b"stsd")
_VIDEO_TRACK = re.compile(rb"hdlr.{8}vide", re.DOTALL)
# Matroska's elements.
_SEGMENT, _TRACKS, _ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_TYPE, _CLUSTER, _TYPE_VIDEO = 0x83, 0x1F43B675, 1
_LEFT, _TOP, _RIGHT, _BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA


class Margins(NamedTuple):
    """Pixels at the edges of a stored frame that are not shown."""

    left: int
    top: int
    right: int
    bottom: int


def margins(file: DescriptorFile, number: int) -> Margins | None:
    """Those of the video track at this place in the file, from 0; None if all is shown."""
    file.seek(0)
    head = file.read(8)
    found: Iterator[Margins | None] = iter(())
    if head[4:8] in MOV_ATOMS:
        found = _of_mov(file)
    elif head[:4] == EBML:
        found = _of_matroska(file)
    for place, each in enumerate(found):
        if place == number:
            return each if each and any(each) and min(each) >= 0 else None
    return None


# ---- MP4 and QuickTime


def _of_mov(file: DescriptorFile) -> Iterator[Margins | None]:
    for track in _tracks_of_mov(file):
        if _VIDEO_TRACK.search(track):
            yield _of_track(track)


def _tracks_of_mov(file: DescriptorFile) -> Iterator[bytes]:
    place = 0
    for _ in range(_MOST_STEPS):
        file.seek(place)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if len(head) < 8 or 0 < size < 8:
            return
        if head[4:8] == b"moov":
            file.seek(place)
            film = file.read(min(size or _MOST_HEADER, _MOST_HEADER))
            yield from (content for name, content in _boxes(film[8:]) if name == b"trak")
            return
        if not size:
            return
        place += size


def _of_track(track: bytes) -> Margins | None:
    for wanted in _TRACK_BOXES:
        track = dict(_boxes(track)).get(wanted, b"")
    entry = track[8:]  # behind the version and the number of entries
    clap = dict(_boxes(entry[_SAMPLE_ENTRY:])).get(b"clap", b"")
    if len(clap) < 32:
        return None
    width, height = (int.from_bytes(entry[at : at + 2], "big") for at in (32, 34))
    values = [int.from_bytes(clap[at : at + 4], "big", signed=True) for at in range(0, 32, 4)]
    if not all(values[1::2]):
        return None
    wide, high, right, down = (a / b for a, b in zip(values[::2], values[1::2], strict=True))
    left, top = round((width - wide) / 2 + right), round((height - high) / 2 + down)
    return Margins(left, top, width - round(wide) - left, height - round(high) - top)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box."""
    place = 0
    for _ in range(_MOST_STEPS):
        size = int.from_bytes(data[place : place + 4], "big")
        if size < 8:
            return
        yield data[place + 4 : place + 8], data[place + 8 : place + size]
        place += size


# ---- Matroska


def _of_matroska(file: DescriptorFile) -> Iterator[Margins | None]:
    file.seek(0)
    data = file.read(_MOST_HEADER)
    for id_, start, end in _elements(data, 0, len(data)):
        if id_ == _SEGMENT:
            for inner, first, last in _elements(data, start, end):
                if inner == _TRACKS:
                    yield from _of_tracks(data, first, last)
                if inner in {_TRACKS, _CLUSTER}:
                    return


def _of_tracks(data: bytes, start: int, end: int) -> Iterator[Margins | None]:
    for entry, first, last in _elements(data, start, end):
        parts = {id_: (a, b) for id_, a, b in _elements(data, first, last)}
        if entry != _ENTRY or _number(data, parts.get(_TYPE)) != _TYPE_VIDEO:
            continue
        values = {id_: (a, b) for id_, a, b in _elements(data, *parts.get(_VIDEO, (0, 0)))}
        sides = (_LEFT, _TOP, _RIGHT, _BOTTOM)
        yield Margins(*(_number(data, values.get(side)) for side in sides))


def _number(data: bytes, place: tuple[int, int] | None) -> int:
    return int.from_bytes(data[slice(*place)], "big") if place else 0


def _elements(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each element's content; an unknown size reaches to the end."""
    for _ in range(_MOST_STEPS):
        if place >= min(end, len(data)):
            return
        length = 9 - data[place].bit_length()
        id_, place = int.from_bytes(data[place : place + length], "big"), place + length
        width = 9 - data[place].bit_length() if place < len(data) else 9
        if width > 8:
            return
        most = (1 << 7 * width) - 1
        size = int.from_bytes(data[place : place + width], "big") & most
        start = place + width
        place = end if size == most else start + size
        yield id_, start, min(place, end)
