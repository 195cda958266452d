"""The kinds of pictures and videos that are not read, so that a sentence can name them."""

from __future__ import annotations

from typing import NamedTuple


class UnsupportedFormat(NamedTuple):
    """A kind of file that is recognised and not read."""

    name: str
    """For people."""
    endings: tuple[str, ...]
    """Of file names."""
    beginnings: tuple[tuple[int, bytes], ...] = ()
    """Offsets and bytes; such files have one of them."""

    @property
    def moves(self) -> bool:
        """Whether it is a video."""
        return any(word in self.name for word in ("video", "recording", "stream", "animation"))


_RAW_NAMES = (
    *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".raf"),
    *(".orf", ".rw2", ".pef", ".srw", ".x3f", ".erf", ".mrw", ".rwl", ".3fr", ".iiq"),
)
_RAW_BEGINNINGS = (
    *((8, b"CR\2\0"), (4, b"ftypcrx "), (0, b"FUJIFILMCCD-RAW"), (0, b"IIU\0"), (0, b"IIRO")),
)
_KIND = UnsupportedFormat
# A number crosses to the program: append new rows at the end.
UNSUPPORTED = (
    _KIND("JPEG XL picture", (".jxl",), ((0, b"\xff\x0a"), (4, b"JXL \r\n"))),
    _KIND(
        "JPEG 2000 picture",
        (".jp2", ".j2k", ".jpf", ".jpx", ".jpm"),
        ((4, b"jP  \r\n\x87\n"), (0, b"\xff\x4f\xff\x51")),
    ),
    _KIND("JPEG XR picture", (".jxr", ".hdp", ".wdp"), ((0, b"II\xbc"),)),
    _KIND("Photoshop document", (".psd", ".psb"), ((0, b"8BPS"),)),
    _KIND("GIMP document", (".xcf",), ((0, b"gimp xcf"),)),
    _KIND("OpenEXR picture", (".exr",), ((0, b"\x76\x2f\x31\x01"),)),
    _KIND("Radiance HDR picture", (".hdr",), ((0, b"#?RADIANCE"), (0, b"#?RGBE"))),
    _KIND("DPX picture", (".dpx",), ((0, b"SDPX"), (0, b"XPDS"))),
    _KIND("DirectDraw surface", (".dds",), ((0, b"DDS "),)),
    _KIND("QOI picture", (".qoi",), ((0, b"qoif"),)),
    _KIND("FLIF picture", (".flif",), ((0, b"FLIF"),)),
    _KIND("BPG picture", (".bpg",), ((0, b"BPG\xfb"),)),
    _KIND("Netpbm picture", (".pbm", ".pgm", ".ppm", ".pnm", ".pam")),
    _KIND("Targa picture", (".tga",)),
    _KIND("camera raw picture", _RAW_NAMES, _RAW_BEGINNINGS),
    _KIND("RealMedia video", (".rm", ".rmvb"), ((0, b".RMF"), (0, b".ra\xfd"))),
    _KIND("Flash animation", (".swf",), ((0, b"FWS"), (0, b"CWS"), (0, b"ZWS"))),
    _KIND("Windows TV recording", (".wtv",), ((0, b"\xb7\xd8\x00\x20\x37\x49\xda\x11"),)),
    _KIND("Bink video", (".bik", ".bk2"), ((0, b"BIKi"), (0, b"BIKf"), (0, b"KB2"))),
    _KIND("bare AV1 stream", (".obu", ".av1"), ((0, b"\x12\0\n"),)),
    _KIND(
        "bare VVC stream",
        (".vvc", ".266", ".h266"),
        ((0, b"\0\0\0\1\0\x79"), (0, b"\0\0\0\1\0\x81"), (0, b"\0\0\0\1\0\xa1")),
    ),
    _KIND("camera raw video", (".r3d", ".braw"), ((4, b"RED1"), (4, b"RED2"))),
    _KIND("lossless JPEG picture", (".jls",), ((0, b"\xff\xd8\xff\xf7"),)),
    _KIND("PCX picture", (".pcx",)),
    _KIND("SGI picture", (".sgi", ".bw"), ((0, b"\x01\xda\0\1"), (0, b"\x01\xda\1\1"))),
    _KIND("icon", (".ico", ".cur", ".icns"), ((0, b"icns"),)),
    _KIND("FITS picture", (".fits", ".fit"), ((0, b"SIMPLE  ="),)),
    _KIND("X picture", (".xbm", ".xpm", ".xwd", ".ras"), ((0, b"\x59\xa6\x6a\x95"),)),
    _KIND("WBMP picture", (".wbmp",)),
    _KIND("floating-point picture", (".pfm", ".phm")),
    _KIND("bare H.263 stream", (".h263", ".263", ".h261")),
    _KIND("Dirac video", (".drc", ".vc2"), ((0, b"BBCD"),)),
    _KIND("game video", (".roq", ".smk", ".mve"), ((0, b"\x84\x10\xff\xff\xff\xff"),)),
    _KIND("SMJPEG video", (".smjpeg",), ((0, b"\0\nSMJPEG"),)),
    _KIND("GXF video", (".gxf",), ((0, b"\0\0\0\0\1\xbc"),)),
    _KIND("AMV video", (".amv",), ((8, b"AMV "),)),
)
