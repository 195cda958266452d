"""MediaPipe's own library as a second detector, for those who want to compare.

An optional extra (`pip install truelight[mediapipe]`): its newest releases report usage to their
maker and lack this interface, the older ones need numpy below 2 and end at Python 3.12.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.errors import TruelightError
from edge.finding import Box
from edge.scan.faces.detector import Detection, Pixels

FULL_RANGE = 1
FULL_RANGE_SCORE = 0.6


class MediaPipeFaces:
    """Full-range face detection by the library's `solutions` interface."""

    name = "mediapipe"

    def __init__(self) -> None:
        try:
            import mediapipe

            solution = mediapipe.solutions.face_detection
        except (ImportError, AttributeError) as failure:
            raise TruelightError(
                f"The mediapipe detector cannot be loaded: {failure}.",
                "Run pip install 'truelight[mediapipe]' with Python 3.11 or 3.12, "
                "or set faces.detector to blazeface.",
            ) from failure
        self._detection: Any = solution.FaceDetection(
            model_selection=FULL_RANGE, min_detection_confidence=FULL_RANGE_SCORE
        )

    def detect(self, pixels: Pixels) -> list[Detection]:
        """Return the faces in `pixels` (uint8 [h, w, 3] RGB), best score first."""
        height, width = pixels.shape[:2]
        found = self._detection.process(np.ascontiguousarray(pixels)).detections or []
        faces = [_detection(one, width, height) for one in found]
        return sorted(faces, key=lambda face: -face.score)


def _detection(found: Any, width: int, height: int) -> Detection:  # noqa: ANN401 (theirs)
    place = found.location_data
    box = place.relative_bounding_box
    points = [(point.x * width, point.y * height) for point in place.relative_keypoints]
    return Detection(
        Box(
            x=box.xmin * width,
            y=box.ymin * height,
            width=box.width * width,
            height=box.height * height,
        ),
        float(found.score[0]),
        np.array(points, np.float32),
    )
