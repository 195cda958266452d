"""Who is who from frame to frame: detections become tracks.

Two things say that a face is one seen before: it is where that one should be by now, and it looks
like it. Near in time and place the look may differ much (a turned head); after a gap, a cut or
far from the expected place it must agree closely. All faces of a frame are decided at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot, inf, log, sqrt

import numpy as np

from edge.finding import Box
from edge.scan.assignment import assign
from edge.scan.faces import Detection, overlap
from edge.scan.likeness import Look, Scene
from edge.scan.sampling import Frame

# Seconds after which the place says nothing any more.
MEMORY = 1.0

# How far from the expected place a face may be, in sizes of the face: at once, and more a second.
REACH = 0.6
REACH_A_SECOND = 3.0

# The most that a look may differ (see `Look.unlike`): where the face is expected or has stayed, and
# elsewhere. On clips of 34 sources a face differs from its own looks by 0.07 at the median 0.1 s
# later (at most 0.68), by 0.09 after a gap (0.52 at the 97th percentile); other people by 1.2.
LOOSE = 0.8
STRICT = 0.5
STAYED = 0.3  # overlap of the boxes

# Looks of a face are kept when they differ by at least this, the newest few.
NEW_LOOK = 0.15
LOOKS = 6

# A face seen only once is forgotten after this many frames without it; a detector errs.
PASSING = 8

# A face that comes out of hiding may look strange at first and begin a track. A track of so few
# sightings is given up when it turns out to be an older one.
YOUNG = 2

# So many are remembered; beyond that, those who were not seen for longest are forgotten.
REMEMBERED = 32


@dataclass(frozen=True)
class Sighting:
    """A face of one frame and whose it is; tracks count from 1 in the order of first sight."""

    track: int
    detection: Detection


class Follower:
    """Follows the faces of one clip; what it says depends on what it is given only."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._scene = Scene()
        self._begun = 0

    def step(self, frame: Frame, detections: Sequence[Detection]) -> list[Sighting]:
        """Say whose the faces of the next frame are, in the order of `detections`."""
        if self._scene.changed(frame.pixels):
            for track in self._tracks:
                track.lose_place()
        boxes = [detection.box for detection in detections]
        looks = [Look.of(frame.pixels, box) for box in boxes]
        owners = self._owners(frame.time, boxes, looks)
        for face, look in enumerate(looks):
            owners[face] = self._older(owners[face], look, owners)
        for owner, box, look in zip(owners, boxes, looks, strict=True):
            # Where faces touch, a look may be of both: nothing to remember.
            alone = sum(overlap(box, other) > 0 for other in boxes) == 1
            owner.see(frame.time, box, look, alone)
        self._forget(owners)
        return [Sighting(owner.id, face) for owner, face in zip(owners, detections, strict=True)]

    def _owners(self, time: float, boxes: list[Box], looks: list[Look]) -> list[_Track]:
        """The track of each face, all decided at once; new ones for those without."""
        costs = np.array(
            [
                [track.cost(time, box, look) for track in self._tracks]
                for box, look in zip(boxes, looks, strict=True)
            ]
        ).reshape(len(boxes), len(self._tracks))
        known = {face: self._tracks[track] for face, track in assign(costs)}
        return [known.get(face) or self._begin() for face in range(len(boxes))]

    def _older(self, owner: _Track, look: Look, owners: list[_Track]) -> _Track:
        """The track that `owner` really continues, if it is young and looks like a lost one."""
        lost = [track for track in self._tracks if track.id < owner.id and track not in owners]
        if not lost or owner.sightings > YOUNG:
            return owner
        older = min(lost, key=lambda track: track.unlike(look))
        if older.unlike(look) > STRICT:
            return owner
        self._tracks.remove(owner)
        return older

    def _begin(self) -> _Track:
        self._begun += 1
        track = _Track(self._begun)
        self._tracks.append(track)
        return track

    def _forget(self, seen: list[_Track]) -> None:
        for track in self._tracks:
            track.missed = 0 if track in seen else track.missed + 1
        lasting = [t for t in self._tracks if t.sightings > 1 or t.missed <= PASSING]
        lasting.sort(key=lambda track: track.missed)
        self._tracks = sorted(lasting[:REMEMBERED], key=lambda track: track.id)


@dataclass(eq=False)
class _Track:
    """What is remembered of one face."""

    id: int
    looks: list[Look] = field(default_factory=list)
    sightings: int = 0
    missed: int = 0  # frames since it was last seen
    _place: _Place | None = None

    def see(self, time: float, box: Box, look: Look, alone: bool) -> None:
        """Learn from a sighting; its look only if the face was `alone`, or is new."""
        self.sightings += 1
        moved = self._place is not None and time - self._place.time <= MEMORY
        self._place = self._place.then(time, box) if self._place and moved else _Place(time, box)
        if not self.looks or (alone and self.unlike(look) > NEW_LOOK):
            self.looks = [*self.looks, look][-LOOKS:]

    def lose_place(self) -> None:
        """The scene changed: where the face was says nothing of where it is."""
        self._place = None

    def cost(self, time: float, box: Box, look: Look) -> float:
        """What it costs, 0 to 1, to say that this is the face; infinite if it cannot be."""
        astray = 1.0 if self._place is None else self._place.astray(time, box)
        near = self._place is not None and overlap(self._place.box, box) > STAYED
        unlike = self.unlike(look)
        if unlike > (LOOSE if near or astray < 1 else STRICT):
            return inf
        return (astray + unlike / LOOSE) / 2

    def unlike(self, look: Look) -> float:
        """How far `look` is from the nearest one that is known of this face."""
        return min((look.unlike(known) for known in self.looks), default=inf)


@dataclass(frozen=True)
class _Place:
    """Where a face was, and how it moved: pixels a second."""

    time: float
    box: Box
    speed: tuple[float, float] = (0.0, 0.0)

    def then(self, time: float, box: Box) -> _Place:
        """The next place; the speed is the mean of the old and the new one."""
        passed = max(time - self.time, 1e-3)
        (x, y), (was_x, was_y) = _centre(box), _centre(self.box)
        now = ((x - was_x) / passed, (y - was_y) / passed)
        return _Place(time, box, ((self.speed[0] + now[0]) / 2, (self.speed[1] + now[1]) / 2))

    def astray(self, time: float, box: Box) -> float:
        """How far `box` is from where the face should be: 0 there, 1 out of reach."""
        passed = time - self.time
        if passed > MEMORY:
            return 1.0
        (x, y), (was_x, was_y) = _centre(box), _centre(self.box)
        away = hypot(x - was_x - self.speed[0] * passed, y - was_y - self.speed[1] * passed)
        size, was_size = box.width, self.box.width
        distance = hypot(away / sqrt(size * was_size), log(size / was_size))
        return min(1.0, distance / (REACH + REACH_A_SECOND * passed))


def _centre(box: Box) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + box.height / 2
