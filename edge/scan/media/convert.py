"""From a decoded video frame to upright RGB bytes: colours, size, orientation, interlacing, alpha.

Runs in the decoder process only. Works without numpy, whose import would double its start.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from edge.scan.media import filters
from edge.scan.media.colour import CONSTANT_LUMINANCE, ICTCP, YCGCO, ColourSpace
from edge.scan.media.protocol import ClipError, Fault

# From the number of a frame's colour matrix to swscale's number for it.
_ITU601, _ITU709 = 5, 1
_COLORSPACES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
# Matrices that follow from the primaries, and what is not known: IPT-C2 and its like.
_DERIVED, _UNKNOWN = (12, 13), (11, 15, 16, 17)
_BY_PRIMARIES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_HD_HEIGHT = 720
_BY_TABLE = frozenset((YCGCO, CONSTANT_LUMINANCE, ICTCP))
_UNSPECIFIED = 2
# Pixel formats of 16 bits, without and with transparency.
_DEEP = ("rgb48le", "rgba64le")
# Sides of two frames of one shape differ by rounding only.
_SAME_SHAPE = 0.02
# Of NTSC, PAL and HD, as fields are made for; and how many points of a frame are looked at.
_INTERLACED_HEIGHTS = frozenset((480, 486, 576, 1080, 1088))
_COMB_COLUMNS, _COMB_ROWS = 48, 7
# Product of the two differences to the lines above and below.
_COMB = 400
# FFmpeg's name for a transposition, by whether columns and rows are then reversed.
_TRANSPOSITIONS = {
    (False, False): "cclock_flip",
    (True, False): "clock",
    (False, True): "cclock",
    (True, True): "clock_flip",
}


class DecodedFrame(NamedTuple):
    """A decoded frame, with its neighbours in time where interlacing needs them."""

    frame: av.VideoFrame
    before: av.VideoFrame | None = None
    after: av.VideoFrame | None = None


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """From the display matrix: whether it is transposed, and columns and rows then reversed.

    Angles are rounded to quarter turns.
    """
    try:
        side_data: Any = frame.side_data
        matrix = bytes(side_data["DISPLAYMATRIX"])
    except (KeyError, ValueError):  # ValueError: side data of a kind that PyAV does not know
        return False, False, False
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0  # x' = c * y, y' = b * x


def _fit(width: int, height: int, aspect: Fraction | None, most_pixels: int) -> tuple[int, int]:
    """Width and height with square pixels, within a number of pixels. Never below 1."""
    shape = aspect if aspect and Fraction(1, 8) <= aspect <= 8 else Fraction(1)
    wide = width * max(shape, Fraction(1))
    high = height / min(shape, Fraction(1))
    shrink = min(1.0, (most_pixels / float(wide * high)) ** 0.5)
    sides = (wide, high) if shrink == 1.0 else (float(wide) * shrink, float(high) * shrink)
    return max(1, int(sides[0] + 0.5)), max(1, int(sides[1] + 0.5))


class FrameConverter:
    """Writes the frames of one clip, all of one size, as uint8 RGB `[height, width, 3]` bytes.

    The first frame decides the size, or `size` (width and height, upright). Frames of another
    size are scaled to it; those of another shape lie in its middle, on black.
    """

    def __init__(
        self,
        first: av.VideoFrame,
        aspect: Fraction | None,
        most_pixels: int,
        size: tuple[int, int] | None = None,
    ) -> None:
        transposed, columns_reversed, rows_reversed = _orientation(first)
        self.aspect = aspect
        """Width of a stored pixel over its height; may change with the clip's frames."""
        self._most_pixels = most_pixels
        if size is None:
            self._size = _fit(first.width, first.height, aspect, most_pixels)
        else:
            self._size = size[::-1] if transposed else size
        self._rows_reversed = rows_reversed and not transposed
        self.width, self.height = self._size[::-1] if transposed else self._size
        self._turn = filters.single("hflip") if columns_reversed else None
        if transposed:
            turn = _TRANSPOSITIONS[columns_reversed, rows_reversed]
            self._turn = filters.single("transpose", turn)
        self._reformatter = VideoReformatter()
        self._pad = filters.single("pad", f"{self._size[0]}:{self._size[1]}:-1:-1")
        self._backdrop = filters.on_grey()
        self._space: tuple[ColourSpace, bool] | None = None

    def paint(self, decoded: DecodedFrame, target: memoryview) -> None:
        """Write a frame into `target`, which has `height * width * 3` bytes."""
        try:
            frame = self._in_rgb(decoded)
        except av.error.FFmpegError:
            raise ClipError(Fault.PIXEL_FORMAT) from None
        if (frame.width, frame.height) != self._size:
            frame = self._pad(frame)
        if self._turn:
            frame = self._turn(frame)
        _copy_rows(frame, target, self._rows_reversed)

    def _in_rgb(self, decoded: DecodedFrame) -> av.VideoFrame:
        frame = decoded.frame
        colorspace, color_range = _colours(frame)
        named = int(frame.colorspace)
        by_planes = named in _BY_TABLE and not frame.format.is_rgb
        space = ColourSpace(
            int(frame.color_primaries), int(frame.color_trc), named if by_planes else 0
        )
        has_alpha = _has_alpha(frame.format) and not by_planes
        width, height = self._shown_size(frame)
        if decoded.after is not None:
            near = decoded.before or frame, decoded.after
            frame = filters.deinterlaced(frame, *near)
        shape = ("rgba" if has_alpha else "rgb24") if space.is_plain else _DEEP[has_alpha]
        # The converter would refuse transfer functions that it does not know.
        frame.color_primaries, frame.color_trc = _UNSPECIFIED, _UNSPECIFIED
        converted = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="yuv444p16le" if by_planes else shape,
            src_colorspace=colorspace,
            dst_colorspace=colorspace if by_planes else None,
            src_color_range=color_range,
            dst_color_range=ColorRange.JPEG,
            interpolation=_interpolation(width * height, frame.width * frame.height),
        )
        frame.color_primaries, frame.color_trc = space.primaries, space.transfer
        if by_planes:
            converted = _planes_as_rgb(converted)
        if not space.is_plain:
            if self._space != (space, has_alpha):
                self._space = space, has_alpha
                self._colours = filters.in_colours(space, has_alpha)
            converted = self._colours(converted)
        return self._backdrop(converted) if has_alpha else converted

    def _shown_size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height of the frame within what is handed out; its shape may have changed."""
        width, height = self._size
        own = _fit(frame.width, frame.height, self.aspect, self._most_pixels)
        scale = min(width / own[0], height / own[1])
        fitted = max(1, round(own[0] * scale)), max(1, round(own[1] * scale))
        apart = max(1 - fitted[0] / width, 1 - fitted[1] / height)
        return fitted if apart > _SAME_SHAPE else self._size


def _interpolation(target: int, source: int) -> Interpolation:
    """By the numbers of pixels."""
    return Interpolation.AREA if target * 2 < source else Interpolation.BILINEAR


def _colours(frame: av.VideoFrame) -> tuple[int, int]:
    """The frame's own tags; what is untagged follows the custom of its size and format."""
    shape = frame.format
    custom = _ITU709 if frame.height >= _HD_HEIGHT else _ITU601
    named = int(frame.colorspace)
    if named in _UNKNOWN:
        raise ClipError(Fault.PIXEL_FORMAT)
    if named in _DERIVED:
        colorspace = _BY_PRIMARIES.get(int(frame.color_primaries), custom)
    else:
        colorspace = _COLORSPACES.get(named, custom)
    full = shape.is_rgb or shape.has_palette or shape.name.startswith(("yuvj", "gray", "ya"))
    color_range = int(frame.color_range)
    if color_range not in (ColorRange.MPEG, ColorRange.JPEG):
        color_range = ColorRange.JPEG if full else ColorRange.MPEG
    return colorspace, int(color_range)


