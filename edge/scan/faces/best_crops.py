"""The few crops of each face that tell most, kept while the clip goes by.

Nobody knows beforehand for how long a face will be seen. So its sightings are laid into stretches
of equal length, of each of which the best crop is kept; when there are twice as many stretches as
crops are wanted, neighbours become one and all later ones are twice as long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt
from typing import Final

from edge.finding import Box, Quality
from edge.scan.faces.crops import CropSpec, resized
from edge.scan.faces.detector import Pixels

MOST_KEPT: Final = 192
"""Crops of all faces of a clip: 29 MB at 224 px."""


@dataclass(frozen=True)
class _Kept:
    """The best crop of a stretch."""

    merit: float
    pixels: Pixels


@dataclass
class _Face:
    """What is kept of one face: the best of each stretch, in the order of time."""

    seen: int = 0
    """Sightings since it was first kept."""
    length: int = 1
    """Sightings in a stretch."""
    best: list[_Kept] = field(default_factory=list)

    def offer(self, merit: float, crop: Callable[[], Pixels], most: int) -> None:
        """Keep the next sighting's crop if it is its stretch's best; else it is not even cut."""
        stretch, self.seen = self.seen // self.length, self.seen + 1
        if stretch == len(self.best):
            self.best.append(_Kept(merit, crop()))
        elif merit > self.best[stretch].merit:
            self.best[stretch] = _Kept(merit, crop())
        if len(self.best) == 2 * most and self.seen == self.length * 2 * most:
            self.best = _merged(self.best, most)
            self.length *= 2


class BestCrops:
    """The most telling crops of one clip's faces."""

    def __init__(self, spec: CropSpec, crops: int) -> None:
        """Keep up to `crops` of each face, cut as `spec` says."""
        self._spec = spec
        self._most = crops
        self._faces: dict[int, _Face] = {}

    def add(self, track: int, pixels: Pixels, box: Box, quality: Quality) -> None:
        """Take a sighting: the face in `box` of a frame (uint8 `[h, w, 3]` RGB), and how good."""
        face = self._faces.setdefault(track, _Face())
        merit = _merit(quality, self._spec)
        square, side = self._spec.square(box), self._spec.side
        face.offer(merit, lambda: resized(pixels, square, side), self._most)
        if sum(len(each.best) for each in self._faces.values()) > MOST_KEPT:
            # Whoever was seen least is least likely to count.
            del self._faces[min(self._faces, key=lambda each: self._faces[each].seen)]

    def crops(self, track: int) -> list[Pixels]:
        """A face's crops, uint8 `[side, side, 3]` RGB, in the order of time; none if none are kept.

        As many as are wanted, or all that were seen if those are fewer.
        """
        face = self._faces.get(track, _Face())
        return [kept.pixels for kept in _merged(face.best, self._most)]


def _merged(best: list[_Kept], most: int) -> list[_Kept]:
    """The best of each of `most` groups of neighbours that are as equal as can be."""
    count = min(most, len(best))
    edges = [len(best) * group // max(count, 1) for group in range(count + 1)]
    groups = (best[start:end] for start, end in pairwise(edges))
    return [max(group, key=lambda kept: kept.merit) for group in groups]


def _merit(quality: Quality, spec: CropSpec) -> float:
    """How telling a sighting is; more pixels than the crop shows make it no better."""
    return min(quality.face_px, spec.side / spec.scale) * sqrt(quality.sharpness)
