"""Which face detector, by the settings."""

from __future__ import annotations

from edge.errors import TruelightError
from edge.scan.faces import DetectorKind, FaceDetector


def load_detector(kind: DetectorKind = "blazeface") -> FaceDetector:
    """Load the detector that the settings name.

    Raises `TruelightError` when its model files or its library are missing or altered.
    """
    if kind == "mediapipe":
        from edge.scan.mediapipe_faces import MediaPipeFaces

        return MediaPipeFaces()
    if kind == "blazeface":
        from edge.scan.blazeface import BlazeFace

        return BlazeFace()
    raise TruelightError(
        f"There is no face detector named {kind!r}.",
        "Set faces.detector to blazeface or mediapipe.",
    )
