"""Finds the faces of a clip's frames, knows them again, and cuts them out."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.scan.crops import Crop, CropSpec, cut
from edge.scan.detectors import load_detector
from edge.scan.faces import FaceDetector
from edge.scan.follow import Follower, Sighting
from edge.scan.manifest import Manifest
from edge.scan.sampling import Frame
from edge.scan.search import FaceSearch
from edge.sections import FaceSettings


class Eyes:
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

    def gaze(self) -> Gaze:
        """A look at one clip, from its first frame on."""
        settings = self._settings
        return Gaze(FaceSearch(self._detector, settings.most, settings.least_score), self._spec)


@dataclass
class Gaze:
    """What looks at one clip and remembers its faces."""

    _search: FaceSearch
    _spec: CropSpec
    _follower: Follower = field(default_factory=Follower)

    def find(self, frame: Frame) -> list[tuple[Sighting, Crop]]:
        """The faces in the clip's next frame: whose they are, and their crops."""
        sightings = self._follower.step(frame, self._search.look(frame))
        return [
            (sighting, cut(frame.pixels, sighting.detection.box, self._spec))
            for sighting in sightings
        ]
