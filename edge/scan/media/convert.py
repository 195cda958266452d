"""From a decoded frame to upright RGB bytes: colours, size, orientation, interlacing, alpha.

Runs in the child only. Works without numpy, whose import would double the child's start.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import av
from av.filter.context import FilterContext
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# From the number of a frame's colour matrix to swscale's number for it.
_ITU601, _ITU709 = 5, 1
_COLORSPACES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_HD_HEIGHT = 720
_BACKDROP = "0x808080"


class Orientation(NamedTuple):
    """How a stored frame becomes upright: a filter for its columns, then maybe rows reversed."""

    filter: str
    argument: str
    swaps_sides: bool
    rows_reversed: bool


UPRIGHT = Orientation("", "", False, False)
_MIRRORED = Orientation("hflip", "", False, False)
_UPSIDE_DOWN = Orientation("hflip", "", False, True)
_FLIPPED = Orientation("", "", False, True)
_TRANSPOSED = Orientation("transpose", "cclock_flip", True, False)
_CLOCKWISE = Orientation("transpose", "clock", True, False)
_TRANSVERSED = Orientation("transpose", "clock_flip", True, False)
_COUNTERCLOCKWISE = Orientation("transpose", "cclock", True, False)
_BY_ORIENTATION = (
    *(UPRIGHT, _MIRRORED, _UPSIDE_DOWN, _FLIPPED),
    *(_TRANSPOSED, _CLOCKWISE, _TRANSVERSED, _COUNTERCLOCKWISE),
)


class DecodedFrame(NamedTuple):
    """A decoded frame, with its neighbours in time where interlacing needs them."""

    frame: av.VideoFrame
    before: av.VideoFrame | None = None
    after: av.VideoFrame | None = None


def picture_orientation(orientation: int) -> Orientation:
    """From EXIF's orientation, 1 to 8."""
    return _BY_ORIENTATION[orientation - 1]


def video_orientation(frame: av.VideoFrame) -> Orientation:
    """From the display matrix, rounded to one of the eight upright orientations."""
    try:
        side_data: Any = frame.side_data
        matrix = bytes(side_data["DISPLAYMATRIX"])
    except (KeyError, ValueError):  # ValueError: side data of a kind that PyAV does not know
        return UPRIGHT
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        straight = {(False, False): UPRIGHT, (True, False): _MIRRORED, (True, True): _UPSIDE_DOWN}
        return straight.get((a < 0, d < 0), _FLIPPED)
    # A column becomes a row: x' = c * y, y' = b * x.
    turned = {
        (True, True): _TRANSPOSED,
        (False, True): _CLOCKWISE,
        (True, False): _COUNTERCLOCKWISE,
    }
    return turned.get((c > 0, b > 0), _TRANSVERSED)


def fit(width: int, height: int, aspect: Fraction | None, most_pixels: int) -> tuple[int, int]:
    """Width and height with square pixels, within a number of pixels. Never below 1."""
    shape = aspect if aspect and Fraction(1, 8) <= aspect <= 8 else Fraction(1)
    wide = width * max(shape, Fraction(1))
    high = height / min(shape, Fraction(1))
    shrink = min(1.0, (most_pixels / float(wide * high)) ** 0.5)
    sides = (wide, high) if shrink == 1.0 else (float(wide) * shrink, float(high) * shrink)
    return max(1, int(sides[0] + 0.5)), max(1, int(sides[1] + 0.5))


