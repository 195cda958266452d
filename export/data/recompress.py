"""Clips as they arrive after sharing: compressed again, smaller, smoothed, or filmed off a screen.

Every recompression is deterministic: with the same PyAV wheel, the same clip gives the same file.
Sound is dropped; timestamps stay.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from edge.atomic_write import publish, unfinished_file
from edge.errors import TruelightError
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.convert import DecodedFrame, FrameConverter
from edge.scan.media.sampling import Sampling
from export.data.augment import REPEATABLE
from export.data.folders import Image
from export.data.screen_capture import ScreenCapture

VERSION: Final = 2  # raised when the output changes, which invalidates cached files

MAX_PIXELS: Final = 3840 * 2160  # larger frames are scaled down first
TICK: Final = Fraction(1, 90_000)  # seconds: the unit of the times of sampled frames


class UnreadableError(TruelightError):
    """A clip that cannot be recompressed because it cannot be read."""


@dataclass(frozen=True)
class Recompression:
    """H.264 at a constant rate factor, after a change to the frames."""

    name: str
    crf: int
    shrink: int = 1
    smoothed: bool = False
    recaptured: bool = False


RECOMPRESSIONS: Final = {
    "crf23": Recompression("h264 crf 23", 23),
    "crf32": Recompression("h264 crf 32", 32),
    "crf40": Recompression("h264 crf 40", 40),
    "half": Recompression("half size", 23, shrink=2),
    "smooth": Recompression("smoothed", 23, smoothed=True),
    "refilmed": Recompression("re-filmed", 26, recaptured=True),
}
"""By the word on the command line."""

JPEGS: Final = {"jpeg40": ("jpeg 40", 40)}
"""For crops: name and JPEG quality, by the word on the command line."""


def recompress(
    clip: Path, how: Recompression, folder: Path, sampling: Sampling | None = None
) -> Path:
    """Write the recompressed clip to `folder`, or return the file that is there already.

    A smoothed clip has only the frames that a scan with `sampling` takes, if that is given: 16 of a
    clip of 4 s. Smoothing all of them takes 15 s, and no other treatment takes so long.

    Raises UnreadableError: the clip cannot be read; TruelightError: the folder cannot be written.
    """
    try:
        sampled = sampling if how.smoothed else None
        way = f"{VERSION} {how}" + (f" {sampled}" if sampled else "")
        digest = hashlib.sha256(way.encode() + clip.read_bytes()).hexdigest()
        made = folder / f"{clip.stem}-{digest[:16]}.mp4"
        if not made.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with unfinished_file(made) as half:
                if sampled is None:
                    _write(clip, how, half)
                else:
                    _write_sampled(clip, how, half, sampled)
                publish(half, made)
    except (av.error.FFmpegError, ClipError, ValueError) as failure:
        if getattr(failure, "errno", None) == errno.ENOSPC:
            raise TruelightError(f"{folder} is full.", "Name another --cache.") from None
        raise UnreadableError(f"{clip.name} cannot be recompressed: {failure}.") from None
    except OSError as failure:
        raise TruelightError(
            f"{folder} cannot be written: {failure.strerror}.", "Name another --cache."
        ) from None
    return made


def _write(clip: Path, how: Recompression, out: Path) -> None:
    with av.open(str(clip)) as source, av.open(str(out), "w", format="mp4") as target:
        if not source.streams.video:
            raise ValueError("no video stream")
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        change = _change(how)
        converter: FrameConverter | None = None
        encoder: Any = None
        last = -1
        for number, frame in enumerate(_frames(source, stream)):
            pts = number if frame.pts is None else frame.pts
            if pts <= last:
                continue  # the container needs increasing timestamps
            last = pts
            if converter is None:
                aspect = stream.sample_aspect_ratio
                converter = FrameConverter(frame, aspect, MAX_PIXELS)
            time_base = frame.time_base or Fraction(1, 1000)
            changed = _for_encoder(change(_upright(converter, frame), number), pts, time_base)
            if encoder is None:
                rate = stream.average_rate or Fraction(25)
                encoder = _add_encoder(target, changed, rate, how.crf)
            target.mux(encoder.encode(changed))
        if encoder is None:
            raise ValueError("no frame can be decoded")
        target.mux(encoder.encode())


def _write_sampled(clip: Path, how: Recompression, out: Path, sampling: Sampling) -> None:
    """Write the frames that a scan takes, each at its own time, and the clip's length.

    They are encoded as if they followed one another at the clip's rate, on which x264's quality
    depends, and without B-frames, so that the last packet can say where the clip ends.
    """
    change = _change(how)
    with open_clip(clip, sampling) as opened, av.open(str(out), "w", format="mp4") as target:
        rate = Fraction(opened.clip.frame_rate or 25.0).limit_denominator(1001)
        times: list[float] = []
        packets: list[Any] = []
        encoder: Any = None
        for frame in opened.frames():
            if times and frame.time <= times[-1]:
                continue  # the last of a window and the first of the next one
            changed = _for_encoder(change(frame.pixels, frame.index), len(times), 1 / rate)
            encoder = encoder or _add_encoder(target, changed, rate, how.crf, bf="0")
            times.append(frame.time)
            packets += encoder.encode(changed)
        packets += encoder.encode() if encoder else []
        ends = [*times[1:], max(opened.clip.seconds, times[-1] + float(1 / rate))]
        for packet, start, end in zip(packets, times, ends, strict=True):
            packet.time_base = TICK
            packet.pts = packet.dts = round(start / TICK)
            packet.duration = round(end / TICK) - packet.pts
            target.mux(packet)


def _for_encoder(pixels: Image, pts: int, time_base: Fraction) -> av.VideoFrame:
    """A frame for H.264 with limited range and the matrix of ITU-R BT.709."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    frame.pts, frame.time_base = pts, time_base
    return frame


