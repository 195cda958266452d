"""Clips as they come out of other people's hands: compressed again, smaller, filmed off a screen.

Every way is deterministic: with the same PyAV wheel, the same clip gives the same file.
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
from numpy.typing import NDArray

from edge.atomic_write import half_file, make_whole
from edge.errors import TruelightError
from edge.scan.media.convert import DecodedFrame, FrameConverter
from export.data.augment import REPEATABLE

VERSION: Final = 2
"""Raised when a way gives other files than before: old ones are not taken from a cache then."""

MOST_PIXELS: Final = 3840 * 2160
"""Larger pictures are made smaller first."""

Image = np.ndarray[Any, np.dtype[np.uint8]]


class UnreadableError(TruelightError):
    """A clip that cannot be recompressed because it cannot be read."""


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
        painter: FrameConverter | None = None
        last = -1
        for at, frame in enumerate(_frames(source, stream)):
            pts = at if frame.pts is None else frame.pts
            if pts <= last:
                continue  # times that do not rise cannot be written
            last = pts
            if painter is None:
                aspect = stream.sample_aspect_ratio
                painter = FrameConverter(frame, aspect, MOST_PIXELS)
            pixels = change(_painted(painter, frame), at)
            encoder.write(pixels, pts, frame.time_base or Fraction(1, 1000))
        encoder.end()
        if painter is None:
            raise ValueError("not one picture can be decoded")


def _painted(painter: FrameConverter, frame: av.VideoFrame) -> Image:
    """The picture as a scan sees it: upright, square pixels, uint8 RGB."""
    pixels = np.empty((painter.height, painter.width, 3), np.uint8)
    painter.paint(DecodedFrame(frame), pixels.reshape(-1).data)
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
        self._options = {"crf": str(way.crf), "preset": "veryfast", **REPEATABLE}
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


Floats = NDArray[np.float32]

LONGEST = 1280
"""Sides of what the phone records are at most this, px."""

CORNERS = ((0.045, 0.075), (0.985, 0.02), (0.95, 0.965), (0.02, 0.90))
"""Where the screen's corners are, as shares of the picture's sides; clockwise from the top left."""

DESK = (22, 20, 18)
"""What is around the screen."""

PITCH = 1.06
"""Lamps of the screen for each pixel of the clip: near enough to 1 to beat slowly."""
BEAT = 0.07
"""How much the beat takes away and adds."""
EXPOSURE, BLACK = 0.86, 14.0
"""What the phone makes of the screen's light, and what the room adds to its black."""
TINT = (1.03, 1.0, 0.94)
"""White of the screen as the phone balances it, by red, green and blue."""
GLARE, SPOT = 46.0, (0.72, 0.22, 0.26)
"""A lamp's reflection: how bright, and where: across, down, how wide, as shares of the sides."""
BLUR = 0.7
NOISE = 4.0
SHAKE = 0.0025
"""How far the phone moves, as a share of the longer side."""


class Refilm:
    """Films pictures of one size, which the first one settles."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._light: Floats = np.ones((1, 1, 3), np.float32)
        self._glow: Floats = np.zeros((1, 1, 3), np.float32)
        self._grain: Floats = np.zeros((1, 1, 3), np.float32)

    def film(self, pixels: Image, number: int) -> Image:
        """The picture with that running number as the phone records it: uint8 RGB, even sides."""
        height, width = pixels.shape[:2]
        if self._size == (0, 0):
            self._set_up(width, height)
        place = self._place(width, height, number)
        seen = cv2.warpPerspective(pixels, place, self._size, borderValue=DESK)
        seen = cv2.GaussianBlur(seen, (5, 5), BLUR)
        lit = cv2.multiply(seen, self._light, dtype=cv2.CV_32F)
        lit = cv2.add(lit, self._glow)
        return np.asarray(cv2.add(lit, self._grain_of(number), dtype=cv2.CV_8U), np.uint8)

    def _set_up(self, width: int, height: int) -> None:
        """Everything that stays the same from picture to picture."""
        shrink = min(1.0, LONGEST / max(width, height))
        wide, high = (max(2, round(side * shrink) // 2 * 2) for side in (width, height))
        self._size = (wide, high)
        x, y = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32))
        back = np.linalg.inv(self._place(width, height, 0))
        u, v, w = (row[0] * x + row[1] * y + row[2] for row in back)
        self._light = (EXPOSURE * np.array(TINT) * _lamps(u / w, v / w)).astype(np.float32)
        spot = ((x / wide - SPOT[0]) ** 2 + (y / high - SPOT[1]) ** 2) / (2 * SPOT[2] ** 2)
        glow = BLACK + GLARE * np.exp(-4 * spot)
        self._glow = np.repeat(glow[..., None], 3, axis=-1).astype(np.float32)
        grain = np.random.default_rng(0).normal(0, NOISE, (high + 64, wide + 64, 3))
        self._grain = grain.astype(np.float32)

    def _place(self, width: int, height: int, number: int) -> NDArray[Any]:
        """From the screen's pixels to the picture's: the hand moves slowly."""
        wide, high = self._size
        reach = SHAKE * max(wide, high)
        shake = reach * np.array([np.sin(number / 5.3), np.sin(number / 7.1 + 1)])
        corners = np.array(CORNERS) * (wide, high) + shake
        screen = np.array([(0, 0), (width, 0), (width, height), (0, height)])
        return np.asarray(
            cv2.getPerspectiveTransform(screen.astype(np.float32), corners.astype(np.float32))
        )

    def _grain_of(self, number: int) -> Floats:
        """The sensor's noise: one large field, looked at from elsewhere each time."""
        wide, high = self._size
        x, y = (number * 29) % 64, (number * 47) % 64
        return self._grain[y : y + high, x : x + wide]


def _lamps(u: Floats, v: Floats) -> Floats:
    """The screen's grid of lamps as the sensor's own grid takes it: [h, w, 3] around 1.

    Sampled once a pixel, a grid a little finer than the pixels shows as broad coloured bands.
    """
    turn = 2 * np.pi * PITCH
    columns = [
        np.cos(turn * u + shift) for shift in (0.0, 2.1, 4.2)
    ]  # red, green, blue side by side
    rows = np.cos(turn * v)
    return np.asarray(np.stack([1 + BEAT * (column + 0.6 * rows) for column in columns], axis=-1))
