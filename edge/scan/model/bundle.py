"""A loaded bundle: an exported model, verified, in ONNX Runtime sessions.

A bundle is used only if every file has the hash that `bundle.json` gives and both graphs answer
the golden vector correctly: damaged or exchanged files, and graphs that run wrongly on this
machine, are refused by name. The graphs of a bundle that Truelight did not ship run in a process
of their own (`confined`).
"""

from __future__ import annotations

import io
import math
import threading
import zipfile
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime

from edge.language import N_
from edge.scan.frames import Crops, Floats
from edge.scan.model.bundle_info import (
    BATCH,
    REMEDY,
    TOWER_BATCH,
    BundleError,
    BundleInfo,
    read_bundle,
)
from edge.scan.model.confined import CONFINED_FILES, ConfinedGraphs
from edge.scan.model.manifest import FEATURES, GOLDEN, SEQUENCE, TOWER, Manifest

WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"

MOST_GOLDEN_BYTES = 64_000_000
"""Unpacked; the shipped ones have less than 1 MB."""


class Graphs(Protocol):
    """The two graphs of a bundle, wherever they run. May be used from several threads."""

    @property
    def asks_generated(self) -> bool:
        """Whether the sequence graph says if a face was generated whole."""

    def features(self, crops: Crops, output: str = "features") -> Floats:
        """uint8 `[n, side, side, 3]` RGB -> float32 `[n, D]`, of our networks `[n, 2048]`.

        `output` "map" gives the last feature maps, float32 `[n, D, h, w]`; a tower has none.
        """

    def sequence(self, features: Floats) -> Floats:
        """float32 `[n, T, D]` -> float32 `[n]`, the windows' logits of FAKE."""

    def generated(self, features: Floats) -> Floats:
        """The same: the windows' logits of a face that was generated whole."""


class Sessions:
    """The two graphs of a bundle in ONNX Runtime sessions, not verified: `Graphs`.

    `threads` 0 leaves their number to ONNX Runtime: one a core. `weights` is, for a features graph
    that has its weights outside, the folder of that file, or the file's content.
    """

    def __init__(
        self,
        features: bytes | str,
        sequence: bytes | str,
        threads: int = 0,
        weights: Path | bytes | None = None,
    ) -> None:
        self._features = open_graph(features, threads, FEATURES, weights)
        self._sequence = open_graph(sequence, 1, SEQUENCE)
        self._batch = BATCH if weights is None else TOWER_BATCH
        # Two callers at once would share the threads and double the working memory for no gain.
        self._lock = threading.Lock()

    def features(self, crops: Crops, output: str = "features") -> Floats:
        """As `Graphs.features`."""
        starts = range(0, max(len(crops), 1), self._batch)
        parts = [crops[at : at + self._batch] for at in starts]
        with self._lock:
            answers = [self._features.run([output], {"crops": part})[0] for part in parts]
        return np.concatenate(answers)

    def sequence(self, features: Floats) -> Floats:
        """As `Graphs.sequence`."""
        logits: Floats = self._sequence.run(["logits"], {"features": features})[0]
        return logits

    def generated(self, features: Floats) -> Floats:
        """As `Graphs.generated`."""
        logits: Floats = self._sequence.run(["generated"], {"features": features})[0]
        return logits

    @property
    def asks_generated(self) -> bool:
        """As `Graphs.asks_generated`."""
        return any(output.name == "generated" for output in self._sequence.get_outputs())


class Bundle:
    """A verified model: `Graphs`, and what its `bundle.json` says. Made by `load_bundle`."""

    def __init__(self, info: BundleInfo, graphs: Graphs) -> None:
        self.info = info
        self.features = graphs.features
        self.sequence = graphs.sequence
        self.generated = graphs.generated
        self.asks_generated = graphs.asks_generated

    @property
    def manifest(self) -> Manifest:
        """The content of its `bundle.json`."""
        return self.info.manifest


