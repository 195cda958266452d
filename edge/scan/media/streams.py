"""Which of a file's video streams is scanned.

Runs in the decoder process only.
"""

from __future__ import annotations

from typing import Any

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from edge.scan.media.formats import ClipFormat
from edge.scan.media.protocol import CODECS, OTHER_CODECS, ClipError, Fault


def video_stream(container: InputContainer, form: ClipFormat) -> tuple[VideoStream, int]:
    """The one that players show, and the number of others; cover art is none.

    That is the first readable one of those that the file marks as default.
    """
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    if not streams:
        raise ClipError(Fault.NO_PICTURE)
    readable = [stream for stream in streams if codec_number(stream) >= 0]
    if not readable:
        raise ClipError(Fault.CODEC, _other_codec_number(streams[0]))
    if form.container in {"avif", "heic"}:
        # The cover of a moving picture is a stream of one frame.
        moving = [stream for stream in readable if stream.frames > 1]
        others = [stream for stream in streams if stream.frames != 1]
        readable, streams = moving or readable, others or streams
    marked = [stream for stream in readable if stream.disposition & Disposition.default]
    return (marked or readable)[0], len(streams) - 1


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
