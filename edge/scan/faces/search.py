"""Finds the faces of a whole clip: a detector sees small faces only from close by.

The detector is shown the whole frame every time. At the start of a window, and now and then, it is
also shown the frame part by part, for faces too small in the whole. Where a face is small, or was
a moment ago, it is shown the surroundings: that finds it again and tells its box more exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, hypot

from edge.finding import Box
from edge.scan.faces.crops import Crop, CropSpec, cut
from edge.scan.faces.detector import Detection, FaceDetector, Pixels, load_detector, overlap
from edge.scan.faces.tracker import TrackedFace, Tracker
from edge.scan.media.sampling import Frame
from edge.scan.model.manifest import Manifest
from edge.settings_schema import FaceSettings

# Boxes of faces smaller than this part of the picture are rough: such faces are seen from close by.
SMALL = 1 / 8

# What "close by" is: this many times the box.
SURROUNDINGS = 4.0

# The side of a part in pixels, so that faces from about a sixteenth of it (67 px) on are found;
# larger where the frame would fall into too many. Neighbours share a fifth.
PART = 1080
MOST_ACROSS = 3
SHARED = 0.2

# Frames between two searches by parts; a window's first frame always has one.
BETWEEN = 8

# Frames for which a face that is no longer found is looked for where it was.
PATIENCE = 5

# A face this many boxes away from where one was is that one, moved on.
MOVED = 1.5

# From this overlap on, two boxes are of one face.
SAME_FACE = 0.3


class FaceSearch:
    """Searches the frames of one clip; what it finds depends on that clip's frames only."""

    def __init__(self, detector: FaceDetector, most: int = 8, least_score: float = 0.0) -> None:
        """Search for the `most` largest faces of a frame that score at least `least_score`."""
        self._detector = detector
        self._most = most
        self._least_score = least_score
        self._known: list[tuple[Box, int]] = []  # a face's last place, and for how long not found
        self._window = -1
        self._since = 0

    def look(self, frame: Frame) -> list[Detection]:
        """Return the faces of the clip's next frame, the largest first."""
        pixels = frame.pixels
        if frame.window != self._window:
            self._known, self._since = [], 0
        found = self._seen(pixels, _whole(pixels))
        if self._since % BETWEEN == 0:
            for part in _parts(pixels):
                found = _joined(found, self._seen(pixels, part))
        found = self._close_by(pixels, self._largest(found))
        self._remember(found)
        self._window, self._since = frame.window, self._since + 1
        return self._largest(found)

    def _close_by(self, pixels: Pixels, found: list[Detection]) -> list[Detection]:
        """Look again at small faces, and for those that were there a moment ago."""
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
        """The face nearest to a place, seen from close by."""
        side = SURROUNDINGS * max(place.width, place.height)
        x, y = place.x + (place.width - side) / 2, place.y + (place.height - side) / 2
        seen = self._seen(pixels, Box(x=x, y=y, width=side, height=side))
        near = [face for face in seen if overlap(face.box, place) > 0]
        return max(near, key=lambda face: overlap(face.box, place), default=None)

    def _seen(self, pixels: Pixels, region: Box) -> list[Detection]:
        """What the detector finds in a region of the frame."""
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
    """Squares that cover the frame; none if they would not be much smaller than it."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    side = min(height, width, max(PART, longest / MOST_ACROSS))
    if side > longest * (1 - SHARED):
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
    """Return `faces` and those of `more` that are not among them."""
    joined = list(faces)
    for new in more:
        if not any(overlap(new.box, face.box) > SAME_FACE for face in joined):
            joined.append(new)
    return joined


class FacePipeline:
    """A loaded detector and the bundle's way of cropping: all that outlasts a clip."""

    def __init__(self, settings: FaceSettings, manifest: Manifest) -> None:
        """Load the detector.

        Raises:
            TruelightError: its model or its library is not on this machine.
        """
        self._detector: FaceDetector = load_detector(settings.detector)
        self._settings = settings
        rule = manifest.input.crop
        self._spec = CropSpec(manifest.input.side, rule.scale, rule.shift_x, rule.shift_y)

    def gaze(self) -> ClipFaces:
        """A look at one clip, from its first frame on."""
        settings = self._settings
        return ClipFaces(
            FaceSearch(self._detector, settings.most, settings.least_score), self._spec
        )


@dataclass
class ClipFaces:
    """What looks at one clip and remembers its faces."""

    _search: FaceSearch
    _spec: CropSpec
    _follower: Tracker = field(default_factory=Tracker)

    def find(self, frame: Frame) -> list[tuple[TrackedFace, Crop]]:
        """The faces in the clip's next frame: whose they are, and their crops."""
        sightings = self._follower.step(frame, self._search.look(frame))
        return [
            (sighting, cut(frame.pixels, sighting.detection.box, self._spec))
            for sighting in sightings
        ]
