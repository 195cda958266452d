"""The kinds of files that are read, and those that are only named: one table, and its look-up.

Standard library only: the program and the decoder process both use it. `docs/formats.md`,
`truelight scan --formats` and the names that `collect` goes by are made from here.
"""

from __future__ import annotations

import codecs
from pathlib import PurePath
from typing import NamedTuple

from edge.scan.media import structure
from edge.scan.media.bare_streams import recognise_stream
from edge.scan.media.clip_file import HEAD_BYTES, DescriptorFile
from edge.scan.media.encryption import is_matroska_encrypted, is_stream_encrypted
from edge.scan.media.protocol import CONTAINERS, ClipError, ClipKind, Fault
from edge.scan.media.unsupported import UNSUPPORTED


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


class KnownFormat(NamedTuple):
    """A row of the table."""

    name: str
    """For people."""
    endings: tuple[str, ...]
    """Of file names."""
    container: str = ""
    """As findings name it; empty: the kind is not read."""
    demuxer: str = ""
    """FFmpeg's; empty: Pillow reads it."""
    kind: ClipKind | None = None
    """None for a video in which FFmpeg can seek."""

    @property
    def form(self) -> ClipFormat:
        """How it is opened."""
        return ClipFormat(self.container, self.demuxer, self.kind or _VIDEO, self.kind is None)


_VIDEO, _STILL = ClipKind.VIDEO, ClipKind.IMAGE
READ = (
    KnownFormat("MP4 video", (".mp4",), "mp4", "mov"),
    KnownFormat("QuickTime video", (".mov", ".qt"), "mov", "mov"),
    KnownFormat("MPEG-4 video for iTunes", (".m4v",), "m4v", "mov"),
    KnownFormat("3GPP video", (".3gp", ".3g2"), "3gp", "mov"),
    KnownFormat("Matroska video", (".mkv",), "mkv", "matroska"),
    KnownFormat("WebM video", (".webm",), "webm", "matroska"),
    KnownFormat("AVI video", (".avi",), "avi", "avi"),
    KnownFormat("Windows Media video", (".wmv", ".asf"), "wmv", "asf"),
    KnownFormat("Flash video", (".flv",), "flv", "flv"),
    KnownFormat("MPEG video", (".mpg", ".mpeg", ".vob", ".m2p"), "mpg", "mpeg"),
    KnownFormat("bare MPEG stream", (".m1v", ".m2v"), "mpg", "mpegvideo", _VIDEO),
    KnownFormat("MPEG transport stream", (".mts", ".m2ts", ".m2t", ".trp"), "ts", "mpegts"),
    KnownFormat("bare H.264 stream", (".h264", ".264", ".avc"), "h264", "h264", _VIDEO),
    KnownFormat("bare HEVC stream", (".hevc", ".h265", ".265"), "hevc", "hevc", _VIDEO),
    KnownFormat("bare MPEG-4 stream", (".m4v",), "m4v", "m4v", _VIDEO),
    KnownFormat("bare motion JPEG stream", (".mjpeg", ".mjpg"), "mjpeg", "mjpeg", _VIDEO),
    KnownFormat("motion JPEG stream of a web camera", (), "mjpeg", "mpjpeg", _VIDEO),
    KnownFormat("Ogg video", (".ogv", ".ogm"), "ogv", "ogg"),
    KnownFormat("DV video", (".dv", ".dif"), "dv", "dv", _VIDEO),
    KnownFormat("MXF video", (".mxf",), "mxf", "mxf"),
    KnownFormat("IVF video", (".ivf",), "ivf", "ivf"),
    KnownFormat("Dahua recording", (".dav",), "dav", "dhav"),
    KnownFormat("YUV4MPEG2 video", (".y4m",), "y4m", "yuv4mpegpipe", _VIDEO),
    KnownFormat("NUT video", (".nut",), "nut", "nut"),
    KnownFormat("GIF", (".gif",), "gif", "gif", _VIDEO),
    KnownFormat("Animated PNG", (".apng",), "apng", "apng", _VIDEO),
    KnownFormat("Animated WebP", (".webp",), "webp", "", _VIDEO),
    KnownFormat("Animated AVIF", (".avifs",), "avif", "mov"),
    KnownFormat("Animated HEIF", (".heifs", ".heics"), "heic", "mov"),
    KnownFormat("JPEG picture", (".jpg", ".jpeg", ".jpe", ".jfif"), "jpg", "", _STILL),
    KnownFormat("PNG picture", (".png",), "png", "", _STILL),
    KnownFormat("WebP picture", (".webp",), "webp", "", _STILL),
    KnownFormat("BMP picture", (".bmp", ".dib"), "bmp", "", _STILL),
    KnownFormat("TIFF picture", (".tif", ".tiff"), "tiff", "", _STILL),
    KnownFormat("HEIF picture", (".heic", ".heif", ".hif"), "heic", "", _STILL),
    KnownFormat("AVIF picture", (".avif",), "avif", "", _STILL),
)  # fmt: skip
"""What is read."""

