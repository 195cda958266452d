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
from numpy.typing import NDArray

from edge.finding import Box
from edge.scan.faces.appearance import Appearance, SceneCuts
from edge.scan.faces.detector import Detection, overlap
from edge.scan.media.sampling import Frame

# Seconds after which the place says nothing any more.
MEMORY = 1.0

# How far from the expected place a face may be, in sizes of the face: at once, and more a second.
REACH = 0.6
REACH_A_SECOND = 3.0

# The most that an appearance may differ (see `Appearance.unlike`): where the face is expected or
# has stayed, and elsewhere. On clips of 34 sources a face differs from itself by 0.07 at the median
# 0.1 s later (at most 0.68), by 0.09 after a gap (97th percentile 0.52); other people by 1.2.
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
class TrackedFace:
    """A face of one frame and whose it is; tracks count from 1 in the order of first sight."""

    track: int
    detection: Detection


class Tracker:
    """Follows the faces of one clip; what it says depends on what it is given only."""

    def __init__(self) -> None:
        self._tracks: list[_TrackState] = []
        self._scene = SceneCuts()
        self._begun = 0

    def step(self, frame: Frame, detections: Sequence[Detection]) -> list[TrackedFace]:
        """Say whose the faces of the next frame are, in the order of `detections`."""
        if self._scene.changed(frame.pixels):
            for track in self._tracks:
                track.lose_place()
        boxes = [detection.box for detection in detections]
        looks = [Appearance.of(frame.pixels, box) for box in boxes]
        owners = self._owners(frame.time, boxes, looks)
        for face, look in enumerate(looks):
            owners[face] = self._older(owners[face], look, owners)
        for owner, box, look in zip(owners, boxes, looks, strict=True):
            # Where faces touch, a look may be of both: nothing to remember.
            alone = sum(overlap(box, other) > 0 for other in boxes) == 1
            owner.see(frame.time, box, look, alone)
        self._forget(owners)
        return [TrackedFace(owner.id, face) for owner, face in zip(owners, detections, strict=True)]

    def _owners(self, time: float, boxes: list[Box], looks: list[Appearance]) -> list[_TrackState]:
        """The track of each face, all decided at once; new ones for those without."""
        costs = np.array(
            [
                [track.cost(time, box, look) for track in self._tracks]
                for box, look in zip(boxes, looks, strict=True)
            ]
        ).reshape(len(boxes), len(self._tracks))
        known = {face: self._tracks[track] for face, track in assign(costs)}
        return [known.get(face) or self._begin() for face in range(len(boxes))]

    def _older(
        self, owner: _TrackState, look: Appearance, owners: list[_TrackState]
    ) -> _TrackState:
        """The track that `owner` really continues, if it is young and looks like a lost one."""
        lost = [track for track in self._tracks if track.id < owner.id and track not in owners]
        if not lost or owner.sightings > YOUNG:
            return owner
        older = min(lost, key=lambda track: track.unlike(look))
        if older.unlike(look) > STRICT:
            return owner
        self._tracks.remove(owner)
        return older

    def _begin(self) -> _TrackState:
        self._begun += 1
        track = _TrackState(self._begun)
        self._tracks.append(track)
        return track

    def _forget(self, seen: list[_TrackState]) -> None:
        for track in self._tracks:
            track.missed = 0 if track in seen else track.missed + 1
        lasting = [t for t in self._tracks if t.sightings > 1 or t.missed <= PASSING]
        lasting.sort(key=lambda track: track.missed)
        self._tracks = sorted(lasting[:REMEMBERED], key=lambda track: track.id)


@dataclass(eq=False)
class _TrackState:
    """What is remembered of one face."""

    id: int
    looks: list[Appearance] = field(default_factory=list)
    sightings: int = 0
    missed: int = 0  # frames since it was last seen
    _place: _Place | None = None

    def see(self, time: float, box: Box, look: Appearance, alone: bool) -> None:
        """Learn from a sighting; its look only if the face was `alone`, or is new."""
        self.sightings += 1
        moved = self._place is not None and time - self._place.time <= MEMORY
        self._place = self._place.then(time, box) if self._place and moved else _Place(time, box)
        if not self.looks or (alone and self.unlike(look) > NEW_LOOK):
            self.looks = [*self.looks, look][-LOOKS:]

    def lose_place(self) -> None:
        """The scene changed: where the face was says nothing of where it is."""
        self._place = None

    def cost(self, time: float, box: Box, look: Appearance) -> float:
        """What it costs, 0 to 1, to say that this is the face; infinite if it cannot be."""
        astray = 1.0 if self._place is None else self._place.astray(time, box)
        near = self._place is not None and overlap(self._place.box, box) > STAYED
        unlike = self.unlike(look)
        if unlike > (LOOSE if near or astray < 1 else STRICT):
            return inf
        return (astray + unlike / LOOSE) / 2

    def unlike(self, look: Appearance) -> float:
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


Floats = NDArray[np.float64]


def assign(costs: Floats) -> list[tuple[int, int]]:
    """Pair rows with columns, each at most once, at the least total cost; exact.

    `costs` is [rows, columns]; a pair that may not be is infinite, and to leave a row alone costs
    1. Returns (row, column) in the order of rows. The Hungarian method: each row is added in turn,
    along the cheapest chain of changes to the pairs before it.
    """
    rows, columns = costs.shape
    # A column of its own for each row, for staying alone.
    alone = np.where(np.eye(rows, dtype=bool), 1.0, np.inf)
    table = np.hstack([costs, alone])
    owner = np.full(table.shape[1], -1)
    row_price, column_price = np.zeros(rows), np.zeros(table.shape[1])
    for new in range(rows):
        _add(new, table, owner, row_price, column_price)
    pairs = [(int(row), column) for column, row in enumerate(owner[:columns]) if row >= 0]
    return sorted(pairs)


def _add(
    new: int, table: Floats, owner: NDArray[np.int64], row_price: Floats, column_price: Floats
) -> None:
    """Find a column for row `new`, moving earlier rows where that is cheaper."""
    distance = np.full(table.shape[1], np.inf)
    reached_from = np.full(table.shape[1], -1)
    done = np.zeros(table.shape[1], dtype=bool)
    row, column, travelled = new, -1, 0.0
    while True:
        through = travelled + table[row] - row_price[row] - column_price
        shorter = ~done & (through < distance)
        distance[shorter], reached_from[shorter] = through[shorter], column
        column = int(np.argmin(np.where(done, np.inf, distance)))
        travelled = float(distance[column])
        done[column] = True
        if owner[column] < 0:
            break
        row = int(owner[column])
    row_price[new] += travelled
    taken = done & (owner >= 0)
    row_price[owner[taken]] += travelled - distance[taken]
    column_price[done] -= travelled - distance[done]
    while column >= 0:
        before = int(reached_from[column])
        owner[column] = owner[before] if before >= 0 else new
        column = before
