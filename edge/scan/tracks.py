"""What is gathered of one face while the clip goes by, until it can be judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from edge.finding import Box, Quality
from edge.scan.verdict import TrackEvidence, WindowLogit


@dataclass
class Track:
    """One face followed through the clip: its sightings, in the order of time."""

    id: int
    times: list[float] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    qualities: list[Quality] = field(default_factory=list)

    def add(self, time: float, box: Box, quality: Quality) -> None:
        """Note that the face was found at `time` (seconds)."""
        self.times.append(time)
        self.boxes.append(box)
        self.qualities.append(quality)

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
