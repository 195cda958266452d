"""Recognises streams without a header of the file: transport and program streams, bare video.

They may begin anywhere: recordings are cut by the clock, and their front may be lost. Standard
library only.
"""

from __future__ import annotations

import re

from edge.scan.media.clip_file import DescriptorFile

MOST_BEFORE = 1 << 22
"""Bytes before the first header; decoding begins there."""

_TS_PACKETS = (188, 192, 204)
_MOST_JUNK = 4096
# A pack of MPEG-2 or MPEG-1, and the start code behind it.
_PACK = re.compile(
    rb"\0\0\x01\xba(?:[\x44-\x47\x4c-\x4f\x54-\x57\x5c-\x5f\x64-\x67\x6c-\x6f\x74-\x77\x7c-\x7f].{9}"
    rb"\xff{0,7}|[\x21\x23\x25\x27\x29\x2b\x2d\x2f].{7})\0\0\x01[\xbb-\xef]",
    re.DOTALL,
)
# Parameter sets, one behind the other. The byte behind H.264's first is its profile.
_H264 = re.compile(
    rb"\0\0\x01[\x67\x47\x27\x07][\x2c\x42\x4d\x53\x56\x58\x64\x6e\x7a\xf4].{3,256}?\0\0\x01[\x68\x48\x28\x08]",
    re.DOTALL,
)
_HEVC = re.compile(
    rb"\0\0\x01\x40\x01.{4,256}?\0\0\x01\x42\x01.{4,512}?\0\0\x01\x44\x01", re.DOTALL
)


def recognise_stream(head: bytes, file: DescriptorFile | None) -> tuple[str, str] | None:
    """Container and demuxer of a stream that begins with `head`; None if it is none.

    With `file`, its first header may lie further behind.
    """
    form = _bare_video(head) or _transport_stream(head)
    return form or (_from_the_middle(file) if file is not None else None)


def _bare_video(head: bytes) -> tuple[str, str] | None:
    """H.264 and HEVC begin with a parameter set or a delimiter behind a start code."""
    start = 4 if head.startswith(b"\0\0\0\x01") else 3 if head.startswith(b"\0\0\x01") else 0
    unit = head[start : start + 2]
    if not start or len(unit) < 2:
        return None
    if unit in (b"\x40\x01", b"\x42\x01", b"\x44\x01", b"\x46\x01", b"\x4e\x01"):
        return "hevc", "hevc"
    if unit[0] in (0x67, 0x47, 0x27, 0x07, 0x09, 0x06):
        return "h264", "h264"
    return None


def _transport_stream(head: bytes) -> tuple[str, str] | None:
    """Sync bytes at a steady distance; recorders may put some bytes of junk before the first."""
    for size in _TS_PACKETS:
        for start in range(min(_MOST_JUNK, len(head))):
            places = head[start : start + 5 * size : size]
            if len(places) == 5 and places == b"G" * 5:
                return "ts", "mpegts"
    return None


def _from_the_middle(file: DescriptorFile) -> tuple[str, str] | None:
    """What begins before its first header."""
    file.seek(0)
    data = file.read(MOST_BEFORE)
    kinds = ((_PACK, "mpg", "mpeg"), (_HEVC, "hevc", "hevc"), (_H264, "h264", "h264"))
    for headers, container, demuxer in kinds:
        if headers.search(data):
            return container, demuxer
    return None
