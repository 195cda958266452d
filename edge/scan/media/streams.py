"""Opens a file with FFmpeg; which of its video streams are scanned, and in which order.

Runs in the decoder process only.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn

import av
import av.audio.stream
import av.error
import av.subtitles.codeccontext  # PyAV imports these when it opens a file; the sandbox forbids it
import av.subtitles.stream
from av.container import InputContainer
from av.index import IndexEntries
from av.stream import Disposition
from av.video.stream import VideoStream

from edge.scan.media import structure
from edge.scan.media.clip_file import DescriptorFile
from edge.scan.media.formats import ClipFormat
from edge.scan.media.protocol import CODECS, OTHER_CODECS, ClipError, Fault
from edge.scan.media.timestamps import Packet

ERRORS = (av.error.FFmpegError, ValueError, RuntimeError, OSError)
USUAL_RATE = 25.0
MOST_RATE = 300.0
_LEAST_RATE = 0.01
_BUFFER_BYTES = 65536
_LEAST_FURTHER = 65536
_BARE_STREAMS = frozenset(("h264", "hevc", "m4v", "mpegvideo", "mjpeg"))
_DECODERS = ",".join((*CODECS, "libdav1d", "libvpx", "libvpx-vp9", "flv"))


def open_container(file: DescriptorFile, form: ClipFormat, max_pixels: int) -> InputContainer:
    """Open a file with the demuxer of its format, which may open no other. Raises ClipError."""
    try:
        return av.open(
            file,
            mode="r",
            format=form.demuxer,
            options={
                "codec_whitelist": _DECODERS,
                "format_whitelist": av.format.ContainerFormat(form.demuxer, "r").name,
                "protocol_whitelist": "none",
                "max_pixels": str(max_pixels),
            },
            metadata_errors="replace",
            buffer_size=_BUFFER_BYTES,
            io_open=_deny,
        )
    except ERRORS as error:
        no_memory = isinstance(error, MemoryError)
        raise ClipError(Fault.MEMORY if no_memory else Fault.BROKEN) from None


def _deny(*_: object) -> NoReturn:
    raise PermissionError("a clip may not open other files")


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


def further_video(
    file: DescriptorFile, form: ClipFormat, max_pixels: int, place: int
) -> DescriptorFile | None:
    """What lies behind the byte `place` of a stream, if another video begins there."""
    if file.size - place < _LEAST_FURTHER:
        return None
    rest = file.part(structure.program_table(file, place))
    try:
        video_streams(open_container(rest.part(), form, max_pixels), form)
    except ClipError:
        return None
    return rest


class PixelAspect:
    """Width of a stored pixel over its height: the container's, until a frame changes it."""

    def __init__(self) -> None:
        self._first: Fraction | None = None

    def of(self, stream: VideoStream) -> Fraction | None:
        """The aspect of the frame that was decoded last; None if the clip does not say."""
        context: Any = stream.codec_context
        own: Fraction | None = context.sample_aspect_ratio
        if self._first is None:
            self._first = own
        changed = own != self._first
        return own if changed else stream.sample_aspect_ratio or own


def codec_number(stream: VideoStream) -> int:
    """The index of a stream's codec in the protocol's table; -1 if it is not read."""
    context: Any = stream.codec_context
    name = context.codec.canonical_name if context is not None else ""
    return CODECS.index(name) if name in CODECS else -1


def stated_rate(stream: VideoStream, form: ClipFormat) -> float:
    """Frames a second as the file says, if that can be believed; else the usual rate."""
    rates = [stream.average_rate, stream.guessed_rate]
    if form.demuxer in _BARE_STREAMS:
        rates.reverse()  # the demuxer's own rate is a constant
    believed = [float(rate) for rate in rates if rate and _LEAST_RATE <= rate <= MOST_RATE]
    return believed[0] if believed else USUAL_RATE


def stated_period(stream: VideoStream) -> float | None:
    """Seconds between frames if all figures of the file agree; None for a variable rate."""
    mean, base = stream.average_rate, stream.base_rate
    if not mean or not base or abs(mean - base) > base / 1000:
        return None
    return float(1 / mean)


def noted_entries(entries: IndexEntries) -> Iterator[Packet]:
    """Packets by the table of an MP4: when they are decoded, not when they are shown."""
    for entry in entries:
        shown = not entry.is_discard
        yield Packet(entry.timestamp, None, 0, entry.is_keyframe, entry.pos, shown)
