"""MediaPipe's own library as a second detector, for comparison. Not installed by default.

Releases up to 0.10.21 have the `solutions` interface and bring its models. Later ones have only
`tasks`, which needs a model file (`truelight models fetch`); since 1.0 it reports usage metrics to
Google, with no switch to disable that (see docs/dependencies.md).
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edge.errors import TruelightError
from edge.finding import Box
from edge.scan.faces.detector import TASKS_MODEL, Detection, read_model
from edge.scan.frames import Pixels

FULL_RANGE = 1
FULL_RANGE_SCORE = 0.6

Found = tuple[float, float, float, float, float, Any]
"""x, y, width, height in pixels, score, and keypoints with x and y in fractions of the picture."""


class MediaPipeFaces:
    """Full-range face detection by whichever interface the installed library has."""

    def __init__(self) -> None:
        try:
            import mediapipe

            open_ = _open_solutions if hasattr(mediapipe, "solutions") else _open_tasks
            self._find = open_(mediapipe)
        except (ImportError, AttributeError) as failure:
            raise TruelightError(
                f"The mediapipe detector cannot be loaded: {failure}.",
                "Run .venv/bin/pip install -e '.[mediapipe]', or set faces.detector to blazeface.",
            ) from failure

    def detect(self, pixels: Pixels) -> list[Detection]:
        """The faces in `pixels` (uint8 `[h, w, 3]` RGB), best score first."""
        height, width = pixels.shape[:2]
        faces = []
        for x, y, wide, high, score, keypoints in self._find(np.ascontiguousarray(pixels)):
            points = [(point.x * width, point.y * height) for point in keypoints]
            box = Box(x=x, y=y, width=wide, height=high)
            faces.append(Detection(box, float(score), np.array(points, np.float32)))
        return sorted(faces, key=lambda face: -face.score)

    def detect_close(self, pixels: Pixels) -> list[Detection]:
        """As `detect`: this library has no quicker one."""
        return self.detect(pixels)


def _open_solutions(mediapipe: Any) -> Callable[[Pixels], Iterator[Found]]:  # noqa: ANN401
    detector = mediapipe.solutions.face_detection.FaceDetection(
        model_selection=FULL_RANGE, min_detection_confidence=FULL_RANGE_SCORE
    )

    def find(pixels: Pixels) -> Iterator[Found]:
        height, width = pixels.shape[:2]
        for found in detector.process(pixels).detections or []:
            place = found.location_data
            box = place.relative_bounding_box
            corner = (box.xmin * width, box.ymin * height)
            size = (box.width * width, box.height * height)
            yield (*corner, *size, found.score[0], place.relative_keypoints)

    return find


def _open_tasks(mediapipe: Any) -> Callable[[Pixels], Iterator[Found]]:  # noqa: ANN401
    tasks = mediapipe.tasks
    detector = tasks.vision.FaceDetector.create_from_options(
        tasks.vision.FaceDetectorOptions(
            base_options=tasks.BaseOptions(model_asset_buffer=read_model(TASKS_MODEL)),
            min_detection_confidence=FULL_RANGE_SCORE,
        )
    )
    atexit.register(detector.close)  # its own destructor fails once Python shuts down

    def find(pixels: Pixels) -> Iterator[Found]:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        for found in detector.detect(image).detections:
            box, score = found.bounding_box, found.categories[0].score
            yield (box.origin_x, box.origin_y, box.width, box.height, score, found.keypoints)

    return find
