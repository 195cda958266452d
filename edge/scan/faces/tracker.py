"""The tracker: detections become tracks from frame to frame.

Two measures say that a face is a known one: its place, near where that face is expected, and its
appearance. Near in time and place the appearance may differ much (a turned head); after a gap, a
cut or far from the expected place it must agree closely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot, inf, log, sqrt

import cv2
import numpy as np

from edge.finding import Box
from edge.scan.faces.crops import resized
from edge.scan.faces.detector import Detection
from edge.scan.frames import CropSpec, Floats, Frame, Pixels, overlap

# Seconds after which a face's last place is not used any more.
MEMORY = 1.0

# How far from the expected place a face may be, in sizes of the face: at once, and more a second.
REACH = 0.6
REACH_A_SECOND = 3.0

# The largest difference of appearance: where the face is expected or has stayed, and elsewhere.
# On clips of 34 sources a face differs from itself by 0.07 at the median 0.1 s later (at most
# 0.68), by 0.09 after a gap (97th percentile 0.52); from other people by 1.2.
LOOSE = 0.8
STRICT = 0.5
STAYED = 0.3  # overlap of the boxes

# Appearances of a face are kept when they differ by at least this, the newest few.
NEW_APPEARANCE = 0.15
MOST_APPEARANCES = 6

# A face seen only once is forgotten after this many frames without it: detectors err.
PASSING = 8

# A face that comes out of hiding may look different at first and begin a track. A track of so few
# detections is given up when it turns out to be an older one.
YOUNG = 2

# Tracks that are remembered; beyond that, those not seen for longest are forgotten.
REMEMBERED = 32

# A face with hair and chin, and the sizes it is compared at: 12 x 12 for its pattern of light and
# shade, 4 x 4 for its colours. On clips of 34 sources this separates the same face 0.3 s later
# from another person's with AUC 0.999, more than 2 s later with 0.96.
APPEARANCE = CropSpec(side=48, scale=1.4)
SHADE_CELLS = 12
COLOUR_CELLS = 4
COLOUR_UNIT = 64.0  # this mean difference (Lab, 0 to 255) weighs as much as no correlation


@dataclass(frozen=True)
class Appearance:
    """What a face looks like: enough to tell apart the people of one clip, not to recognise them.

    Light and pose count as much as features.
    """

    shade: Floats  # [144], luma without mean, of length 1
    colour: Floats  # [48], Lab 0 to 255

    @classmethod
    def of(cls, pixels: Pixels, box: Box) -> Appearance:
        """The appearance of the face in `box` of `pixels` (uint8 `[h, w, 3]` RGB)."""
        face = resized(pixels, APPEARANCE.square(box), APPEARANCE.side)
        lab = np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2LAB), np.float32)
        shade = _shrunk(lab[..., 0], SHADE_CELLS)
        shade -= shade.mean()
        shade /= max(float(np.linalg.norm(shade)), 1e-6)
        return cls(shade, _shrunk(lab, COLOUR_CELLS))

    def difference(self, other: Appearance) -> float:
        """0 if equal, about 0.1 for the same face later, about 1.2 for another person."""
        shade = 1 - float(self.shade @ other.shade)
        return shade + float(np.abs(self.colour - other.colour).mean()) / COLOUR_UNIT


def _shrunk(planes: Floats, cells: int) -> Floats:
    small = cv2.resize(planes, (cells, cells), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).ravel()


class SceneCuts:
    """Detects cuts: whether a frame shows another scene than the one before."""

    # Mean difference of thumbnails of the whole frame (0 to 255).
    LIMIT = 22.0
    SIDE = 16

    def __init__(self) -> None:
        self._before: Floats | None = None

    def is_cut(self, pixels: Pixels) -> bool:
        """Take the next frame (uint8 `[h, w, 3]` RGB); True if it differs much from the last."""
        # A sample of the pixels suffices, and the cost does not grow with the resolution.
        sample = cv2.resize(pixels, (self.SIDE * 8,) * 2, interpolation=cv2.INTER_NEAREST)
        small = cv2.resize(sample, (self.SIDE,) * 2, interpolation=cv2.INTER_AREA)
        now, before = np.asarray(small, np.float32), self._before
        self._before = now
        return before is not None and float(np.abs(now - before).mean()) > self.LIMIT


@dataclass(frozen=True)
class TrackedFace:
    """A face of one frame and its track; tracks are numbered from 1 as they appear."""

    track: int
    detection: Detection


class Tracker:
    """Tracks the faces of one clip; the result depends on its input only."""

    def __init__(self, last_id: int = 0) -> None:
        """Tracks are numbered from behind `last_id` on."""
        self._tracks: list[_KnownFace] = []
        self._cuts = SceneCuts()
        self._begun = last_id
        self._last: set[int] = set()
        self.changed = False
        """Whether the last frame's tracks are not those of the frame before."""

    def step(self, frame: Frame, detections: Sequence[Detection]) -> list[TrackedFace]:
        """The tracks of the next frame's faces, in the order of `detections`."""
        if self._cuts.is_cut(frame.pixels):
            for track in self._tracks:
                track.place = None
        boxes = [detection.box for detection in detections]
        appearances = [Appearance.of(frame.pixels, box) for box in boxes]
        owners = self._owners(frame.time, boxes, appearances)
        for face, appearance in enumerate(appearances):
            owners[face] = self._older(owners[face], appearance, owners)
        for owner, box, appearance in zip(owners, boxes, appearances, strict=True):
            # Where faces touch, an appearance may be of both: not worth remembering.
            alone = sum(overlap(box, other) > 0 for other in boxes) == 1
            owner.update(frame.time, box, appearance, alone)
        self._forget(owners)
        now = {owner.id for owner in owners}
        self.changed, self._last = now != self._last, now
        return [TrackedFace(owner.id, face) for owner, face in zip(owners, detections, strict=True)]

    def _owners(
        self, time: float, boxes: list[Box], appearances: list[Appearance]
    ) -> list[_KnownFace]:
        """The track of each face, the cheapest pairs first; new ones for the rest."""
        costs = {
            (face, track): self._tracks[track].cost(time, boxes[face], appearances[face])
            for face in range(len(boxes))
            for track in range(len(self._tracks))
        }
        owners: dict[int, _KnownFace] = {}
        for face, track in sorted(costs, key=lambda pair: costs[pair]):
            known = self._tracks[track]
            if costs[face, track] < inf and face not in owners and known not in owners.values():
                owners[face] = known
        return [owners.get(face) or self._begin() for face in range(len(boxes))]

    def _older(
        self, owner: _KnownFace, appearance: Appearance, owners: list[_KnownFace]
    ) -> _KnownFace:
        """The track that `owner` really continues, if it is young and looks like a lost one."""
        lost = [track for track in self._tracks if track.id < owner.id and track not in owners]
        if not lost or owner.detections > YOUNG:
            return owner
        older = min(lost, key=lambda track: track.difference(appearance))
        if older.difference(appearance) > STRICT:
            return owner
        self._tracks.remove(owner)
        return older

    def _begin(self) -> _KnownFace:
        self._begun += 1
        track = _KnownFace(self._begun)
        self._tracks.append(track)
        return track

    def _forget(self, seen: list[_KnownFace]) -> None:
        for track in self._tracks:
            track.missed = 0 if track in seen else track.missed + 1
        lasting = [t for t in self._tracks if t.detections > 1 or t.missed <= PASSING]
        lasting.sort(key=lambda track: track.missed)
        self._tracks = sorted(lasting[:REMEMBERED], key=lambda track: track.id)


