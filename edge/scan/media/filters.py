"""FFmpeg's filters as steps from a frame to a frame.

Runs in the decoder process only.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
from av.filter.context import FilterContext

from edge.scan.media.colour import LEVEL, ColourSpace
from edge.scan.media.cropping import Margins

_BACKDROP = "0x808080"

Filters = tuple[av.filter.Graph, FilterContext]
"""A graph of filters, and where frames enter it."""


class FilterStep:
    """Filters that are built by the first frame, and again when frames change their shape."""

    def __init__(self, build: Callable[[av.VideoFrame], Filters]) -> None:
        self._build = build
        self._shape = (0, 0, "")
        self._frames = 0

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The filtered frame."""
        shape = frame.width, frame.height, frame.format.name
        if shape != self._shape:
            self._graph, self._source = self._build(frame)
            self._shape = shape
        self._frames += 1
        frame.pts = self._frames
        self._source.push(frame)
        return self._graph.vpull()


def single(name: str, options: str = "") -> FilterStep:
    """One filter of FFmpeg."""
    return FilterStep(lambda frame: _linked(frame, name, options))


def cropped(margins: Margins | None) -> Callable[[av.VideoFrame], av.VideoFrame]:
    """A frame without its margins, as far as the resolution of its colours allows."""
    if margins is None:
        return lambda frame: frame
    left, top, right, bottom = margins
    step = single("crop", f"iw-{left + right}:ih-{top + bottom}:{left}:{top}")
    return lambda frame: (
        step(frame) if left + right < frame.width and top + bottom < frame.height else frame
    )


def on_grey() -> FilterStep:
    """An RGBA frame over itself painted grey, as RGB."""
    return FilterStep(_on_backdrop)


def in_colours(space: ColourSpace, has_alpha: bool) -> FilterStep:
    """What `space` stores in RGB of 16 bits, in the colours of a BT.709 screen, 8 bits."""
    return FilterStep(lambda frame: _through_table(frame, space, has_alpha))


def deinterlaced(
    frame: av.VideoFrame, before: av.VideoFrame, after: av.VideoFrame
) -> av.VideoFrame:
    """The frame with its two fields made one picture, by its neighbours in time."""
    graph, _ = _linked(frame, "bwdif", "mode=send_frame:deint=all")
    shape = frame.width, frame.height, frame.format.name
    for near in (before, frame, after):
        same = (near.width, near.height, near.format.name) == shape
        graph.push(near if same else frame)
    graph.push(None)
    graph.vpull()
    return graph.vpull()


def _linked(frame: av.VideoFrame, name: str, options: str) -> Filters:
    graph = av.filter.Graph()
    source = _source(graph, frame)
    graph.link_nodes(source, graph.add(name, options), graph.add("buffersink"))
    graph.configure()
    return graph, source


def _on_backdrop(frame: av.VideoFrame) -> Filters:
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
