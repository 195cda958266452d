"""A bundle: an exported model in a folder, loaded, verified and asked.

Nothing of a bundle is used before every file has the hash that `bundle.json` gives and both graphs
have answered the golden vector right: what was damaged, swapped or runs wrongly on this machine is
refused by the name of the file.
"""

from __future__ import annotations

import hashlib
import io
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edge.errors import TruelightError
from edge.scan.model.manifest import (
    FEATURES,
    FIGURES,
    GOLDEN,
    MANIFEST,
    SEQUENCE,
    TOWER,
    FigureFile,
    Manifest,
)

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from edge.scan.faces.crops import CropSpec

REMEDY = "Export it again with truelight-export, or name another with --bundle."
BATCH = 8
TOWER_BATCH = 4  # a tower takes 25 MB a crop
LARGEST = 1 << 30
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"

Floats = NDArray[np.float32]
Crops = NDArray[np.uint8]
Parsed = TypeVar("Parsed", Manifest, FigureFile)


class BundleError(TruelightError):
    """A bundle that cannot be used; the message names the file that differs."""


class Bundle:
    """A verified model. Made by `load_bundle`; may be asked from several threads."""

    def __init__(self, path: Path, manifest: Manifest, sha256: str, graphs: Sessions) -> None:
        self.path = path
        self.manifest = manifest
        self.sha256 = sha256
        self._graphs = graphs

    @cached_property
    def crop(self) -> CropSpec:
        """How to cut what `features` wants."""
        from edge.scan.faces.crops import CropSpec

        rule = self.manifest.input.crop
        return CropSpec(self.manifest.input.side, rule.scale, rule.shift_x, rule.shift_y)

    @property
    def window_frames(self) -> int:
        """Crops in a window."""
        return self.manifest.window.frames

    @property
    def window_rate(self) -> float:
        """Frames a second within a window."""
        return self.manifest.window.rate

    def features(self, crops: Crops) -> Floats:
        """uint8 `[n, side, side, 3]` RGB -> float32 `[n, D]`, of our networks `[n, 2048]`."""
        return self._graphs.features(crops)

    def maps(self, crops: Crops) -> Floats:
        """uint8 `[n, side, side, 3]` RGB -> the last feature maps, float32 `[n, D, h, w]`.

        A tower has none.
        """
        return self._graphs.features(crops, "map")

    def sequence(self, features: Floats) -> Floats:
        """float32 `[n, T, D]` -> float32 `[n]`, the windows' logits of FAKE."""
        return self._graphs.sequence(features)


class Sessions:
    """The two ONNX graphs in ONNX Runtime sessions, without any check.

    `threads` 0 leaves their number to ONNX Runtime: one a core. `beside` is the folder of the file
    that holds the weights of a features graph which has them outside.
    """

    def __init__(
        self,
        features: bytes | str,
        sequence: bytes | str,
        threads: int = 0,
        beside: Path | None = None,
    ) -> None:
        self._features = open_graph(features, threads, FEATURES, beside)
        self._sequence = open_graph(sequence, 1, SEQUENCE)
        self._batch = BATCH if beside is None else TOWER_BATCH
        # Two callers at once would share the threads and double the working memory for no gain.
        self._turn = threading.Lock()

    def features(self, crops: Crops, output: str = "features") -> Floats:
        """Ask the features graph for `output`, a few crops at a time."""
        starts = range(0, max(len(crops), 1), self._batch)
        parts = [crops[at : at + self._batch] for at in starts]
        with self._turn:
            answers = [self._features.run([output], {"crops": part})[0] for part in parts]
        return np.concatenate(answers)

    def sequence(self, features: Floats) -> Floats:
        """Ask the sequence graph."""
        answer: Floats = self._sequence.run(["logits"], {"features": features})[0]
        return answer