READ_ENDINGS = frozenset(ending for known in READ for ending in known.endings)
"""Name endings of what is read. Not `.ts`: that is also a language, and the content decides."""
UNREAD_ENDINGS = {ending: known.name for known in UNSUPPORTED for ending in known.endings}
"""Name endings of pictures and videos that are not read, and what they are."""

_BY_CONTAINER = {known.form[:3]: known.form for known in READ}
_BEGINNINGS = (
    (b"FLV", "flv", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv", "asf"),
    (b"\0\0\1\xba", "mpg", "mpeg"),
    (b"\0\0\1\xb3", "mpg", "mpegvideo"),
    (b"\0\0\1\xb0", "m4v", "m4v"),
    (b"\0\0\1\0\0\0\1\x20", "m4v", "m4v"),
    (b"GIF87a", "gif", "gif"),
    (b"GIF89a", "gif", "gif"),
    (b"DKIF", "ivf", "ivf"),
    (b"DHAV", "dav", "dhav"),
    (b"DAHUA", "dav", "dhav"),
    (b"YUV4MPEG2 ", "y4m", "yuv4mpegpipe"),
    (b"nut/multimedia container\0", "nut", "nut"),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02", "mxf", "mxf"),
    (b"\x1f\x07\0", "dv", "dv"),
)
_STILLS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)
_SOUND = (b"ID3", b"fLaC", b"OggS", b"MThd", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"#!AMR")
_OGG_VIDEO = (b"\x80theora", b"OVP80", b"BBCD\0", b"\1video\0")
_ANIMATED = 2