def _add_encoder(
    target: OutputContainer, first: av.VideoFrame, rate: Fraction, crf: int, **more: str
) -> Any:  # noqa: ANN401 PyAV's stream
    """H.264 in one thread: the output would depend on the number of threads."""
    options = {"crf": str(crf), "preset": "veryfast", **REPEATABLE, **more}
    stream: Any = target.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
    context = stream.codec_context
    context.thread_count = 1
    context.time_base = first.time_base
    context.colorspace = Colorspace.ITU709
    context.color_range = ColorRange.MPEG
    return stream


def _upright(converter: FrameConverter, frame: av.VideoFrame) -> Image:
    """The frame as a scan sees it: upright, square pixels, uint8 RGB."""
    pixels = np.empty((converter.height, converter.width, 3), np.uint8)
    converter.paint(DecodedFrame(frame), pixels.reshape(-1).data)
    return pixels


def _frames(source: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """The frames up to the first that cannot be decoded."""
    try:
        yield from source.decode(stream)
    except av.error.FFmpegError:
        return


def _change(how: Recompression) -> Callable[[Image, int], Image]:
    """The change to each frame, given its number, before encoding."""
    if how.recaptured:
        return ScreenCapture().film
    if how.smoothed:
        return lambda pixels, _: _smooth(_shrink(pixels, 1))
    return lambda pixels, _: _shrink(pixels, how.shrink)


def _smooth(pixels: Image) -> Image:
    """As a strong beauty filter does: skin loses its texture, edges stay."""
    for _ in range(2):
        pixels = np.asarray(cv2.bilateralFilter(pixels, 0, 64, 8), np.uint8)
    return pixels


def _shrink(pixels: Image, factor: int) -> Image:
    """Scale down; an odd last row or column is cropped, since 4:2:0 needs even sides."""
    height, width = (max(2, side // factor // 2 * 2) for side in pixels.shape[:2])
    even = pixels[: height * factor, : width * factor]
    if factor == 1:
        return even
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
