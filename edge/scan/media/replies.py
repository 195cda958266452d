"""What the decoder process answers, checked: it may be in a stranger's hands. Pure."""

from __future__ import annotations

from typing import Final, Literal

from edge.finding import Clip
from edge.scan.media.clip_file import PixelLimits
from edge.scan.media.protocol import (
    CODECS,
    CONTAINERS,
    MICROSECONDS,
    OTHER_CODECS,
    ClipError,
    ClipKind,
    Fault,
    PartKind,
    Reply,
)
from edge.scan.media.unsupported import UNSUPPORTED

MOST_FRAMES: Final = 10**9
_MOST_SECONDS = 30 * 24 * 3600
_Kind = Literal["track", "page", "picture", "video", "joined"]
_KINDS: Final[dict[PartKind, _Kind]] = {
    PartKind.TRACK: "track",
    PartKind.PAGE: "page",
    PartKind.PICTURE: "picture",
    PartKind.VIDEO: "video",
    PartKind.JOINED: "joined",
}


def checked(untrusted: int, low: int, high: int) -> int:
    """The number if it is from `low` to `high`. Raises ClipError."""
    if not low <= untrusted <= high:
        raise ClipError(Fault.INVALID_DATA)
    return untrusted


def seconds_of(untrusted_microseconds: int) -> float:
    """A time or a duration in seconds. Raises ClipError."""
    return checked(untrusted_microseconds, 0, _MOST_SECONDS * MICROSECONDS) / MICROSECONDS


def most_pixels(limits: PixelLimits) -> int:
    """The most pixels of a frame that `read_opened` lets pass."""
    return 3 * limits.handed_out + 3


def read_opened(message: tuple[int, ...], limits: PixelLimits) -> Clip:
    """What a part is, from OPENED. Raises ClipError."""
    if message[0] != Reply.OPENED:
        raise ClipError(Fault.INVALID_DATA)
    untrusted_kind, untrusted_container, untrusted_codec = message[1:4]
    untrusted_width, untrusted_height = message[4:6]
    untrusted_duration, untrusted_rate = message[6:8]
    kind = ClipKind(checked(untrusted_kind, 0, len(ClipKind) - 1))
    width = checked(untrusted_width, 1, limits.handed_out)
    height = checked(untrusted_height, 1, limits.handed_out // width + width)
    checked(width * height, 1, limits.handed_out + width + height)
    return Clip(
        kind="image" if kind is ClipKind.IMAGE else "video",
        container=CONTAINERS[checked(untrusted_container, 0, len(CONTAINERS) - 1)],
        codec=CODECS[checked(untrusted_codec, 0, len(CODECS) - 1)],
        width=width,
        height=height,
        seconds=seconds_of(untrusted_duration),
        frame_rate=checked(untrusted_rate, 0, 10**9) / 1000,
    )


def read_part(message: tuple[int, ...]) -> tuple[_Kind, int]:
    """Kind and number of the part that was opened, from PART. Raises ClipError."""
    if message[0] != Reply.PART:
        raise ClipError(Fault.INVALID_DATA)
    untrusted_kind, untrusted_number = message[1:3]
    kind = PartKind(checked(untrusted_kind, 1, len(PartKind) - 1))
    return _KINDS[kind], checked(untrusted_number, 1, MOST_FRAMES)


def failure_of(message: tuple[int, ...]) -> ClipError:
    """Why the file cannot be read, from FAILED."""
    fault = Fault(checked(message[1], min(Fault), max(Fault)))
    tables = {Fault.UNSUPPORTED: len(UNSUPPORTED) - 1, Fault.CODEC: len(OTHER_CODECS)}
    most = tables.get(fault, MOST_FRAMES)
    return ClipError(fault, *(checked(number, 0, most) for number in message[2:4]))
