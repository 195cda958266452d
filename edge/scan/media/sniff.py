"""What a file is, told from its first bytes and never from its name. Pure."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from edge.scan.media.protocol import CONTAINERS, Fault, Kind, RefusedError

HEAD_BYTES = 65536

_TS_PACKETS = (188, 192, 204)
_SOUND = (b"ID3", b"fLaC", b"OggS", b"MThd", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"#!AMR")
_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
_MOVES = 2
_MOV_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


class Form(NamedTuple):
    """How a file is to be opened: FFmpeg's demuxer is named, it never guesses.

    A moving WebP has none: it is not opened by FFmpeg.
    """

    container: str
    demuxer: str
    kind: Kind
    seekable: bool

    @property
    def number(self) -> int:
        """Its place in the border's table."""
        return CONTAINERS.index(self.container)


_FIXED = (
    (b"FLV", Form("flv", "flv", Kind.VIDEO, True)),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Form("wmv", "asf", Kind.VIDEO, True)),
    (b"\x00\x00\x01\xba", Form("mpg", "mpeg", Kind.VIDEO, True)),
    (b"\x00\x00\x01\xb3", Form("mpg", "mpegvideo", Kind.VIDEO, False)),
    (b"GIF87a", Form("gif", "gif", Kind.VIDEO, False)),
    (b"GIF89a", Form("gif", "gif", Kind.VIDEO, False)),
    (b"\xff\xd8\xff", Form("jpg", "jpeg_pipe", Kind.IMAGE, False)),
    (b"BM", Form("bmp", "bmp_pipe", Kind.IMAGE, False)),
    (b"II*\0", Form("tiff", "tiff_pipe", Kind.IMAGE, False)),
    (b"MM\0*", Form("tiff", "tiff_pipe", Kind.IMAGE, False)),
)
_TRANSPORT_STREAM = Form("ts", "mpegts", Kind.VIDEO, True)


def sniff(head: bytes) -> Form:
    """Name the container from the file's first bytes (up to `HEAD_BYTES` of them).

    Raises RefusedError with a fault that says what the file is instead.
    """
    if not head:
        raise RefusedError(Fault.EMPTY)
    if _is_text(head):
        raise RefusedError(Fault.TEXT)
    for look in (_mov, _matroska, _riff, _png, _fixed):
        form = look(head)
        if form is not None:
            return form
    if _is_transport_stream(head):
        return _TRANSPORT_STREAM
    raise RefusedError(Fault.SOUND if head.startswith(_SOUND) else Fault.NOT_A_CLIP)


def _fixed(head: bytes) -> Form | None:
    return next((form for magic, form in _FIXED if head.startswith(magic)), None)


def _mov(head: bytes) -> Form | None:
    if head[4:8] in _MOV_ATOMS:
        return Form("mov", "mov", Kind.VIDEO, True)
    if head[4:8] != b"ftyp":
        return None
    brand = head[8:12]
    if brand in _STILL_BRANDS:
        raise RefusedError(Fault.STILL_FORMAT)
    if brand in _SOUND_BRANDS:
        raise RefusedError(Fault.SOUND)
    names = {b"qt  ": "mov", b"M4V ": "m4v", b"M4VH": "m4v", b"M4VP": "m4v"}
    name = "3gp" if brand.startswith((b"3gp", b"3g2")) else names.get(brand, "mp4")
    return Form(name, "mov", Kind.VIDEO, True)


def _matroska(head: bytes) -> Form | None:
    if head[:4] != b"\x1aE\xdf\xa3":
        return None
    return Form("webm" if b"webm" in head[:64] else "mkv", "matroska", Kind.VIDEO, True)


def _riff(head: bytes) -> Form | None:
    if head[:4] != b"RIFF":
        return None
    if head[8:12] in (b"AVI ", b"AVIX"):
        return Form("avi", "avi", Kind.VIDEO, True)
    if head[8:16] == b"WEBPVP8X" and head[20:21] and head[20] & _MOVES:
        return Form("webp", "", Kind.VIDEO, False)
    if head[8:12] == b"WEBP":
        return Form("webp", "webp_pipe", Kind.IMAGE, False)
    raise RefusedError(Fault.SOUND)


def _png(head: bytes) -> Form | None:
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    if b"acTL" in head.split(b"IDAT", 1)[0]:
        return Form("apng", "apng", Kind.VIDEO, False)
    return Form("png", "png_pipe", Kind.IMAGE, False)


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