def _has_alpha(shape: av.VideoFormat) -> bool:
    return shape.has_palette or any(component.is_alpha for component in shape.components)


def has_interlaced_size(frame: av.VideoFrame) -> bool:
    """Whether a frame has a size of television, and a format that `looks_combed` examines."""
    shape = frame.format
    is_known = shape.name.startswith(("yuv4", "yuvj4")) and shape.components[0].bits == 8
    return frame.height in _INTERLACED_HEIGHTS and is_known


def looks_combed(frame: av.VideoFrame) -> bool:
    """Whether a frame of a size of television shows two moments, line by line.

    Then lines differ from their neighbours, and much less from the next but one. Frames are often
    not marked so: only frames of 8 bits are looked at.
    """
    if not has_interlaced_size(frame):
        return False
    plane, step = frame.planes[0], max(1, frame.width // _COMB_COLUMNS)
    data, stride = memoryview(plane).cast("B"), plane.line_size
    near = far = points = 0
    for y in range(2, frame.height - 2, _COMB_ROWS):
        starts = (place * stride for place in range(y - 2, y + 3))
        rows = [bytes(data[start : start + frame.width : step]) for start in starts]
        for two_up, up, here, down, two_down in zip(*rows, strict=True):
            near += (up - here) * (down - here) > _COMB
            far += (two_up - here) * (two_down - here) > _COMB
        points += len(rows[0])
    return near > 3 * far + points // 400


def _planes_as_rgb(frame: av.VideoFrame) -> av.VideoFrame:
    """The three planes of a 4:4:4 frame of 16 bits named red, green and blue in their order."""
    named = av.VideoFrame(frame.width, frame.height, "gbrp16le")
    for source, target in zip(frame.planes, (2, 0, 1), strict=True):
        plane = named.planes[target]
        size, row = plane.line_size, source.line_size
        data = memoryview(source).cast("B")
        if size == row:
            plane.update(bytes(data))
            continue
        rows = (bytes(data[y * row :][: min(size, row)]) for y in range(frame.height))
        plane.update(b"".join(each.ljust(size, b"\0") for each in rows))
    return named.reformat(format="rgb48le")


def _copy_rows(frame: av.VideoFrame, target: memoryview, rows_reversed: bool) -> None:
    plane = frame.planes[0]
    stride, row, height = plane.line_size, frame.width * 3, frame.height
    source = memoryview(plane).cast("B")
    if stride == row and not rows_reversed:
        target[:] = source[: row * height]
        return
    for y in range(height):
        place = (height - 1 - y if rows_reversed else y) * row
        target[place : place + row] = source[y * stride : y * stride + row]
