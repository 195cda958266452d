"""Clips for tests, written with PyAV: a card with a marker, and a number in every frame."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace

CARD = (200, 40, 40)
MARKER = (255, 255, 255)
BITS = 10


def card(width: int = 320, height: int = 240, number: int = 0) -> np.ndarray:
    """A red card; white marker at the top left; the number as blocks along the bottom.

    uint8 RGB `[height, width, 3]`.
    """
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = CARD
    pixels[: height // 4, : width // 4] = MARKER
    side = width // BITS
    for bit in range(BITS):
        pixels[height - side :, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0
    return pixels


def number_of(pixels: np.ndarray) -> int:
    """The number in a card's frame."""
    height, width = pixels.shape[:2]
    side = width / BITS
    row = int(height - side / 2)
    lit = (pixels[row, int((bit + 0.5) * side)].mean() > 127 for bit in range(BITS))
    return sum(on << bit for bit, on in enumerate(lit))


def cards(count: int, width: int = 320, height: int = 240) -> Iterable[np.ndarray]:
    """Numbered cards, from 0."""
    return (card(width, height, number) for number in range(count))


def write_clip(
    path: Path,
    frames: Iterable[np.ndarray] | int = 50,
    *,
    rate: float | Fraction = 25,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    aspect: Fraction | None = None,
    sound: str | None = None,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    colorspace: str | None = None,
    full_range: bool = False,
    tagged: bool = True,
    interlaced: bool = False,
) -> Path:
    """Write uint8 RGB frames (or this number of numbered cards) as a clip; its type by the name.

    `times` gives each frame its second (variable rate). `rotation` is by how many degrees the
    player has to turn the frames clockwise (MP4 and MOV only; the frames are written turned back,
    so that the clip is upright when it is shown right); `mirrored` likewise.
    """
    arrays = iter(cards(frames) if isinstance(frames, int) else frames)
    first = _stored(next(arrays), rotation, mirrored)
    fraction = Fraction(rate).limit_denominator(1001)
    base = Fraction(1, 90000) if times is not None else 1 / fraction
    with av.open(str(path), "w", format=container, options=muxing or {}) as output:
        stream: Any = output.add_stream(codec, rate=fraction, options=options or {})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = base
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        tracks = _Sound(output, sound) if sound else None
        if colorspace is not None and tagged:
            stream.codec_context.colorspace = Colorspace[colorspace].value
        rest = (_stored(pixels, rotation, mirrored) for pixels in arrays)
        for number, pixels in enumerate(chain([first], rest)):
            frame = _frame(pixels, pix_fmt, colorspace, full_range)
            if not tagged:
                frame.colorspace = 2
            if interlaced:
                frame = _as_fields(frame)
            frame.time_base = base
            frame.pts = number if times is None else round(times[number] / base)
            output.mux(stream.encode(frame))
            if tracks:
                tracks.write(float(frame.pts * base))
        output.mux(stream.encode())
        if tracks:
            tracks.end()
    if rotation or mirrored:
        _write_matrix(path, rotation, mirrored)
    return path


def write_sound(path: Path, codec: str = "aac", cover: np.ndarray | None = None) -> Path:
    """A second of silence; with `cover` as a picture attached to it (MP4 family)."""
    with av.open(str(path), "w") as output:
        track = _Sound(output, codec)
        picture: Any = None
        if cover is not None:
            picture = output.add_stream("mjpeg")
            picture.height, picture.width = cover.shape[:2]
            picture.pix_fmt = "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            output.mux(picture.encode(av.VideoFrame.from_ndarray(cover)))
            output.mux(picture.encode())
        track.write(1.0)
        track.end()
    return path


def write_image(path: Path, pixels: np.ndarray, *, orientation: int = 1) -> Path:
    """Write uint8 RGB or RGBA pixels as the image its name tells; `orientation` for EXIF (JPEG)."""
    codec, pix_fmt = {
        ".jpg": ("mjpeg", "yuvj444p"),
        ".png": ("png", "rgba" if pixels.shape[2] == 4 else "rgb24"),
        ".bmp": ("bmp", "bgr24"),
        ".tiff": ("tiff", "rgb24"),
        ".webp": ("libwebp", "yuva420p" if pixels.shape[2] == 4 else "yuv420p"),
    }[path.suffix]
    data = encode_image(pixels, codec, pix_fmt)
    if orientation != 1:
        data = data[:2] + _exif(orientation) + data[2:]
    path.write_bytes(data)
    return path


def encode_image(pixels: np.ndarray, codec: str, pix_fmt: str) -> bytes:
    """One picture as its encoder writes it."""
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt, encoder.time_base = pix_fmt, Fraction(1, 25)
    shape = "rgba" if pixels.shape[2] == 4 else "rgb24"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=shape)
    frame = frame.reformat(format=pix_fmt)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def write_animated_webp(path: Path, frames: Sequence[np.ndarray], milliseconds: int = 100) -> Path:
    """Frames one after the other, each a whole picture."""
    height, width = frames[0].shape[:2]
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = _chunk(b"VP8X", b"\x02\0\0\0" + size) + _chunk(b"ANIM", bytes(6))
    for pixels in frames:
        still = encode_image(pixels, "libwebp", "yuv420p")
        place = bytes(6) + size + milliseconds.to_bytes(3, "little") + b"\x02"
        chunks += _chunk(b"ANMF", place + still[still.index(b"VP8 ") :])
    path.write_bytes(_chunk(b"RIFF", b"WEBP" + chunks))
    return path


class _Sound:
    """Silence beside the pictures."""

    def __init__(self, output: Any, codec: str) -> None:
        self._output = output
        self._stream: Any = output.add_stream(codec, rate=44100)
        self._samples = 0

    def write(self, until: float) -> None:
        while self._samples < until * 44100:
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
            )
            frame.rate, frame.pts = 44100, self._samples
            self._output.mux(self._stream.encode(frame))
            self._samples += 1024

    def end(self) -> None:
        self._output.mux(self._stream.encode())


def _frame(
    pixels: np.ndarray, pix_fmt: str, colorspace: str | None, full_range: bool
) -> av.VideoFrame:
    shape = "rgba" if pixels.shape[2] == 4 else "rgb24"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=shape)
    converted: av.VideoFrame = frame.reformat(
        format=pix_fmt,
        dst_colorspace=colorspace,
        dst_color_range="JPEG" if full_range else "MPEG" if pix_fmt.startswith("yuv") else None,
    )
    if colorspace is None and pix_fmt.startswith("yuv"):
        converted.colorspace = 2  # unspecified
    return converted


def _as_fields(frame: av.VideoFrame) -> av.VideoFrame:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def _stored(pixels: np.ndarray, rotation: int, mirrored: bool) -> np.ndarray:
    """What has to be stored for the player to show `pixels`."""
    turned = np.rot90(pixels, rotation // 90)
    return turned[:, ::-1] if mirrored else turned


def _write_matrix(path: Path, rotation: int, mirrored: bool) -> None:
    """Put a display matrix into the track header: mirrored first, then turned clockwise."""
    a, b = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotation]
    flip = -1 if mirrored else 1
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    matrix = (a * flip, b * flip, 0, -b, a)
    struct.pack_into(">5i", data, place, *(value << 16 for value in matrix))
    path.write_bytes(data)


def _exif(orientation: int) -> bytes:
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    body = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