@dataclass(eq=False)
class _KnownFace:
    """What the tracker remembers of one face."""

    id: int
    appearances: list[Appearance] = field(default_factory=list)
    detections: int = 0
    missed: int = 0  # frames since it was last seen
    place: _Place | None = None

    def update(self, time: float, box: Box, appearance: Appearance, alone: bool) -> None:
        """Learn from a detection; its appearance only if the face was `alone`, or is new."""
        self.detections += 1
        recent = self.place is not None and time - self.place.time <= MEMORY
        self.place = self.place.then(time, box) if self.place and recent else _Place(time, box)
        if not self.appearances or (alone and self.difference(appearance) > NEW_APPEARANCE):
            self.appearances = [*self.appearances, appearance][-MOST_APPEARANCES:]

    def cost(self, time: float, box: Box, appearance: Appearance) -> float:
        """The cost, 0 to 1, of assigning a detection to this face; infinite if it cannot be."""
        distance = 1.0 if self.place is None else self.place.distance(time, box)
        near = self.place is not None and overlap(self.place.box, box) > STAYED
        difference = self.difference(appearance)
        if difference > (LOOSE if near or distance < 1 else STRICT):
            return inf
        return (distance + difference / LOOSE) / 2

    def difference(self, appearance: Appearance) -> float:
        """How far `appearance` is from the most similar known appearance of this face."""
        return min((appearance.difference(known) for known in self.appearances), default=inf)


@dataclass(frozen=True)
class _Place:
    """Where a face was, and its speed in pixels a second."""

    time: float
    box: Box
    speed: tuple[float, float] = (0.0, 0.0)

    def then(self, time: float, box: Box) -> _Place:
        """The next place; the speed is the mean of the old and the new one."""
        passed = max(time - self.time, 1e-3)
        (x, y), (was_x, was_y) = _centre(box), _centre(self.box)
        now = ((x - was_x) / passed, (y - was_y) / passed)
        return _Place(time, box, ((self.speed[0] + now[0]) / 2, (self.speed[1] + now[1]) / 2))

    def distance(self, time: float, box: Box) -> float:
        """How far `box` is from the expected place: 0 there, 1 out of reach."""
        passed = time - self.time
        if passed > MEMORY:
            return 1.0
        (x, y), (was_x, was_y) = _centre(box), _centre(self.box)
        away = hypot(x - was_x - self.speed[0] * passed, y - was_y - self.speed[1] * passed)
        size, was_size = box.width, self.box.width
        change = hypot(away / sqrt(size * was_size), log(size / was_size))
        return min(1.0, change / (REACH + REACH_A_SECOND * passed))


def _centre(box: Box) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + box.height / 2