class FrameConverter:
    """Paints the frames of one clip, all of one size, as uint8 RGB `[height, width, 3]` bytes.

    The first frame decides the size and the orientation; later frames of another size are scaled
    to it.
    """

    def __init__(
        self, first: av.VideoFrame, turn: Orientation, aspect: Fraction | None, most_pixels: int
    ) -> None:
        self._turn = turn
        self._size = fit(first.width, first.height, aspect, most_pixels)
        self.width, self.height = self._size[::-1] if self._turn.swaps_sides else self._size
        self._reformatter = VideoReformatter()
        self._painted = 0
        self._turner: av.filter.Graph | None = None
        self._layer: av.filter.Graph | None = None

    @property
    def frame_bytes(self) -> int:
        """Size of one painted frame."""
        return self.width * self.height * 3

    def paint(self, picture: DecodedFrame, target: memoryview) -> None:
        """Write the picture into `target`, which has `frame_bytes` bytes."""
        self._painted += 1
        frame = self._in_rgb(picture)
        if self._turn.filter:
            frame = self._turned(frame)
        _copy_rows(frame, target, self._turn.rows_reversed)

    def _in_rgb(self, picture: DecodedFrame) -> av.VideoFrame:
        frame = picture.frame
        colorspace, color_range = _colours(frame)
        has_alpha = _has_alpha(frame.format)
        if frame.interlaced_frame and picture.after is not None:
            frame = _deinterlaced(picture)
        width, height = self._size
        smaller = width * height * 2 < frame.width * frame.height
        converted = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgba" if has_alpha else "rgb24",
            src_colorspace=colorspace,
            src_color_range=color_range,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.AREA if smaller else Interpolation.BILINEAR,
        )
        return self._on_backdrop(converted) if has_alpha else converted

    def _on_backdrop(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Lay RGBA over grey."""
        if self._layer is None:
            self._layer = _backdrop(frame)
        frame.pts = self._painted
        self._layer.vpush(frame)
        return _pulled(self._layer)

    def _turned(self, frame: av.VideoFrame) -> av.VideoFrame:
        if self._turner is None:
            self._turner = _chain(frame, (self._turn.filter, self._turn.argument))
        frame.pts = self._painted
        self._turner.vpush(frame)
        return _pulled(self._turner)


def _colours(frame: av.VideoFrame) -> tuple[int, int]:
    """The frame's own tags; what is untagged follows the custom of its size and format."""
    shape = frame.format
    custom = _ITU709 if frame.height >= _HD_HEIGHT else _ITU601
    colorspace = _COLORSPACES.get(int(frame.colorspace), custom)
    full = shape.is_rgb or shape.has_palette or shape.name.startswith(("yuvj", "gray", "ya"))
    color_range = int(frame.color_range)
    if color_range not in (ColorRange.MPEG, ColorRange.JPEG):
        color_range = ColorRange.JPEG if full else ColorRange.MPEG
    return colorspace, int(color_range)


def _has_alpha(shape: av.VideoFormat) -> bool:
    return shape.has_palette or any(component.is_alpha for component in shape.components)


def in_rgba(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """A frame as uint8 RGBA `[height, width, 4]`."""
    colorspace, color_range = _colours(frame)
    converted = frame.reformat(
        format="rgba",
        src_colorspace=colorspace,
        src_color_range=color_range,
        dst_color_range=ColorRange.JPEG,
    )
    pixels: Any = converted.to_ndarray()
    return cast("npt.NDArray[np.uint8]", pixels)


def _deinterlaced(picture: DecodedFrame) -> av.VideoFrame:
    """The frame with its two fields made one picture, by its neighbours in time."""
    frame = picture.frame
    graph = _chain(frame, ("bwdif", "mode=send_frame:deint=all"))
    near = (picture.before or frame, frame, picture.after or frame)
    for neighbour in near:
        same = (neighbour.width, neighbour.height, neighbour.format.name) == (
            *(frame.width, frame.height),
            frame.format.name,
        )
        graph.push(neighbour if same else frame)
    graph.push(None)
    _pulled(graph)
    return _pulled(graph)


def _chain(frame: av.VideoFrame, step: tuple[str, str]) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.link_nodes(_source(graph, frame), graph.add(*step), graph.add("buffersink"))
    graph.configure()
    return graph


def _backdrop(frame: av.VideoFrame) -> av.filter.Graph:
    """The frame over itself painted grey, as RGB."""
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
    return graph


def _source(graph: av.filter.Graph, frame: av.VideoFrame) -> FilterContext:
    return graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 1000),
    )


def _pulled(graph: av.filter.Graph) -> av.VideoFrame:
    frame: av.VideoFrame = graph.vpull()
    return frame


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
