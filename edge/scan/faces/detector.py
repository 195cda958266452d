"""Where the faces are in one frame: the interface, and the choice between two detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from edge.finding import Box

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]
DetectorKind = Literal["blazeface", "mediapipe"]


@dataclass(frozen=True)
class Detection:
    """One face in one frame.

    `box` is in pixels of the frame and may reach over its edge; `score` is 0 to 1; `keypoints`
    is float32 [6, 2] in pixels: right eye, left eye, nose tip, mouth, right ear, left ear (the
    person's right, which is on the left of the picture).
    """

    box: Box
    score: float
    keypoints: Points

    def moved(self, x: float, y: float) -> Detection:
        """Return the same face in a picture whose origin lies at (-x, -y) of this one, pixels."""
        box = self.box.model_copy(update={"x": self.box.x + x, "y": self.box.y + y})
        return Detection(box, self.score, self.keypoints + np.array([x, y], np.float32))


class FaceDetector(Protocol):
    """Finds faces in one picture; keeps nothing from one picture to the next."""

    @property
    def name(self) -> str:
        """What the finding and the doctor call it."""
        ...

    def detect(self, pixels: Pixels) -> list[Detection]:
        """Return the faces in `pixels` (uint8 [h, w, 3] RGB, upright), best score first."""
        ...


def overlap(one: Box, other: Box) -> float:
    """Return the intersection of two boxes over their union, 0 to 1."""
    wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / (one.width * one.height + other.width * other.height - both)


def load_detector(kind: DetectorKind = "blazeface") -> FaceDetector:
    """Load the detector that the settings name.

    Raises `TruelightError` when its model files or its library are missing or altered.
    """
    if kind == "mediapipe":
        from edge.scan.faces.mediapipe import MediaPipeFaces

        return MediaPipeFaces()
    if kind == "blazeface":
        from edge.scan.faces.blazeface import BlazeFace

        return BlazeFace()
    raise TruelightError(
        f"There is no face detector named {kind!r}.",
        "Set faces.detector to blazeface or mediapipe.",
    )
