"""Finds the faces of a frame, knows them again, and cuts them out."""

from __future__ import annotations

from edge.finding import Box
from edge.scan.crops import Crop, CropSpec, cut
from edge.scan.faces import FaceDetector, load_detector
from edge.scan.follow import Follower, Sighting
from edge.scan.manifest import Manifest
from edge.scan.sampling import Frame
from edge.settings import FaceSettings


class Eyes:
    """A loaded detector, and what of its answers is followed and cut."""

    def __init__(self, settings: FaceSettings, manifest: Manifest) -> None:
        """Load the detector.

        Raises:
            TruelightError: its model or its library is not on this machine.
        """
        self._detector: FaceDetector = load_detector(settings.detector)
        self._least_score = settings.least_score
        self._most = settings.most
        rule = manifest.input.crop
        self._spec = CropSpec(manifest.input.side, rule.scale, rule.shift_x, rule.shift_y)

    def follower(self) -> Follower:
        """A fresh follower, for a clip of its own."""
        return Follower()

    def find(self, frame: Frame, follower: Follower) -> list[tuple[Sighting, Crop]]:
        """The faces in the next frame of a clip: whose they are, and their crops."""
        found = [
            detection
            for detection in self._detector.detect(frame.pixels)
            if detection.score >= self._least_score
        ]
        found.sort(key=lambda detection: _area(detection.box), reverse=True)
        return [
            (sighting, cut(frame.pixels, sighting.detection.box, self._spec))
            for sighting in follower.step(frame, found[: self._most])
        ]


def _area(box: Box) -> float:
    return box.width * box.height
