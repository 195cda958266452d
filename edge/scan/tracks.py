"""What is gathered of one face while the clip goes by, until it can be judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from statistics import median

from edge.finding import Box, Quality
from edge.scan.faces.crops import PORTRAIT, Crop, portrait
from edge.scan.faces.detector import Pixels
from edge.scan.verdict import TrackEvidence, WindowLogit


@dataclass
class Track:
    """One face followed through the clip: its sightings, in the order of time."""

    id: int
    times: list[float] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    qualities: list[Quality] = field(default_factory=list)
    portrait: Pixels | None = None
    """The face at its best, for people to see."""
    best: Pixels | None = None
    """What the network saw of it at that moment: uint8 [side, side, 3] RGB."""
    _merit: float = -1.0

    def add(self, time: float, box: Box, crop: Crop, pixels: Pixels) -> None:
        """Note that the face was found at `time` (seconds) in `pixels` (uint8 [h, w, 3] RGB)."""
        quality = crop.quality
        self.times.append(time)
        self.boxes.append(box)
        self.qualities.append(quality)
        # More pixels than a portrait shows make it no better.
        size = min(quality.face_px, PORTRAIT.side / PORTRAIT.scale)
        merit = size * sqrt(quality.sharpness)
        if merit > self._merit:
            self._merit, self.portrait, self.best = merit, portrait(pixels, box), crop.pixels

    def evidence(self, windows: list[WindowLogit], step: float) -> TrackEvidence:
        """Sum up; each sighting stands for `step` seconds."""
        return TrackEvidence(
            id=self.id,
            first_second=self.times[0],
            last_second=self.times[-1],
            frames=len(self.times),
            seen_seconds=len(self.times) * step,
            box=self.boxes[len(self.boxes) // 2],
            quality=Quality(
                face_px=median(quality.face_px for quality in self.qualities),
                light=median(quality.light for quality in self.qualities),
                sharpness=median(quality.sharpness for quality in self.qualities),
            ),
            windows=tuple(windows),
        )
