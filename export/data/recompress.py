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
from numpy.typing import NDArray

from edge.atomic_write import publish, unfinished_file
from edge.errors import TruelightError
from edge.scan.media.convert import DecodedFrame, FrameConverter
from export.data.augment import REPEATABLE
from export.data.folders import Image

VERSION: Final = 2  # raised when the output changes, which invalidates cached files

MAX_PIXELS: Final = 3840 * 2160  # larger frames are scaled down first


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


def recompress(clip: Path, how: Recompression, folder: Path) -> Path:
    """Write the recompressed clip to `folder`, or return the file that is there already.

    Raises UnreadableError: the clip cannot be read; TruelightError: the folder cannot be written.
    """
    try:
        digest = hashlib.sha256(f"{VERSION} {how}".encode() + clip.read_bytes()).hexdigest()
        made = folder / f"{clip.stem}-{digest[:16]}.mp4"
        if not made.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with unfinished_file(made) as half:
                _write(clip, how, half)
                publish(half, made)
    except (av.error.FFmpegError, ValueError) as failure:
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
            pixels = np.ascontiguousarray(change(_upright(converter, frame), number))
            changed = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            changed.pts, changed.time_base = pts, time_base
            if encoder is None:
                rate = stream.average_rate or Fraction(25)
                encoder = _add_encoder(target, changed, rate, how.crf)
            target.mux(encoder.encode(changed))
        if encoder is None:
            raise ValueError("no frame can be decoded")
        target.mux(encoder.encode())


def _add_encoder(target: OutputContainer, first: av.VideoFrame, rate: Fraction, crf: int) -> Any:  # noqa: ANN401 PyAV's stream
    """H.264 in one thread: the output would depend on the number of threads."""
    options = {"crf": str(crf), "preset": "veryfast", **REPEATABLE}
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


Plane = NDArray[np.float32]

MAX_SIDE = 1280  # px, of the recording
# The screen's corners as shares of the recording's sides, clockwise from the top left.
CORNERS = ((0.045, 0.075), (0.985, 0.02), (0.95, 0.965), (0.02, 0.90))
BACKGROUND = (22, 20, 18)  # around the screen
PITCH = 1.06  # screen subpixels per pixel of the clip: near enough to 1 for slow moiré
MOIRE = 0.07  # amplitude
EXPOSURE, BLACK = 0.86, 14.0  # gain of the screen's light; ambient light added to its black
WHITE = (1.03, 1.0, 0.94)  # the phone's white balance of the screen: red, green, blue
GLARE, SPOT = 46.0, (0.72, 0.22, 0.26)  # a reflection: brightness; x, y, sigma as shares of sides
BLUR = 0.7
NOISE = 4.0
SHAKE = 0.0025  # as a share of the longer side


class ScreenCapture:
    """Simulates a phone that films a clip off a screen; all frames have the first one's size."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._gain: Plane = np.ones((1, 1, 3), np.float32)
        self._glare: Plane = np.zeros((1, 1, 3), np.float32)
        self._noise: Plane = np.zeros((1, 1, 3), np.float32)

    def film(self, pixels: Image, number: int) -> Image:
        """Frame `number` as the phone records it: uint8 RGB, even sides."""
        height, width = pixels.shape[:2]
        if self._size == (0, 0):
            self._set_up(width, height)
        homography = self._homography(width, height, number)
        screen = cv2.warpPerspective(pixels, homography, self._size, borderValue=BACKGROUND)
        screen = cv2.GaussianBlur(screen, (5, 5), BLUR)
        lit = cv2.multiply(screen, self._gain, dtype=cv2.CV_32F)
        lit = cv2.add(lit, self._glare)
        return np.asarray(cv2.add(lit, self._noise_of(number), dtype=cv2.CV_8U), np.uint8)

    def _set_up(self, width: int, height: int) -> None:
        """Compute what is the same in all frames."""
        shrink = min(1.0, MAX_SIDE / max(width, height))
        wide, high = (max(2, round(side * shrink) // 2 * 2) for side in (width, height))
        self._size = (wide, high)
        x, y = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32))
        back = np.linalg.inv(self._homography(width, height, 0))
        u, v, w = (row[0] * x + row[1] * y + row[2] for row in back)
        self._gain = (EXPOSURE * np.array(WHITE) * _moire(u / w, v / w)).astype(np.float32)
        spot = ((x / wide - SPOT[0]) ** 2 + (y / high - SPOT[1]) ** 2) / (2 * SPOT[2] ** 2)
        glare = BLACK + GLARE * np.exp(-4 * spot)
        self._glare = np.repeat(glare[..., None], 3, axis=-1).astype(np.float32)
        noise = np.random.default_rng(0).normal(0, NOISE, (high + 64, wide + 64, 3))
        self._noise = noise.astype(np.float32)

    def _homography(self, width: int, height: int, number: int) -> NDArray[Any]:
        """From the screen's pixels to the recording's; the hand moves slowly."""
        reach = SHAKE * max(self._size)
        shake = reach * np.array([np.sin(number / 5.3), np.sin(number / 7.1 + 1)])
        corners = np.array(CORNERS) * self._size + shake
        screen = np.array([(0, 0), (width, 0), (width, height), (0, height)])
        return np.asarray(
            cv2.getPerspectiveTransform(screen.astype(np.float32), corners.astype(np.float32))
        )

    def _noise_of(self, number: int) -> Plane:
        """Sensor noise: another part of one large field for each frame."""
        wide, high = self._size
        x, y = (number * 29) % 64, (number * 47) % 64
        return self._noise[y : y + high, x : x + wide]


def _moire(u: Plane, v: Plane) -> Plane:
    """The screen's subpixels as the sensor samples them: [h, w, 3] around 1.

    A grid slightly finer than the pixels aliases to broad coloured bands.
    """
    turn = 2 * np.pi * PITCH
    rows = 0.6 * np.cos(turn * v)
    bands = [1 + MOIRE * (np.cos(turn * u + phase) + rows) for phase in (0.0, 2.1, 4.2)]
    return np.asarray(np.stack(bands, axis=-1))
