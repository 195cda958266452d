"""Whether a video's pictures are encrypted: they would decode to noise, or to nothing.

By what containers say of it. Standard library only. Sources: ISO/IEC 23001-7 (`encv`), RFC 9559,
5.1.4.1.31 (`ContentEncodingType`, `ContentEncAlgo`), ISO/IEC 13818-1, 2.4.3.3, 2.4.3.7 (scrambling
control).
"""

from __future__ import annotations

import re

_ENTRY = re.compile(rb"stsd.{12}(?:encv|drmi)", re.DOTALL)
_ENCODING = (b"\x50\x33\x81\x01", re.compile(rb"\x47\xe1\x81[\x01-\x06]"))
_VIDEO_PES = re.compile(rb"\0\0\x01[\xe0-\xef]..([\x80-\xbf])", re.DOTALL)
_TS_SYNC = re.compile(rb"G(?=.{187}G.{187}G)", re.DOTALL)
_TS_SCRAMBLED, _PES_SCRAMBLED = 0xC0, 0x30


def is_film_encrypted(moov: bytes) -> bool:
    """By the description of an MP4 or QuickTime film: its video's samples are."""
    return _ENTRY.search(moov) is not None


def is_matroska_encrypted(head: bytes) -> bool:
    """By the beginning of a Matroska file, which describes its tracks."""
    kind, algorithm = _ENCODING
    return kind in head and algorithm.search(head) is not None


def is_stream_encrypted(head: bytes, demuxer: str) -> bool:
    """By the beginning of a transport stream or a program stream: many of its packets are."""
    if demuxer == "mpegts":
        flags = [head[found.start() + 3] & _TS_SCRAMBLED for found in _TS_SYNC.finditer(head)]
    else:
        flags = [found[1][0] & _PES_SCRAMBLED for found in _VIDEO_PES.finditer(head)]
    return sum(map(bool, flags)) * 4 > len(flags)
