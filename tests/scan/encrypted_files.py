"""Makes encrypted and scrambled files."""

from __future__ import annotations

from pathlib import Path

from clips import write_clip
from file_kinds import changed, clip


def encrypted_mp4(folder: Path) -> Path:
    def change(data: bytearray) -> None:
        data[:] = data.replace(b"avc1", b"encv")

    return changed(clip("v.mp4"), change)(folder)


def scrambled(folder: Path) -> Path:
    """A transport stream whose packets of video are marked as scrambled."""

    def change(data: bytearray) -> None:
        for place in range(0, len(data), 188):
            if int.from_bytes(data[place + 1 : place + 3], "big") & 0x1FFF == 0x100:
                data[place + 3] |= 0x80

    return changed(clip("v.ts"), change)(folder)


def scrambled_dvd(folder: Path) -> Path:
    """The same of a DVD's file: each packet of video says so."""

    def change(data: bytearray) -> None:
        place = data.find(b"\0\0\1\xe0")
        while place >= 0:
            data[place + 6] |= 0x10
            place = data.find(b"\0\0\1\xe0", place + 4)

    return changed(clip("v.vob", "mpeg2video"), change)(folder)


def encrypted_matroska(folder: Path) -> Path:
    """The description of the track names the key of its encryption."""
    path = write_clip(folder / "v.mkv", 50, muxing={"live": "1"})
    data = path.read_bytes()
    start = data.index(b"\x16\x54\xae\x6b") + 4
    entry_start, tracks_end = _ebml_content(data, start)
    content, entry_end = _ebml_content(data, entry_start + 1)
    how = b"\x50\x33\x81\1\x50\x35\x8b\x47\xe1\x81\5\x47\xe2\x84abcd"
    encodings = b"\x6d\x80" + _ebml_size(b"\x62\x40" + _ebml_size(how))
    entry = b"\xae" + _ebml_size(data[content:entry_end] + encodings)
    tracks = _ebml_size(entry + data[entry_end:tracks_end])
    path.write_bytes(data[:start] + tracks + data[tracks_end:])
    return path


def _ebml_content(data: bytes, place: int) -> tuple[int, int]:
    """Start and end of an element's content; its size lies at `place`."""
    length = 9 - data[place].bit_length()
    size = int.from_bytes(data[place : place + length], "big") & (1 << 7 * length) - 1
    return place + length, place + length + size


def _ebml_size(content: bytes) -> bytes:
    return b"\x01" + len(content).to_bytes(7, "big") + content