def open_graph(
    model: bytes | str, threads: int, file: str, beside: Path | None = None
) -> InferenceSession:
    """A session that runs a graph as the box does; `file` is what errors call it.

    Raises:
        BundleError: ONNX Runtime cannot run it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # No slower, and memory goes back when a batch is done.
    options.enable_cpu_mem_arena = False
    # Waiting threads would burn the core that decodes the next frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if beside is not None:
        options.add_session_config_entry(WEIGHTS_FOLDER, str(beside))
    try:
        return onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )  # fmt: skip
    except Exception as failure:  # its errors share no base but Exception
        raise BundleError(
            f"{file} is no graph that ONNX Runtime can run: {failure}", REMEDY
        ) from None


def load_bundle(path: Path, threads: int = 0) -> Bundle:
    """Load the bundle in the folder `path`; its features graph runs on `threads` (0: all cores).

    Raises:
        BundleError: a file is missing, is not the one that was exported, or answers otherwise.
    """
    manifest, sha256 = read_manifest(path)
    if absent := _absent(path, manifest):
        raise absent
    hashes = dict(manifest.files)
    tower = hashes.pop(TOWER, None)
    files = {name: _verified(path / name, hash_) for name, hash_ in hashes.items()}
    if tower is not None:
        _verify_large(path / TOWER, tower)
    beside = None if tower is None else path.resolve()
    graphs = Sessions(files[FEATURES], files[SEQUENCE], threads, beside)
    check_golden(graphs, files[GOLDEN], path)
    return Bundle(path, manifest, sha256, graphs)


def read_manifest(path: Path) -> tuple[Manifest, str]:
    """Read `bundle.json` in the folder `path`: what it says, and its SHA-256.

    Raises:
        BundleError: there is none, or it says something that is not allowed.
    """
    if not path.is_dir():
        raise BundleError(f"There is no bundle at {path}.", REMEDY)
    text = _read(path / MANIFEST)
    return _parsed(Manifest, path / MANIFEST, text), hashlib.sha256(text).hexdigest()


def manifest_with_figures(path: Path) -> Manifest:
    """As `read_manifest`, with the figures of a bundle of format 2.

    Raises:
        BundleError: as `read_manifest`, or `figures.json` is missing or was changed.
    """
    manifest, _ = read_manifest(path)
    if FIGURES not in manifest.files:
        return manifest
    text = _verified(path / FIGURES, manifest.files[FIGURES])
    figures = _parsed(FigureFile, path / FIGURES, text).figures()
    return manifest.model_copy(update={"figures": figures})


def _parsed(kind: type[Parsed], file: Path, text: bytes) -> Parsed:
    try:
        return kind.model_validate_json(text)
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ".".join(str(part) for part in error["loc"])
        message = f"{file} is not right: {where}: {error['msg']}."
        raise BundleError(message.replace(": : ", ": "), REMEDY) from None


@dataclass(frozen=True)
class Listed:
    """A folder in the folder of bundles: what it is, why it cannot be used, or both."""

    path: Path
    manifest: Manifest | None
    problem: BundleError | None


def list_bundles(folder: Path) -> list[Listed]:
    """Return the bundles in `folder` by name; manifests and figures are read, graphs are not."""
    listed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and not path.name.startswith("."):
            try:
                manifest = manifest_with_figures(path)
                listed.append(Listed(path, manifest, _absent(path, manifest)))
            except BundleError as problem:
                listed.append(Listed(path, None, problem))
    return listed


def _absent(path: Path, manifest: Manifest) -> BundleError | None:
    """What is wrong with a bundle whose tower was never fetched, if it was not."""
    if TOWER not in manifest.files or (path / TOWER).is_file():
        return None
    message = f"{path.name} is not installed: {path / TOWER} is missing."
    return BundleError(message, f"Get it with: truelight models add {path.name}")


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > LARGEST:
            raise BundleError(f"{file} is larger than any bundle's.", REMEDY)
        return file.read_bytes()
    except OSError as failure:
        raise BundleError(f"{file} cannot be read: {failure.strerror}.", REMEDY) from None


def _verified(file: Path, sha256: str) -> bytes:
    content = _read(file)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BundleError(f"{file} differs from what was exported: another hash.", REMEDY)
    return content


def _verify_large(file: Path, sha256: str) -> None:
    """As `_verified`, of a file that is read in pieces: ONNX Runtime maps it by itself."""
    try:
        with file.open("rb") as content:
            got = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as failure:
        raise BundleError(f"{file} cannot be read: {failure.strerror}.", REMEDY) from None
    if got != sha256:
        raise BundleError(f"{file} differs from what was exported: another hash.", REMEDY)


def check_golden(graphs: Sessions, golden: bytes, path: Path) -> None:
    """Ask both graphs for the golden vector.

    Raises:
        BundleError: one answers otherwise than when it was exported, by more than CPUs differ.
    """
    try:
        with np.load(io.BytesIO(golden), allow_pickle=False) as kept:
            g = {name: kept[name] for name in kept.files}
        answers = {
            FEATURES: (graphs.features(g["crops"]), g["features"], g["features_tolerance"]),
            SEQUENCE: (
                graphs.sequence(g["features"][g["slots"]]),
                g["logits"],
                g["logits_tolerance"],
            ),
        }
    except BundleError:
        raise
    except Exception as failure:  # whatever a broken archive or a foreign graph may raise
        raise BundleError(f"{path}: the golden vector cannot be run: {failure}", REMEDY) from None
    for file, (got, expected, tolerance) in answers.items():
        if got.shape != expected.shape or not _distance(got, expected) <= float(tolerance):
            raise BundleError(f"{path / file} answers otherwise than when it was exported.", REMEDY)


def _distance(got: Floats, expected: Floats) -> float:
    """The largest difference, not a number if there is one in `got`."""
    return float(np.abs(got - expected).max(initial=0.0))
