"""Finds the faces of a clip's frames, with a closer view of small ones.

The detector gets the whole frame every time. At the start of a window, and every few frames, it
also gets the frame in parts, for faces too small in the whole. Where a face is small, or was a
moment ago, it gets the surroundings: that finds the face again and gives a more exact box.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, hypot

from edge.finding import Box
from edge.scan.faces.detector import Detection, FaceDetector
from edge.scan.frames import Frame, Pixels, overlap

# Boxes of faces smaller than this part of the picture are inexact: these are detected again in
# their surroundings.
SMALL = 1 / 8

# The side of the surroundings, in sides of the box.
SURROUNDINGS = 4.0

# The side of a part in pixels, so that faces from about a sixteenth of it (67 px) on are found;
# larger where the frame would have too many. Neighbours share a fifth.
PART = 1080
MOST_ACROSS = 3
SHARED = 0.2

# A frame that is longer than this many times its width is not searched by parts: a picture of one
# pixel's width would have tens of thousands. With this limit there are at most 20.
MOST_OBLONG = 16

# Frames between two searches by parts; a window's first frame always has one.
BETWEEN = 8

# Frames for which a face that is no longer found is searched where it was.
PATIENCE = 5

# Up to this distance, in boxes, a face counts as the one that was there before.
MOVED = 1.5

# Two boxes with more overlap are of one face.
SAME_FACE = 0.3


class FaceSearch:
    """Searches the frames of one clip; the result depends on its input only."""

    def __init__(self, detector: FaceDetector, most: int = 8, least_score: float = 0.0) -> None:
        """Search for the `most` largest faces of a frame that score at least `least_score`."""
        self._detector = detector
        self._most = most
        self._least_score = least_score
        self._known: list[tuple[Box, int]] = []  # a face's last place, and frames without it
        self._window = -1
        self._since = 0

    def detect(self, frame: Frame) -> list[Detection]:
        """The faces of the clip's next frame, the largest first."""
        pixels = frame.pixels
        if frame.window != self._window:
            self._known, self._since = [], 0
        found = self._detect_in(pixels, _whole(pixels))
        if self._since % BETWEEN == 0:
            for part in _parts(pixels):
                found = _joined(found, self._detect_in(pixels, part))
        found = self._refine(pixels, self._largest(found))
        self._remember(found)
        self._window, self._since = frame.window, self._since + 1
        return self._largest(found)

    def _refine(self, pixels: Pixels, found: list[Detection]) -> list[Detection]:
        """Detect again, in their surroundings, small faces and those just lost."""
        least = SMALL * max(pixels.shape[:2])
        clear = [face for face in found if face.box.width >= least]
        for face in found:
            if face.box.width < least:
                clear = _joined(clear, [self._nearest(pixels, face.box) or face])
        for place, _ in self._known:
            if not any(_moved(place, face.box) for face in clear):
                again = self._nearest(pixels, place)
                clear = _joined(clear, [again] if again else [])
        return clear

    def _nearest(self, pixels: Pixels, place: Box) -> Detection | None:
        """The face that overlaps a place most, detected in its surroundings."""
        side = SURROUNDINGS * max(place.width, place.height)
        x, y = place.x + (place.width - side) / 2, place.y + (place.height - side) / 2
        seen = self._detect_in(pixels, Box(x=x, y=y, width=side, height=side))
        near = [face for face in seen if overlap(face.box, place) > 0]
        return max(near, key=lambda face: overlap(face.box, place), default=None)

    def _detect_in(self, pixels: Pixels, region: Box) -> list[Detection]:
        """The faces that the detector finds in a region of the frame."""
        left, top = max(0, round(region.x)), max(0, round(region.y))
        right, bottom = round(region.x + region.width), round(region.y + region.height)
        piece = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
        if not piece.size:
            return []
        found = [face.moved(left, top) for face in self._detector.detect(piece)]
        return [face for face in found if face.score >= self._least_score]

    def _largest(self, faces: list[Detection]) -> list[Detection]:
        return sorted(faces, key=lambda face: -face.box.width * face.box.height)[: self._most]

    def _remember(self, found: list[Detection]) -> None:
        lost = [
            (place, missed + 1)
            for place, missed in self._known
            if missed < PATIENCE and not any(_moved(place, face.box) for face in found)
        ]
        self._known = [(face.box, 0) for face in found] + lost[: self._most]


def _whole(pixels: Pixels) -> Box:
    height, width = pixels.shape[:2]
    return Box(x=0, y=0, width=width, height=height)


def _parts(pixels: Pixels) -> Iterator[Box]:
    """Squares that cover the frame; none if they would not be much smaller than it, or too many."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    side = min(height, width, max(PART, longest / MOST_ACROSS))
    if side > longest * (1 - SHARED) or longest > MOST_OBLONG * side:
        return
    for y in _starts(height, side):
        for x in _starts(width, side):
            yield Box(x=x, y=y, width=side, height=side)


def _starts(length: float, side: float) -> list[float]:
    spare = length - side
    steps = ceil(spare / (side * (1 - SHARED)))
    return [spare * step / steps for step in range(steps + 1)] if steps else [0.0]


def _moved(place: Box, box: Box) -> bool:
    """Whether a face that was at `place` may be the one in `box` now."""
    away = hypot(
        box.x + box.width / 2 - place.x - place.width / 2,
        box.y + box.height / 2 - place.y - place.height / 2,
    )
    return away < MOVED * max(place.width, box.width)


def _joined(faces: list[Detection], more: list[Detection]) -> list[Detection]:
    """`faces` and those of `more` that are not among them."""
    joined = list(faces)
    for new in more:
        if not any(overlap(new.box, face.box) > SAME_FACE for face in joined):
            joined.append(new)
    return joined
