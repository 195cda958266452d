"""The part of a video's frames that its container says is shown: clean aperture, Matroska's crop.

What lies outside is padding of the encoder or an edge with noise. Standard library only.
Sources: ISO/IEC 14496-12, 12.1.4 (`clap`); RFC 9559, 5.1.4.1.28.8 to 11 (`PixelCrop`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from edge.scan.media.clip_file import DescriptorFile
from edge.scan.media.structure import EBML, MOV_ATOMS, atoms, boxes

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
    for name, start, end in atoms(file):
        if name == b"moov":
            file.seek(start)
            film = file.read(min(end - start, _MOST_HEADER))
            yield from (film[first:last] for box, first, last in boxes(film, 8) if box == b"trak")
            return


def _of_track(track: bytes) -> Margins | None:
    for wanted in _TRACK_BOXES:
        track = _content(track, wanted)
    entry = track[8:]  # behind the version and the number of entries
    clap = _content(entry[_SAMPLE_ENTRY:], b"clap")
    if len(clap) < 32:
        return None
    width, height = (int.from_bytes(entry[at : at + 2], "big") for at in (32, 34))
    values = [int.from_bytes(clap[at : at + 4], "big", signed=True) for at in range(0, 32, 4)]
    if not all(values[1::2]):
        return None
    wide, high, right, down = (a / b for a, b in zip(values[::2], values[1::2], strict=True))
    left, top = round((width - wide) / 2 + right), round((height - high) / 2 + down)
    return Margins(left, top, width - round(wide) - left, height - round(high) - top)


def _content(data: bytes, name: bytes) -> bytes:
    """The content of the last box of this name; empty if there is none."""
    found = [data[start:end] for box, start, end in boxes(data) if box == name]
    return found[-1] if found else b""


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