def recognise(file: DescriptorFile, *, by_middle: bool = True) -> ClipFormat:
    """Name the format of a file by its content.

    With `by_middle`, a stream may begin anywhere; that takes 4 MB of what is none. Raises ClipError
    with a fault that says what the file is instead.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head:
        raise ClipError(Fault.EMPTY)
    for number, known in enumerate(UNSUPPORTED):
        if any(head.startswith(magic, place) for place, magic in known.beginnings):
            raise ClipError(Fault.UNSUPPORTED, number)
    form = _by_beginning(head)
    if form is None and _is_text(head):
        raise ClipError(Fault.TEXT)
    form = form or _jpeg(file, head) or _mov(file, head) or _matroska(head) or _riff(head)
    form = form or _multipart(head) or _ogg(head)
    if form is None and (stream := recognise_stream(head, file if by_middle else None)):
        form = _format(*stream)
    by = form.demuxer if form else ""
    if by in {"mpeg", "mpegts"} and is_stream_encrypted(head, by):
        raise ClipError(Fault.ENCRYPTED)
    if form is None and not head.strip(b"\0"):
        raise ClipError(Fault.ZEROS)
    if form is None:
        raise ClipError(Fault.SOUND if head.startswith(_SOUND) else Fault.NOT_A_CLIP)
    return form


def _format(container: str, demuxer: str = "", kind: ClipKind = ClipKind.VIDEO) -> ClipFormat:
    return _BY_CONTAINER[container, demuxer, kind]


def still_form(container: str) -> ClipFormat:
    """How a picture is opened."""
    return _format(container, "", _STILL)


def moving_form(container: str) -> ClipFormat:
    """How an image sequence of this container is opened."""
    return _format(container, "mov")


def refusal_text(refused: ClipError, path: PurePath) -> str:
    """Why a file is not read, and the remedy.

    Where its content does not say what it is, its name may.
    """
    name = UNREAD_ENDINGS.get(path.suffix.lower())
    if refused.fault is not Fault.NOT_A_CLIP or name is None:
        return str(refused)
    return str(ClipError(Fault.UNSUPPORTED, number_of(name)))


def number_of(name: str) -> int:
    """The index of a kind in `UNSUPPORTED`."""
    return [known.name for known in UNSUPPORTED].index(name)


def _by_beginning(head: bytes) -> ClipFormat | None:
    for magic, container, demuxer in _BEGINNINGS:
        if head.startswith(magic):
            return _format(container, demuxer)
    if head.startswith(_STILLS[0][0]) and b"acTL" in head.split(b"IDAT", 1)[0]:
        return _format("apng", "apng")
    for magic, container in _STILLS:
        if head.startswith(magic):
            return _format(container, "", _STILL)
    return None


def _jpeg(file: DescriptorFile, head: bytes) -> ClipFormat | None:
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    moving = structure.has_jpegs_in_a_row(file)
    return _format("mjpeg", "mjpeg") if moving else _format("jpg", "", _STILL)


def _mov(file: DescriptorFile, head: bytes) -> ClipFormat | None:
    if head[4:8] not in structure.MOV_ATOMS:
        return None
    film = structure.read_mov(file)
    if head[4:8] == b"ftyp":
        brand, size = head[8:12], int.from_bytes(head[:4], "big")
        brands = {brand, *(head[place : place + 4] for place in range(16, min(size, 4096), 4))}
        if b"crx " in brands:
            raise ClipError(Fault.UNSUPPORTED, number_of("camera raw picture"))
        if brands & {b"mif1", b"msf1", b"avif", b"avis", b"heic", b"heix", b"miaf"}:
            still = "avif" if brands & {b"avif", b"avis", b"av01"} else "heic"
            moving = film.films and brand in {b"avis", b"msf1", b"hevc", b"hevx"}
            return _format(still, "mov") if moving else _format(still, "", _STILL)
        if brand in {b"M4A ", b"M4B ", b"M4P "} and not film.has_video:
            raise ClipError(Fault.SOUND)
    else:
        brand = b"qt  " if head[4:8] in {b"moov", b"mdat", b"wide", b"free", b"skip"} else b""
    if film.fragments and not (film.films and film.has_media):
        raise ClipError(Fault.FRAGMENT)
    if film.encrypted:
        raise ClipError(Fault.ENCRYPTED)
    if film.needs_dolby:
        raise ClipError(Fault.DOLBY_VISION)
    names = {b"qt  ": "mov", b"M4V ": "m4v", b"M4VH": "m4v", b"M4VP": "m4v"}
    name = "3gp" if brand.startswith((b"3gp", b"3g2")) else names.get(brand, "mp4")
    return _format(name, "mov")


def _matroska(head: bytes) -> ClipFormat | None:
    if head[:4] != structure.EBML:
        return None
    if is_matroska_encrypted(head):
        raise ClipError(Fault.ENCRYPTED)
    if structure.is_dolby_alone(head):
        raise ClipError(Fault.DOLBY_VISION)
    return _format("webm" if b"webm" in head[:64] else "mkv", "matroska")


def _riff(head: bytes) -> ClipFormat | None:
    if head[:4] not in (b"RIFF", b"RIFX"):
        return None
    if head[8:12] in (b"AVI ", b"AVIX"):
        return _format("avi", "avi")
    if head[8:16] == b"WEBPVP8X" and head[20:21] and head[20] & _ANIMATED:
        return _format("webp")
    if head[8:12] == b"WEBP":
        return _format("webp", "", _STILL)
    if head[8:12] == b"CDXA":  # a video CD's sectors
        return _format("mpg", "mpeg")
    raise ClipError(Fault.SOUND)


def _multipart(head: bytes) -> ClipFormat | None:
    """Motion JPEG as web cameras send it: each picture behind a line of text."""
    if not head.startswith((b"--", b"\r\n--")) or b"image/jpeg" not in head[:512]:
        return None
    return _format("mjpeg", "mpjpeg")


def _ogg(head: bytes) -> ClipFormat | None:
    if head[:4] != b"OggS" or not any(magic in head for magic in _OGG_VIDEO):
        return None
    return _format("ogv", "ogg")


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
