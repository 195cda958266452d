"""Loads the detector, then the network, in a thread while the first clip is opened.

OpenCV, LiteRT and ONNX Runtime take as long to import as a clip takes to open. Therefore the rooms
that use them are imported here within the functions, and in `Scanner._draw_heat`. One after the
other: the first frame waits for the detector alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge.errors import TruelightError
from edge.scan.model.bundle_info import BundleInfo
from edge.scan.model.second_opinion import SecondModel, trim_heap
from edge.settings import Settings

if TYPE_CHECKING:
    from edge.scan.model.bundle import Bundle
    from edge.scan.tracks import FacePipeline


def load_faces(settings: Settings, info: BundleInfo, second: SecondModel | None) -> FacePipeline:
    """The face detector. Raises TruelightError."""
    with _named("The face detector"):
        from edge.scan.tracks import FacePipeline

        beside = second and second.info.manifest
        best = beside and beside.beside and (beside.input.crop_spec, beside.beside.crops)
        return FacePipeline(settings.faces, info.manifest.input.crop_spec, best or None)


def load_network(settings: Settings, info: BundleInfo) -> Bundle:
    """The bundle's graphs. Raises TruelightError."""
    with _named("The model"):
        from edge.scan.model.bundle import load_bundle

        try:
            return load_bundle(info, settings.scan.threads)
        finally:
            trim_heap()


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Turn unexpected errors of loading into one that names what could not be loaded."""
    try:
        yield
    except TruelightError:
        raise
    except Exception as failure:
        message = f"{what} cannot be loaded: {failure!r}."
        raise TruelightError(message, "Run ./setup.sh again.") from failure
