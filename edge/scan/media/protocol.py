"""The border between the program and the child that decodes: what may cross it.

Only integers cross, in messages of one fixed size; texts are looked up here, on the trusting side.
Pixels lie in shared memory whose size the parent has sealed. Standard library only: the child
imports this before anything else.
"""

from __future__ import annotations

import os
import select
import struct
import time
from enum import IntEnum
from typing import NamedTuple

MESSAGE = struct.Struct("<10q")
MICROSECONDS = 1_000_000


class Order(IntEnum):
    """What the parent asks; the fields that follow in the message."""

    OPEN = 1  # window frames, window rate (micro Hz), max windows, first or 0, frame pixels,
    #           video pixels, picture pixels, CPU seconds, memory bytes
    START = 2  # number of slots, CPU seconds
    RELEASE = 3  # slot


class Report(IntEnum):
    """What the child tells; the fields that follow in the message."""

    OPENED = 1  # kind, container, codec, width, height, duration (us), rate (milli Hz), open (us)
    FRAME = 2  # slot, window, time (us), frames decoded, damaged
    ALIVE = 3  # frames decoded
    DONE = 4  # frames decoded, damaged, decode (us)
    FAILED = 5  # fault


class Kind(IntEnum):
    """What a clip is."""

    VIDEO = 0
    IMAGE = 1


# A container or a codec crosses as its place in these tables. Only these are ever opened.
CONTAINERS = (
    *("mp4", "mov", "m4v", "3gp", "mkv", "webm", "avi", "wmv", "flv", "mpg", "ts"),
    *("gif", "apng", "webp", "jpg", "png", "bmp", "tiff"),
)
CODECS = (
    *("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3"),
    *("mpeg1video", "mpeg2video", "h263", "flv1", "wmv1", "wmv2", "wmv3", "vc1", "vp6", "vp6f"),
    *("vp6a", "svq1", "svq3", "cinepak", "theora", "mjpeg", "prores", "dnxhd", "ffv1", "huffyuv"),
    *("ffvhuff", "utvideo", "qtrle", "rawvideo", "dvvideo", "cfhd", "gif", "apng", "png", "bmp"),
    *("webp", "tiff", "rpza", "msvideo1", "indeo5", "h261", "flashsv", "flashsv2", "v210"),
)


class Fault(IntEnum):
    """Why a clip cannot be read. The numbers are stable; the words are in `FAULTS`."""

    MISSING = 1
    NOT_A_FILE = 2
    FORBIDDEN = 3
    EMPTY = 4
    TEXT = 5
    SOUND = 6
    NOT_A_CLIP = 7
    NO_PICTURE = 8
    CODEC = 9
    BROKEN = 10
    NOTHING_DECODED = 11
    TOO_LARGE = 12
    STILL_FORMAT = 13
    INPUT = 14
    MEMORY = 15
    CRASHED = 16
    HUNG = 17
    LIED = 18
    TOO_MUCH_WORK = 19
    NO_CHILD = 20


class Words(NamedTuple):
    """A fault for people: a stable name, one sentence, what to do about it."""

    name: str
    sentence: str
    remedy: str


_COPY = "Copy the file again from where it came."
_CONVERT = "Convert it to MP4 (H.264), or to JPEG or PNG if it is a picture."
_KEEP_OUT = "Do not trust this file; it may be broken or made to do harm."

FAULTS: dict[Fault, Words] = {
    Fault.MISSING: Words("missing", "There is no such file.", "Check the name."),
    Fault.NOT_A_FILE: Words("not-a-file", "This is not a regular file.", "Name a clip's file."),
    Fault.FORBIDDEN: Words(
        "forbidden", "The file may not be read by this user.", "Grant read permission to it."
    ),
    Fault.EMPTY: Words("empty", "The file is empty.", _COPY),
    Fault.TEXT: Words("text", "This is a text file, not a clip.", "Name a video or a picture."),
    Fault.SOUND: Words(
        "sound", "This is a sound file: it holds no picture.", "Name a video or a picture."
    ),
    Fault.NOT_A_CLIP: Words(
        "not-a-clip", "This is neither a video nor a picture that can be read.", _CONVERT
    ),
    Fault.NO_PICTURE: Words(
        "no-picture", "The clip holds no picture, only sound or data.", "Name a clip with video."
    ),
    Fault.CODEC: Words("codec", "The picture is coded in a way that cannot be read.", _CONVERT),
    Fault.BROKEN: Words("broken", "The file is broken or was cut off: it cannot be opened.", _COPY),
    Fault.NOTHING_DECODED: Words(
        "nothing-decoded", "Not one frame of the clip could be decoded.", _COPY
    ),
    Fault.TOO_LARGE: Words(
        "too-large", "The picture has more pixels than are allowed.", "Make it smaller first."
    ),
    Fault.STILL_FORMAT: Words(
        "still-format", "Pictures of this kind (HEIC, AVIF) are not read.", "Convert it to JPEG."
    ),
    Fault.INPUT: Words(
        "input", "The file could not be read to the end.", "Check the disk or the stick it lies on."
    ),
    Fault.MEMORY: Words("memory", "The clip needs more memory than it may have.", _CONVERT),
    Fault.CRASHED: Words("crashed", "The decoder crashed on this clip.", _KEEP_OUT),
    Fault.HUNG: Words("hung", "The decoder hung on this clip.", _KEEP_OUT),
    Fault.LIED: Words("lied", "The decoder answered nonsense about this clip.", _KEEP_OUT),
    Fault.TOO_MUCH_WORK: Words(
        "too-much-work", "The clip takes far longer to decode than clips do.", _CONVERT
    ),
    Fault.NO_CHILD: Words(
        "no-child", "The decoder could not be started.", "Run `truelight doctor`."
    ),
}


class RefusedError(Exception):
    """The clip cannot be read, for this reason."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(FAULTS[fault].sentence)
        self.fault = fault


def pack(kind: IntEnum, *fields: int) -> bytes:
    """One message; the fields that are not given are 0."""
    return MESSAGE.pack(kind, *fields, *(0,) * (9 - len(fields)))


def read_exactly(descriptor: int, deadline: float | None = None) -> tuple[int, ...] | None:
    """One message from a pipe as ten integers; None when the other side has closed it.

    `deadline` is on `time.monotonic`'s clock. Raises TimeoutError when it passes, EOFError when the
    pipe ends within a message.
    """
    data = b""
    while len(data) < MESSAGE.size:
        if deadline is not None and not _readable(descriptor, deadline - time.monotonic()):
            raise TimeoutError
        part = os.read(descriptor, MESSAGE.size - len(data))
        if not part:
            if data:
                raise EOFError
            return None
        data += part
    return MESSAGE.unpack(data)


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))
