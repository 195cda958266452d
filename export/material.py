"""Crops to calibrate and to check with, from a folder of clips or of crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import TruelightError
from edge.scan.bundle import Crops
from edge.scan.collect import collect
from edge.scan.crops import CropSpec, cut
from edge.scan.detectors import load_detector
from export.cutting import largest_faces
from export.training.augment import PLAIN
from export.training.data import Picture, read_folder

PICTURES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".webp"))
FRAMES = 8

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Material:
    """Crops uint8 `[n, side, side, 3]` RGB, which of them are fake if that is known, and whence."""

    crops: Crops
    fakes: tuple[bool, ...] | None
    name: str


def gather(folder: Path, spec: CropSpec, most: int, progress: Progress) -> Material:
    """At most about `most` crops from all over the folder.

    Pictures are crops already and are resized; from clips the largest face is cut as the box cuts
    it. `labels.tsv` names the files and their labels; without it, all files are taken.

    Raises TruelightError if there is no folder or not one face.
    """
    if not folder.is_dir():
        raise TruelightError(f"{folder} is no folder.", "Name a folder of clips or of crops.")
    labelled = (folder / "labels.tsv").is_file()
    pictures = read_folder(folder) if labelled else _unlabelled(folder)
    still = all(picture.path.suffix.lower() in PICTURES for picture in pictures)
    wanted = most if still else -(-most // FRAMES)
    # By chance, but the same each time: every n-th would fall in step with lists that alternate.
    drawn = np.random.default_rng(0).permutation(len(pictures))[:wanted]
    chosen = [pictures[at] for at in sorted(drawn)]
    crops: list[Crops] = []
    fakes: list[bool] = []
    cutter = _as_they_are(spec) if still else _from_clips(spec)
    for done, picture in enumerate(chosen):
        progress(done, len(chosen))
        for crop in cutter(picture):
            crops.append(crop)
            fakes.append(picture.fake)
    if not crops:
        raise TruelightError(f"No face was found in {folder}.", "Name a folder with faces.")
    return Material(np.stack(crops), tuple(fakes) if labelled else None, folder.name)


def _unlabelled(folder: Path) -> list[Picture]:
    return [Picture(path, False, path.name) for path in collect([folder]).clips]


def _as_they_are(spec: CropSpec) -> Callable[[Picture], Iterator[Crops]]:
    def read(picture: Picture) -> Iterator[Crops]:
        yield PLAIN.apply(picture.read(), picture.margin, spec.side)

    return read


def _from_clips(spec: CropSpec) -> Callable[[Picture], Iterator[Crops]]:
    detector = load_detector()

    def read(picture: Picture) -> Iterator[Crops]:
        for pixels, box in largest_faces(picture.path, detector, FRAMES):
            yield cut(pixels, box, spec).pixels

    return read
