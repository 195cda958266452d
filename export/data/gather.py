"""One folder of face crops from many labelled folders of clips and photographs.

A recipe (YAML) lists the folders and says who made what:

    folders:
      - {folder: clips, name: clips, frames: 8, camera: source}
      - {folder: photographs, name: stills}
    makers:
      animation: [First Order Motion Model, FSRT]
      classical: [triangulation]

A fake's maker is the first whose text occurs in the row's `method` or `dataset`, or else its
method. The column `with` names the maker whose fakes an image was published with: a real image is
found by the same texts, or by fakes of its dataset or source. It is left out with them. Crops are
cut as a scan cuts them, only wider, so that blends have hair and jaw.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edge.errors import TruelightError
from edge.scan.faces.detector import Detection, FaceDetector
from edge.scan.faces.search import FaceSearch
from edge.scan.frames import Frame, Pixels
from export.data.crop_folders import IMAGES, largest_faces, native_crop, write_labels
from export.data.folders import RecipePath, StageProgress, read_folder

MARGIN = 1.4
"""Side of a crop as a multiple of the box."""
MIN_SIDE, MAX_SIDE = 48, 340  # px, of the crops written
QUALITY = 97  # of the JPEG files, with full chroma
NOBODY = "-"
"""The maker of real images."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FolderEntry(_Entry):
    """A folder with labels.tsv (file, label, source; method and dataset if there are)."""

    folder: RecipePath
    name: str = Field(pattern=r"^[\w.-]+$", description="Of the folder that is written.")
    frames: Annotated[int, Field(ge=1)] = 8
    least_px: float = 32.0
    camera: str = Field(default="dataset", description="The column that tells cameras apart.")
    without: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Rows to skip: values, by column."
    )


class GatherRecipe(_Entry):
    """Which folders are gathered, and who made what in them."""

    folders: tuple[FolderEntry, ...] = Field(min_length=1)
    makers: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)

    def named(self, row: Mapping[str, str]) -> str | None:
        """The maker whose text occurs in a row."""
        text = f"{row.get('method', '')} {row.get('dataset', '')}"
        found = (m for m, parts in self.makers.items() if any(part in text for part in parts))
        return next(found, None)

    def maker(self, row: Mapping[str, str]) -> str:
        """The maker of a fake."""
        return self.named(row) or row.get("method") or row.get("dataset") or "unknown"


@dataclass(frozen=True)
class CropRow:
    """A crop in the labels.tsv that is written. `with_` is its column `with`."""

    file: str
    label: str
    source: str
    maker: str
    with_: str
    method: str
    camera: str
    clip: str
    native_px: float
    margin: float = MARGIN


COLUMNS = tuple(field.name.rstrip("_") for field in fields(CropRow))


def gather(
    recipe: GatherRecipe, out: Path, detector: FaceDetector, report: StageProgress
) -> dict[str, list[str]]:
    """Write the crops of each folder to `out / name`; folders that are complete are kept.

    Returns the files without a usable face, by folder.
    """
    without: dict[str, list[str]] = {}
    for entry in recipe.folders:
        place = out / entry.name
        if (place / "labels.tsv").is_file():
            continue
        rows = _rows(entry)
        publishers = _publishers(rows, recipe)
        place.mkdir(parents=True, exist_ok=True)
        crops: list[CropRow] = []
        without[entry.name] = []
        for number, row in enumerate(rows):
            report(entry.name, number, len(rows))
            found = list(_crops(entry, number, row, recipe, publishers, detector, place))
            crops += found
            if not found:
                without[entry.name].append(row["file"])
        write_labels(place, COLUMNS, [astuple(crop) for crop in crops])
    return without


def _rows(entry: FolderEntry) -> list[dict[str, str]]:
    read_folder(entry.folder)  # refuses a table that is not one
    with (entry.folder / "labels.tsv").open(newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return [
            row
            for row in rows
            if not any(row.get(column) in values for column, values in entry.without.items())
        ]


def _publishers(rows: Sequence[Mapping[str, str]], recipe: GatherRecipe) -> dict[str, str]:
    """The maker of a dataset's fakes or, without a dataset, of a source's."""
    makers: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["label"] == "FAKE":
            for key in (row.get("dataset") or NOBODY, row["source"]):
                makers[key].add(recipe.maker(row))
    return {key: sorted(found)[0] for key, found in makers.items() if key != NOBODY}


def _crops(
    entry: FolderEntry,
    number: int,
    row: Mapping[str, str],
    recipe: GatherRecipe,
    publishers: Mapping[str, str],
    detector: FaceDetector,
    place: Path,
) -> Iterator[CropRow]:
    fake = row["label"] == "FAKE"
    maker = recipe.maker(row) if fake else NOBODY
    keys = (row["source"], row.get("dataset") or NOBODY)
    published = recipe.named(row) or next((publishers[k] for k in keys if k in publishers), NOBODY)
    for at, (pixels, face) in enumerate(_faces(entry.folder / row["file"], detector, entry.frames)):
        px = min(face.box.width, face.box.height)
        if px < entry.least_px:
            continue
        name = f"{number:05d}_{at:02d}.jpg"
        _write_image(place / name, native_crop(pixels, face, MARGIN, MIN_SIDE, MAX_SIDE))
        yield CropRow(
            file=name,
            label=row["label"],
            source=row["source"],
            maker=maker,
            with_=maker if fake else published,
            method=row.get("method") or NOBODY,
            camera=row.get(entry.camera) or NOBODY,
            clip=row["file"],
            native_px=round(px, 1),
        )


def _faces(path: Path, detector: FaceDetector, frames: int) -> Iterator[tuple[Pixels, Detection]]:
    """The largest face of each of `frames` frames of a clip, or of a photograph."""
    if path.suffix.lower() in IMAGES:
        return _photograph(path, detector)
    return largest_faces(path, detector, frames)


def _photograph(path: Path, detector: FaceDetector) -> Iterator[tuple[Pixels, Detection]]:
    """The largest face; a tight crop is searched with a border around it."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        return
    pixels = np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)
    for border in (0, max(pixels.shape[:2]) // 2):
        framed = cv2.copyMakeBorder(pixels, border, border, border, border, cv2.BORDER_REPLICATE)
        frame = Frame(0, 0, 0.0, np.asarray(framed, np.uint8))
        if faces := FaceSearch(detector).detect(frame):
            yield pixels, faces[0].moved(-border, -border)
            return


def _write_image(path: Path, crop: Pixels) -> None:
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    if not cv2.imwrite(str(path), np.ascontiguousarray(crop[..., ::-1]), options):
        raise TruelightError(f"{path} cannot be written.")
