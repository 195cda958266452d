"""From a decoded video frame to upright RGB bytes: colours, size, orientation, interlacing, alpha.

Runs in the decoder process only. Works without numpy, whose import would double its start.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.filter.context import FilterContext
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from edge.scan.media.colour import LEVEL, ColourSpace
from edge.scan.media.protocol import ClipError, Fault

# From the number of a frame's colour matrix to swscale's number for it.
_ITU601, _ITU709 = 5, 1
_COLORSPACES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
# Matrices that follow from the primaries, and what swscale does not know: ICtCp and its like.
_DERIVED, _UNKNOWN = (12, 13), (11, 14, 15)
_BY_PRIMARIES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_HD_HEIGHT = 720
# Pixel formats of 16 bits, without and with transparency.
_DEEP = ("rgb48le", "rgba64le")
# Of NTSC, PAL and HD, as fields are made for; and how many points of a frame are looked at.
_INTERLACED_HEIGHTS = frozenset((480, 486, 576, 1080, 1088))
_COMB_COLUMNS, _COMB_ROWS = 48, 7
# Product of the two differences to the lines above and below.
_COMB = 400
_BACKDROP = "0x808080"
# FFmpeg's name for a transposition, by whether columns and rows are then reversed.
_TRANSPOSITIONS = {
    (False, False): "cclock_flip",
    (True, False): "clock",
    (False, True): "cclock",
    (True, True): "clock_flip",
}


Filters = tuple[av.filter.Graph, FilterContext]
"""FFmpeg's filters, and where frames enter them."""


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

    The first frame decides the size, or `size` (width and height, upright); frames of another
    size are scaled to it.
    """

    def __init__(
        self,
        first: av.VideoFrame,
        aspect: Fraction | None,
        most_pixels: int,
        size: tuple[int, int] | None = None,
    ) -> None:
        transposed, columns_reversed, rows_reversed = _orientation(first)
        if size is None:
            self._size = _fit(first.width, first.height, aspect, most_pixels)
        else:
            self._size = size[::-1] if transposed else size
        self._rows_reversed = rows_reversed and not transposed
        self.width, self.height = self._size[::-1] if transposed else self._size
        self._turn = ("hflip", "") if columns_reversed else None
        if transposed:
            self._turn = "transpose", _TRANSPOSITIONS[columns_reversed, rows_reversed]
        self._reformatter = VideoReformatter()
        self._frames = 0
        self._turning: Filters | None = None
        self._backdrop: Filters | None = None
        self._space = ColourSpace(int(first.color_primaries), int(first.color_trc))
        self._colours: Filters | None = None

    def paint(self, decoded: DecodedFrame, target: memoryview) -> None:
        """Write a frame into `target`, which has `height * width * 3` bytes."""
        self._frames += 1
        frame = self._in_rgb(decoded)
        if self._turn:
            self._turning = self._turning or _filters(frame, self._turn)
            frame = self._through(*self._turning, frame)
        _copy_rows(frame, target, self._rows_reversed)

    def _in_rgb(self, decoded: DecodedFrame) -> av.VideoFrame:
        frame = decoded.frame
        colorspace, color_range = _colours(frame)
        has_alpha = _has_alpha(frame.format)
        if decoded.after is not None:
            frame = _deinterlaced(decoded)
        width, height = self._size
        smaller = width * height * 2 < frame.width * frame.height
        shape = ("rgba" if has_alpha else "rgb24") if self._space.is_plain else _DEEP[has_alpha]
        converted = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=shape,
            src_colorspace=colorspace,
            src_color_range=color_range,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.AREA if smaller else Interpolation.BILINEAR,
        )
        if not self._space.is_plain:
            self._colours = self._colours or _through_table(converted, self._space, has_alpha)
            converted = self._through(*self._colours, converted)
        if not has_alpha:
            return converted
        self._backdrop = self._backdrop or _on_backdrop(converted)
        return self._through(*self._backdrop, converted)

    def _through(
        self, graph: av.filter.Graph, source: FilterContext, frame: av.VideoFrame
    ) -> av.VideoFrame:
        frame.pts = self._frames
        source.push(frame)
        return graph.vpull()


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


def looks_combed(frame: av.VideoFrame) -> bool:
    """Whether a frame of a size of television shows two moments, line by line.

    Then lines differ from their neighbours, and much less from the next but one. Frames are often
    not marked so: only frames of 8 bits are looked at.
    """
    shape = frame.format
    if frame.height not in _INTERLACED_HEIGHTS or not shape.name.startswith(("yuv4", "yuvj4")):
        return False
    if shape.components[0].bits != 8:
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


def _deinterlaced(decoded: DecodedFrame) -> av.VideoFrame:
    """The frame with its two fields made one picture, by its neighbours in time."""
    frame = decoded.frame
    graph, _ = _filters(frame, ("bwdif", "mode=send_frame:deint=all"))
    shape = frame.width, frame.height, frame.format.name
    for near in (decoded.before or frame, frame, decoded.after or frame):
        same = (near.width, near.height, near.format.name) == shape
        graph.push(near if same else frame)
    graph.push(None)
    graph.vpull()
    return graph.vpull()


def _filters(frame: av.VideoFrame, step: tuple[str, str]) -> Filters:
    graph = av.filter.Graph()
    source = _source(graph, frame)
    graph.link_nodes(source, graph.add(*step), graph.add("buffersink"))
    graph.configure()
    return graph, source


def _on_backdrop(frame: av.VideoFrame) -> Filters:
    """The RGBA frame over itself painted grey, as RGB."""
    graph = av.filter.Graph()
    source, twice = _source(graph, frame), graph.add("split")
    grey = graph.add("drawbox", f"w=iw:h=ih:color={_BACKDROP}:t=fill:replace=1")
    over = graph.add("overlay", "format=rgb:eof_action=endall")
    source.link_to(twice)
    twice.link_to(grey, 0, 0)
    grey.link_to(over, 0, 0)
    twice.link_to(over, 1, 1)
    graph.link_nodes(over, graph.add("format", "rgb24"), graph.add("buffersink"))
    graph.configure()
    return graph, source


def _through_table(frame: av.VideoFrame, space: ColourSpace, has_alpha: bool) -> Filters:
    """RGB of 16 bits to the colours of a BT.709 screen, 8 bits."""
    side = LEVEL**3
    pixels = space.table()
    table = av.VideoFrame(side, side, "rgb48le")
    plane = table.planes[0]
    rows = (pixels[y * side * 6 : (y + 1) * side * 6] for y in range(side))
    plane.update(b"".join(row.ljust(plane.line_size, b"\0") for row in rows))
    table.pts = 0
    graph = av.filter.Graph()
    source, colours = _source(graph, frame), _source(graph, table)
    curve = graph.add("lutrgb", ":".join(f"{channel}='{space.curve}'" for channel in "rgb"))
    lookup = graph.add("haldclut", "clut=first:interp=tetrahedral")
    source.link_to(curve)
    curve.link_to(lookup, 0, 0)
    colours.link_to(lookup, 0, 1)
    shallow = graph.add("format", "rgba" if has_alpha else "rgb24")
    graph.link_nodes(lookup, shallow, graph.add("buffersink"))
    graph.configure()
    colours.push(table)
    colours.push(None)
    return graph, source


def _source(graph: av.filter.Graph, frame: av.VideoFrame) -> FilterContext:
    return graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 1000),
    )


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
