"""Finds the faces of a whole frame, with a closer view of small ones.

The detector gets the whole frame. If asked to be thorough, it also gets the frame in parts, for
faces too small in the whole. Where a face is small, or was a moment ago, it gets the surroundings:
that finds the face again and gives a more exact box.

The detector was trained on heads that are tilted by up to 45 degrees. Of others it finds some, with
wrong key points and a low score: they are detected again in their surroundings, turned by quarters.
If a frame has no face that is sure, it is turned as well: by each quarter when asked to be
thorough, otherwise by the one that showed a face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, hypot

import numpy as np

from edge.finding import Box
from edge.scan.faces.detector import Detection, FaceDetector
from edge.scan.frames import CropSpec, Pixels, overlap

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

# Frames for which a face that is no longer found is searched where it was.
PATIENCE = 5

# Up to this distance, in boxes, a face counts as the one that was there before.
MOVED = 1.5

# Two boxes with more overlap are of one face.
SAME_FACE = 0.3

# The detector's own score for faces of a frame that is turned as a whole: MediaPipe's default, and
# more than in an upright one, since there are three more chances to err.
TURNED_SCORE = 0.6

# A face that scores less, or whose head is tilted by more degrees, may be on its side or its head:
# it is detected again, turned by quarters. A face that seemed upright must score more by this.
SURE = 0.75
TILTED = 45.0
BETTER = 0.15

# The largest such faces of a frame; the others stay as they were found.
MOST_TURNED = 2


class FullSearch:
    """Searches whole frames of one clip; the result depends on its input only."""

    def __init__(self, detector: FaceDetector, most: int, least_score: float) -> None:
        """Search for the `most` largest faces of a frame that score at least `least_score`."""
        self._detector = detector
        self._most = most
        self._least_score = least_score
        self._known: list[tuple[Box, int]] = []  # a face's last place, and frames without it
        self._thorough = True
        self._quarters = 0  # clockwise, by which a frame had to be turned to show a face
        self.most_found = 0
        """The most faces that were found in one frame, whether they were returned or not."""

    @property
    def misses_one(self) -> bool:
        """Whether a face that was there a moment ago is still being looked for."""
        return any(missed for _, missed in self._known)

    def forget(self) -> None:
        """Begin a scene: no face is known."""
        self._known = []

    def detect(self, pixels: Pixels, *, thorough: bool) -> list[Detection]:
        """The faces of the clip's next frame, the largest first.

        `thorough` adds the search by parts and by every quarter turn.
        """
        self._thorough = thorough
        found = self._detect_in(pixels, _whole(pixels))
        if thorough:
            for part in _parts(pixels):
                found = joined(found, self._detect_in(pixels, part))
        self.most_found = max(self.most_found, len(found))
        found = self._refine(pixels, self._largest(found))
        best = max((face.score for face in found), default=TURNED_SCORE)
        if best < SURE:
            turned = self._search_turned(pixels, best)
            found = joined(found, self._refine(pixels, self._largest(turned)))
        self.most_found = max(self.most_found, len(found))
        self.remember(found)
        return self._largest(found)

    def remember(self, found: list[Detection]) -> None:
        """Note where the faces of the clip's next frame are."""
        lost = [
            (place, missed + 1)
            for place, missed in self._known
            if missed < PATIENCE and not any(may_be_moved(place, face.box) for face in found)
        ]
        self._known = [(face.box, 0) for face in found] + lost[: self._most]

    def _refine(self, pixels: Pixels, found: list[Detection]) -> list[Detection]:
        """Detect again, in their surroundings, faces that are small, tilted or just lost."""
        least = SMALL * max(pixels.shape[:2])
        clear = [face for face in found if face.box.width >= least and _is_upright(face)]
        turned = 0
        for face in found:
            if face.box.width >= least and _is_upright(face):
                continue
            near = self._nearest(pixels, face.box) if face.box.width < least else None
            closer = near or face
            if self._may_be_turned(closer) and turned < MOST_TURNED:
                closer, turned = self._turned_upright(pixels, closer), turned + 1
            clear = joined(clear, [closer])
        for place, _ in self._known:
            if not any(may_be_moved(place, face.box) for face in clear):
                again = self._nearest(pixels, place, self._quarters)
                clear = joined(clear, [again] if again else [])
        return clear

    def _may_be_turned(self, face: Detection) -> bool:
        """Whether to turn a face's surroundings.

        An uncertain face that seems upright mostly is: it is turned in a thorough search only,
        unless a face of this clip was found by turning.
        """
        if abs(face.roll) > TILTED:
            return True
        return face.score < SURE and (self._quarters > 0 or self._thorough)

    def _turned_upright(self, pixels: Pixels, face: Detection) -> Detection:
        """A face that may be on its side, detected again in its surroundings by the best turn."""
        best, needed = face, face.score + (0.0 if abs(face.roll) > TILTED else BETTER)
        for quarters in (1, 2, 3):
            turned = self._nearest(pixels, face.box, quarters)
            if turned and turned.score > needed and _fits(turned, quarters):
                best, needed, self._quarters = turned, turned.score, quarters
        return best

    def _search_turned(self, pixels: Pixels, least: float) -> list[Detection]:
        """The faces that are found in the turned frame, if they score at least `least`."""
        turns = [self._quarters] if self._quarters else []
        if self._thorough:
            turns += [1, 3, 2]
        for quarters in turns:
            found = [
                face
                for face in self._detect_in(pixels, _whole(pixels), quarters)
                if face.score >= least and _fits(face, quarters)
            ]
            if found:
                self._quarters = quarters
                return found
        return []

    def _nearest(self, pixels: Pixels, place: Box, quarters: int = 0) -> Detection | None:
        """The face that overlaps a place most, detected in its surroundings."""
        seen = self._detect_in(pixels, surroundings(place, SURROUNDINGS), quarters)
        near = [face for face in seen if overlap(face.box, place) > 0]
        return max(near, key=lambda face: overlap(face.box, place), default=None)

    def _detect_in(self, pixels: Pixels, region: Box, quarters: int = 0) -> list[Detection]:
        """The faces that the detector finds in a region, turned by clockwise quarters."""
        found = detect_in(self._detector.detect, pixels, region, quarters)
        return [face for face in found if face.score >= self._least_score]

    def _largest(self, faces: list[Detection]) -> list[Detection]:
        return sorted(faces, key=lambda face: -face.box.width * face.box.height)[: self._most]


