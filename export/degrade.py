"""Clips as they come out of other people's hands: compressed again, smaller, filmed off a screen.

Every way is deterministic: the same clip gives the same file, on any machine with the same FFmpeg.
Sound is dropped, times stay.
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

from edge.errors import TruelightError
from edge.scan.pixels import Painter, Picture, turn_of_video
from edge.whole import half_file, make_whole
from export.evaluate.judged import AS_IS, UnreadableError
from export.refilm import Refilm

VERSION: Final = 1
"""Raised when a way gives other files than before: old ones are not taken from a cache then."""

MOST_PIXELS: Final = 3840 * 2160
"""Larger pictures are made smaller first."""

Image = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Way:
    """One way to degrade a clip: H.264 of a quality, after something was done to its pictures."""

    name: str
    crf: int
    shrink: int = 1
    refilmed: bool = False


WAYS: Final = {
    "crf23": Way("h264 crf 23", 23),
    "crf32": Way("h264 crf 32", 32),
    "crf40": Way("h264 crf 40", 40),
    "half": Way("half size", 23, shrink=2),
    "refilmed": Way("re-filmed", 26, refilmed=True),
}
"""By the word that asks for it."""

JPEGS: Final = {"jpeg40": ("jpeg 40", 40)}
"""What is done to crops: name and quality, by the word that asks for it."""

assert AS_IS not in (way.name for way in WAYS.values())


def degrade(clip: Path, way: Way, folder: Path) -> Path:
    """The clip degraded, as a file in `folder`; what is there already is taken.

    Raises:
        UnreadableError: the clip cannot be read.
        TruelightError: the folder cannot be written.
    """
    try:
        digest = hashlib.sha256(f"{VERSION} {way}".encode() + clip.read_bytes()).hexdigest()
        made = folder / f"{clip.stem}-{digest[:16]}.mp4"
        if not made.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with half_file(made) as half:
                _write(clip, way, half)
                make_whole(half, made)
    except (av.error.FFmpegError, ValueError) as failure:
        if getattr(failure, "errno", None) == errno.ENOSPC:
            raise TruelightError(f"{folder} is full.", "Name another --cache.") from None
        raise UnreadableError(f"{clip.name} cannot be recompressed: {failure}.") from None
    except OSError as failure:
        raise TruelightError(
            f"{folder} cannot be written: {failure.strerror}.", "Name another --cache."
        ) from None
    return made


def _write(clip: Path, way: Way, out: Path) -> None:
    with av.open(str(clip)) as source, av.open(str(out), "w", format="mp4") as target:
        if not source.streams.video:
            raise ValueError("there is no picture in it")
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        encoder = _Encoder(target, stream.average_rate or Fraction(25), way)
        change = _change(way)
        painter: Painter | None = None
        last = -1
        for at, frame in enumerate(_frames(source, stream)):
            pts = at if frame.pts is None else frame.pts
            if pts <= last:
                continue  # times that do not rise cannot be written
            last = pts
            if painter is None:
                aspect = stream.sample_aspect_ratio
                painter = Painter(frame, turn_of_video(frame), aspect, MOST_PIXELS)
            pixels = change(_painted(painter, frame), at)
            encoder.write(pixels, pts, frame.time_base or Fraction(1, 1000))
        encoder.end()
        if painter is None:
            raise ValueError("not one picture can be decoded")


def _painted(painter: Painter, frame: av.VideoFrame) -> Image:
    """The picture as a scan sees it: upright, square pixels, uint8 RGB."""
    pixels = np.empty((painter.height, painter.width, 3), np.uint8)
    painter.paint(Picture(frame), pixels.reshape(-1).data)
    return pixels


def _frames(source: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """All pictures as far as they can be decoded."""
    try:
        yield from source.decode(stream)
    except av.error.FFmpegError:
        return


class _Encoder:
    """H.264 in one thread: with several, what comes out hangs on their number."""

    def __init__(self, target: OutputContainer, rate: Fraction, way: Way) -> None:
        self._target = target
        self._rate = rate
        self._options = {"crf": str(way.crf), "preset": "veryfast"}
        self._stream: Any = None

    def write(self, pixels: Image, pts: int, time_base: Fraction) -> None:
        """Write one picture, uint8 RGB of even sides; the first settles the size."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        if self._stream is None:
            self._begin(frame, time_base)
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = pts, time_base
        self._target.mux(self._stream.encode(frame))

    def end(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._target.mux(self._stream.encode())

    def _begin(self, first: av.VideoFrame, time_base: Fraction) -> None:
        stream: Any = self._target.add_stream("libx264", rate=self._rate, options=self._options)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        context = stream.codec_context
        context.thread_count = 1
        context.time_base = time_base
        context.colorspace = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        self._stream = stream


def _change(way: Way) -> Callable[[Image, int], Image]:
    """What is done to each picture, told its number, before it is encoded."""
    if way.refilmed:
        return Refilm().film
    return lambda pixels, _: _shrunk(pixels, way.shrink)


def _shrunk(pixels: Image, factor: int) -> Image:
    """Smaller by a factor, of even sides: 4:2:0 wants that; an odd last row or column goes."""
    height, width = (max(2, side // factor // 2 * 2) for side in pixels.shape[:2])
    even = pixels[: height * factor, : width * factor]
    if factor == 1:
        return even
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