def open_graph(
    model: bytes | str, threads: int, file: str, weights: Path | bytes | None = None
) -> onnxruntime.InferenceSession:
    """A session that runs a graph as the box does; errors call it `file`.

    Raises BundleError: ONNX Runtime cannot run it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # No slower, and memory is freed when a batch is done.
    options.enable_cpu_mem_arena = False
    # Waiting threads would busy the core that decodes the next frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if isinstance(weights, Path):
        options.add_session_config_entry(WEIGHTS_FOLDER, str(weights))
    try:
        if isinstance(weights, bytes):
            options.add_external_initializers_from_files_in_memory(
                [TOWER], [weights], [len(weights)]
            )
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as failure:  # its errors have no other common base
        message = N_("{file} cannot be run by ONNX Runtime: {why}")
        raise BundleError(message.format(file=file, why=failure), REMEDY) from None


def load_bundle(bundle: Path | BundleInfo, threads: int = 0) -> Bundle:
    """Load and verify a bundle; its features graph runs on `threads` (0: all cores).

    Raises BundleError: a file is missing, differs from the exported one, or gives other answers.
    """
    info = bundle if isinstance(bundle, BundleInfo) else read_bundle(bundle)
    info.check_installed()
    if not info.model.shipped:
        for name in info.manifest.files:
            if name not in CONFINED_FILES:  # that process has the others verified
                info.verify(name)
        return Bundle(info, ConfinedGraphs(info, threads))
    for name in info.manifest.files:
        if name not in (FEATURES, SEQUENCE, GOLDEN):
            info.verify(name)
    graphs = _open_sessions(info, threads)
    check_golden(graphs, info.verified(GOLDEN), info.path)
    return Bundle(info, graphs)


def _open_sessions(info: BundleInfo, threads: int) -> Sessions:
    """The graphs of a bundle, from the open files that were verified: nobody exchanges them."""
    weights = info.path.resolve() if TOWER in info.manifest.files else None
    with info.open_verified(FEATURES) as features, info.open_verified(SEQUENCE) as sequence:
        # ONNX Runtime would keep a copy of a graph that it is given as bytes. One with weights in
        # another file is small, and cannot be named by a descriptor.
        given = _name(features) if weights is None else features.read()
        return Sessions(given, _name(sequence), threads, weights)


def _name(opened: FileIO) -> str:
    """A path to an open file."""
    return f"/proc/self/fd/{opened.fileno()}"


def load_sequence(path: Path) -> tuple[int, Callable[[Floats], Floats]]:
    """The number of features that the sequence graph takes, and `Graphs.sequence`.

    Of a bundle that Truelight shipped, without the large graph, and not verified. Raises
    BundleError: it cannot be loaded.
    """
    info = read_bundle(path)
    if not info.model.shipped:
        bundle, side = load_bundle(info), info.manifest.input.side
        crop = np.zeros((1, side, side, 3), np.uint8)
        return bundle.features(crop).shape[-1], bundle.sequence
    session = open_graph(str(path / SEQUENCE), 1, SEQUENCE)
    width: int = session.get_inputs()[0].shape[-1]
    return width, lambda features: session.run(["logits"], {"features": features})[0]


def check_golden(sessions: Graphs, golden: bytes, path: Path) -> None:
    """Run both graphs on the golden vector.

    Raises BundleError: one differs from its exported answer by more than CPUs differ.
    """
    try:
        # Before anything is unpacked: 3 MB may swell to 3 GB.
        if _unpacked_bytes(golden) > MOST_GOLDEN_BYTES:
            raise BundleError(N_("{file} is too large.").format(file=path / GOLDEN), REMEDY)
        with np.load(io.BytesIO(golden), allow_pickle=False) as archive:
            g = {name: archive[name] for name in archive.files}
        features = sessions.features(g["crops"])
        logits = sessions.sequence(g["features"][g["slots"]])
        answers = {
            FEATURES: (features, g["features"], g["features_tolerance"]),
            SEQUENCE: (logits, g["logits"], g["logits_tolerance"]),
        }
        if "generated" in g:
            logits = sessions.generated(g["features"][g["slots"]])
            answers["generated"] = (logits, g["generated"], g["logits_tolerance"])
        wrong = [name for name, answer in answers.items() if not _is_near(*answer)]
    except BundleError:
        raise
    except KeyError as missing:
        message = N_("{file} is not valid: {why}.")
        why = f"array {missing} is missing"
        raise BundleError(message.format(file=path / GOLDEN, why=why), REMEDY) from None
    except Exception as failure:  # whatever a broken archive or a wrong graph may raise
        message = N_("{file}: the golden vector cannot be run: {why}")
        raise BundleError(message.format(file=path, why=failure), REMEDY) from None
    if wrong:
        name = SEQUENCE if wrong[0] == "generated" else wrong[0]
        message = N_("{file} gives other answers than when exported.")
        raise BundleError(message.format(file=path / name), REMEDY)


def _unpacked_bytes(archive: bytes) -> int:
    """What the arrays of a .npz take in memory, by the archive's list and by their own headers."""
    total = 0
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        for part in packed.infolist():
            with packed.open(part) as content:
                read = _HEADERS[np.lib.format.read_magic(content)]
                shape, _, dtype = read(content)
            total += max(part.file_size, math.prod(shape) * dtype.itemsize)
    return total


_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _is_near(got: Floats, expected: Floats, tolerance: Floats) -> bool:
    """Whether no number differs by more than that, and none is NaN."""
    same_shape = got.shape == expected.shape
    return same_shape and float(np.abs(got - expected).max(initial=0.0)) <= float(tolerance)