def detect_in(
    detect: Callable[[Pixels], list[Detection]], pixels: Pixels, region: Box, quarters: int = 0
) -> list[Detection]:
    """The faces that `detect` finds in a region of a picture, turned by clockwise quarters."""
    left, top = max(0, round(region.x)), max(0, round(region.y))
    right, bottom = round(region.x + region.width), round(region.y + region.height)
    piece = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
    if not piece.size:
        return []
    if quarters:
        piece = np.ascontiguousarray(np.rot90(piece, -quarters))
    height, width = piece.shape[:2]
    return [face.turned(-quarters, width, height).moved(left, top) for face in detect(piece)]


def surroundings(place: Box, sides: float) -> Box:
    """The square around a face, this many times as wide as its box."""
    return CropSpec(side=0, scale=sides).square(place)


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


def _is_upright(face: Detection) -> bool:
    """Whether a face is surely not on its side or its head."""
    return face.score >= SURE and abs(face.roll) <= TILTED


def _fits(face: Detection, quarters: int) -> bool:
    """Whether a face that was found in a turned picture was upright there, as far as trained."""
    return abs((face.roll + 90 * quarters + 180) % 360 - 180) <= TILTED


def may_be_moved(place: Box, box: Box) -> bool:
    """Whether a face that was at `place` may be the one in `box` now."""
    away = hypot(
        box.x + box.width / 2 - place.x - place.width / 2,
        box.y + box.height / 2 - place.y - place.height / 2,
    )
    return away < MOVED * max(place.width, box.width)


def joined(faces: list[Detection], more: list[Detection]) -> list[Detection]:
    """`faces` and those of `more` that are not among them."""
    joined = list(faces)
    for new in more:
        if not any(overlap(new.box, face.box) > SAME_FACE for face in joined):
            joined.append(new)
    return joined
