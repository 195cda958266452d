"""Which of a file's video streams are scanned, and in which order.

Runs in the decoder process only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from edge.scan.media.formats import ClipFormat
from edge.scan.media.protocol import CODECS, OTHER_CODECS, ClipError, Fault


class VideoStreams(NamedTuple):
    """A file's video streams without its cover art."""

    readable: list[VideoStream]
    """The first is the one that players show: the first that the file marks as default."""
    numbers: list[int]
    """Of the readable ones, their places in the file, from 1."""
    unreadable: int


def video_streams(container: InputContainer, form: ClipFormat) -> VideoStreams:
    """Find them. Raises ClipError if none can be read."""
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    if not streams:
        raise ClipError(Fault.NO_PICTURE)
    if form.container in {"avif", "heic"}:
        # The cover of a moving picture is a stream of one frame.
        streams = [stream for stream in streams if stream.frames > 1] or streams
    readable = [stream for stream in streams if codec_number(stream) >= 0]
    if not readable:
        raise ClipError(Fault.CODEC, _other_codec_number(streams[0]))
    readable.sort(key=lambda stream: not stream.disposition & Disposition.default)
    numbers = [streams.index(stream) + 1 for stream in readable]
    return VideoStreams(readable, numbers, len(streams) - len(readable))


def _other_codec_number(stream: VideoStream) -> int:
    context: Any = stream.codec_context
    named = [name for name, _ in OTHER_CODECS]
    name = context.codec.canonical_name if context is not None else ""
    return named.index(name) + 1 if name in named else 0


def codec_number(stream: VideoStream) -> int:
    """The index of a stream's codec in the protocol's table; -1 if it is not read."""
    context: Any = stream.codec_context
    name = context.codec.canonical_name if context is not None else ""
    return CODECS.index(name) if name in CODECS else -1
