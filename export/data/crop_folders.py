"""Writes and reads folders of face crops: cut from clips as a scan cuts them, or blended."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.atomic_write import write_whole
from edge.errors import TruelightError
from edge.finding import Box
from edge.scan.collect import collect
from edge.scan.faces.crops import CropSpec, cut
from edge.scan.faces.detector import FaceDetector, load_detector
from edge.scan.faces.search import FaceSearch
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.sampling import Sampling
from export.data.augment import CENTRE_CROP, random_augmentation
from export.data.blends import random_blend
from export.data.folders import Example, Image, Landmarks, PairSampler, Progress, read_folder

MIN_SIDE, MAX_SIDE = 32, 320  # px, of the crops written
JPEG_QUALITY = 95
COLUMNS = ("file", "label", "source", "method", "native_px", "margin")
IMAGES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".webp"))
FRAMES = 8  # sampled from each clip


@dataclass(frozen=True)
class CropOptions:
    """The crop's position relative to the detector's box, its margin, and the frames of a clip."""

    scale: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    margin: float = 1.0
    frames: int = FRAMES
    least_px: int = 50  # smaller faces are skipped


def write_crops(
    folder: Path, out: Path, detector: FaceDetector, options: CropOptions, progress: Progress
) -> tuple[int, list[str]]:
    """Cut the largest face of every clip or photograph in the folder's labels.tsv.

    Writes JPEG crops and their labels.tsv to `out`. Returns the number of crops and the names of
    the files without any.
    """
    with (folder / "labels.tsv").open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    out.mkdir(parents=True, exist_ok=True)
    count, without = 0, []
    with (out / "labels.tsv").open("w", newline="") as table:
        writer = csv.writer(table, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, row in enumerate(rows):
            progress(number, len(rows))
            before = count
            for crop, face_px in _crops(folder / row["file"], detector, options):
                name = f"{number:06d}_{count - before:03d}.jpg"
                quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
                cv2.imwrite(str(out / name), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), quality)
                method = row.get("method") or "-"
                values = (name, row["label"], row["source"], method, round(face_px), options.margin)
                writer.writerow(values)
                count += 1
            if count == before:
                without.append(row["file"])
    return count, without


def _crops(
    path: Path, detector: FaceDetector, options: CropOptions
) -> Iterator[tuple[Image, float]]:
    """Crops uint8 [side, side, 3] RGB, not enlarged, and the face's shorter side in px."""
    scale = options.scale * options.margin
    for pixels, box in largest_faces(path, detector, options.frames):
        face_px = min(box.width, box.height)
        if face_px >= options.least_px:
            side = min(MAX_SIDE, max(MIN_SIDE, round(max(box.width, box.height) * scale)))
            spec = CropSpec(side, scale, options.shift_x, options.shift_y)
            yield cut(pixels, box, spec).pixels, face_px


def largest_faces(path: Path, detector: FaceDetector, frames: int) -> Iterator[tuple[Image, Box]]:
    """The largest face in each of `frames` frames spread over a clip, as a scan finds it.

    Pixels are uint8 [h, w, 3] RGB, valid until the next iteration. Unreadable clips yield nothing.
    """
    search = FaceSearch(detector)
    try:
        with open_clip(path, Sampling(1, 1.0, frames, None)) as clip:
            for frame in clip.frames():
                if faces := search.look(frame):
                    yield frame.pixels, faces[0].box
    except ClipError:
        return


@dataclass(frozen=True)
class LabelledCrops:
    """Crops uint8 [n, side, side, 3] RGB and, if known, which are fake."""

    crops: Image
    fakes: tuple[bool, ...] | None
    name: str


def sample_crops(folder: Path, spec: CropSpec, limit: int, progress: Progress) -> LabelledCrops:
    """About `limit` crops from the whole folder, by its labels.tsv or, without one, of all files.

    Images are resized as crops; from clips the largest face is cut as a scan cuts it.
    Raises TruelightError if there is no folder or no face.
    """
    if not folder.is_dir():
        raise TruelightError(f"{folder} is not a folder.", "Name a folder of clips or crops.")
    labelled = (folder / "labels.tsv").is_file()
    if labelled:
        examples = read_folder(folder)
    else:
        examples = [Example(path, False, path.name) for path in collect([folder]).clips]
    images = all(example.path.suffix.lower() in IMAGES for example in examples)
    wanted = limit if images else -(-limit // FRAMES)
    # Random but repeatable: every n-th would be of one label in tables that alternate.
    drawn = np.random.default_rng(0).permutation(len(examples))[:wanted]
    crops_of = _image_crops(spec) if images else _clip_crops(spec)
    crops: list[Image] = []
    fakes: list[bool] = []
    for done, index in enumerate(sorted(drawn)):
        progress(done, len(drawn))
        for crop in crops_of(examples[index]):
            crops.append(crop)
            fakes.append(examples[index].fake)
    if not crops:
        raise TruelightError(f"No face was found in {folder}.", "Name a folder with faces.")
    return LabelledCrops(np.stack(crops), tuple(fakes) if labelled else None, folder.name)


def _image_crops(spec: CropSpec) -> Callable[[Example], Iterator[Image]]:
    def read(example: Example) -> Iterator[Image]:
        yield CENTRE_CROP.apply(example.read(), example.margin, spec.side)

    return read


def _clip_crops(spec: CropSpec) -> Callable[[Example], Iterator[Image]]:
    detector = load_detector()

    def read(example: Example) -> Iterator[Image]:
        for pixels, box in largest_faces(example.path, detector, FRAMES):
            yield cut(pixels, box, spec).pixels

    return read


LabelledPair = tuple[str, Image, Image]
"""The source, the real image and the fake one."""


def blended_pairs(
    reals: Sequence[Example], landmarks: Mapping[str, Landmarks], count: int, side: int, seed: int
) -> Iterator[LabelledPair]:
    """Draw self-blends of real faces, uint8 [side, side, 3] RGB, augmented alike.

    landmarks: by path, as shares of the image's side.
    """
    pool = [example for example in reals if str(example.path) in landmarks]
    if not pool:
        raise TruelightError("No real face to blend was found.", "Omit --blends.")
    rng = np.random.default_rng((seed, 1))
    for _ in range(count):
        example = pool[rng.integers(len(pool))]
        blend = random_blend(example, landmarks[str(example.path)], side, 0.0, rng)
        augmentation = random_augmentation(rng)
        real, fake = (
            augmentation.apply(image, example.margin, side)
            for image in (blend.target, blend.fake())
        )
        yield example.source, real, fake


def augmented_pairs(
    examples: Sequence[Example], count: int, side: int, seed: int
) -> Iterator[LabelledPair]:
    """Draw labelled pairs of one source, uint8 [side, side, 3] RGB, augmented alike."""
    pairs = PairSampler(examples)
    if not pairs.groups:
        raise TruelightError("No source has a real and a fake image.", "Omit --pairs.")
    rng = np.random.default_rng((seed, 2))
    for _ in range(count):
        pair = pairs.draw(rng)
        augmentation = random_augmentation(rng)
        real, fake = (augmentation.apply(one.read(), one.margin, side) for one in pair)
        yield pair[0].source, real, fake


def write_pairs(pairs: Iterator[LabelledPair], out: Path, progress: Callable[[int], None]) -> int:
    """Write pairs and their labels.tsv to a new folder; returns the number of images."""
    if (out / "labels.tsv").exists():
        raise TruelightError(f"{out} already holds images.", "Name another --out.")
    out.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    rows = csv.writer(table, delimiter="\t", lineterminator="\n")
    rows.writerow(("file", "label", "source"))
    count = 0
    for number, (source, *images) in enumerate(pairs):
        for label, image in zip(("REAL", "FAKE"), images, strict=True):
            name = f"{number:05d}-{label.lower()}.png"
            _, data = cv2.imencode(".png", image[..., ::-1])
            (out / name).write_bytes(data.tobytes())
            rows.writerow((name, label, source))
            count += 1
        progress(number + 1)
    write_whole(out / "labels.tsv", table.getvalue())
    return count
