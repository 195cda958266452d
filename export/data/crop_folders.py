"""Writes and reads folders of face crops: cut from clips as a scan cuts them, or blended."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.atomic_write import atomic_write
from edge.errors import TruelightError
from edge.scan.collect import collect
from edge.scan.faces.crops import cut
from edge.scan.faces.detector import Detection, FaceDetector, load_detector
from edge.scan.faces.search import FaceSearch
from edge.scan.frames import CropSpec
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.sampling import Sampling
from export.data.augment import CENTRE_CROP, augmented, random_augmentation
from export.data.blends import augmented_blend
from export.data.folders import Example, Image, Landmarks, PairSampler, Progress, read_folder
from export.data.swaps import swapped

MIN_SIDE, MAX_SIDE = 32, 320  # px, of the crops written
JPEG_QUALITY = 95
COLUMNS = ("file", "label", "source", "method", "native_px", "margin")
IMAGES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".webp"))
FRAMES = 8  # sampled from each clip


def write_crops(
    folder: Path,
    out: Path,
    detector: FaceDetector,
    margin: float,
    frames: int,
    least_px: int,
    progress: Progress,
) -> tuple[int, list[str]]:
    """Cut the largest face of every clip or photograph in the folder's labels.tsv.

    Writes JPEG crops, `margin` times as wide as the detector's box, and their labels.tsv to `out`;
    `frames` of each clip, faces smaller than `least_px` are skipped. Returns the number of crops
    and the names of the files without any.
    """
    with (folder / "labels.tsv").open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    out.mkdir(parents=True, exist_ok=True)
    written, without = list[tuple[object, ...]](), list[str]()
    for number, row in enumerate(rows):
        progress(number, len(rows))
        faces = largest_faces(folder / row["file"], detector, frames)
        crops = [
            (native_crop(pixels, face, margin, MIN_SIDE, MAX_SIDE), face_px)
            for pixels, face in faces
            if (face_px := min(face.box.width, face.box.height)) >= least_px
        ]
        for index, (crop, face_px) in enumerate(crops):
            name = f"{number:06d}_{index:03d}.jpg"
            quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            cv2.imwrite(str(out / name), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), quality)
            method, px = row.get("method") or "-", round(face_px)
            written.append((name, row["label"], row["source"], method, px, margin))
        if not crops:
            without.append(row["file"])
    write_labels(out, COLUMNS, written)
    return len(written), without


def write_labels(folder: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a folder's labels.tsv."""
    table = io.StringIO()
    csv.writer(table, delimiter="\t", lineterminator="\n").writerows([columns, *rows])
    atomic_write(folder / "labels.tsv", table.getvalue())


def native_crop(pixels: Image, face: Detection, margin: float, least: int, most: int) -> Image:
    """A crop uint8 [side, side, 3] RGB, upright, at the face's size: `least` to `most` pixels."""
    box = face.box
    side = min(most, max(least, round(max(box.width, box.height) * margin)))
    return cut(pixels, box, CropSpec(side, margin), face.roll).pixels


def largest_faces(
    path: Path, detector: FaceDetector, frames: int
) -> Iterator[tuple[Image, Detection]]:
    """The largest face in each of `frames` frames spread over a clip, as a scan finds it.

    Pixels are uint8 [h, w, 3] RGB, valid until the next iteration. Unreadable clips yield nothing.
    """
    search = FaceSearch(detector)
    try:
        with open_clip(path, Sampling(1, 1.0, frames, None)) as clip:
            for frame in clip.frames():
                if faces := search.detect(frame):
                    yield frame.pixels, faces[0]
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
    detector = None if images else load_detector()
    crops: list[Image] = []
    fakes: list[bool] = []
    for done, index in enumerate(sorted(drawn)):
        progress(done, len(drawn))
        example = examples[index]
        if detector is None:
            crops.append(CENTRE_CROP.apply(example.read(), example.margin, spec.side))
        else:
            faces = largest_faces(example.path, detector, FRAMES)
            crops += [cut(pixels, face.box, spec, face.roll).pixels for pixels, face in faces]
        fakes += [example.fake] * (len(crops) - len(fakes))
    if not crops:
        raise TruelightError(f"No face was found in {folder}.", "Name a folder with faces.")
    return LabelledCrops(np.stack(crops), tuple(fakes) if labelled else None, folder.name)


LabelledPair = tuple[str, Image, Image]  # the source, the real image and the fake one


def blended_pairs(
    reals: Sequence[Example],
    landmarks: Mapping[str, Landmarks],
    count: int,
    side: int,
    seed: int,
    kinds: Sequence[str] = ("self",),
) -> Iterator[LabelledPair]:
    """Draw blends of real faces, uint8 [side, side, 3] RGB, augmented alike.

    landmarks: by path, as shares of the image's side. kinds: `self` or functions of `swaps`.
    """
    pool = [example for example in reals if str(example.path) in landmarks]
    if not pool:
        raise TruelightError("No real face to blend was found.", "Omit --blends.")
    rng = np.random.default_rng((seed, 1))
    for _ in range(count):
        example = pool[rng.integers(len(pool))]
        kind = kinds[int(rng.integers(len(kinds)))] if len(kinds) > 1 else kinds[0]
        if kind == "self":
            points = landmarks[str(example.path)]
            yield (example.source, *augmented_blend(example, points, side, 0.0, rng))
            continue
        other = pool[rng.integers(len(pool))]
        real, fake = swapped(kind, (example, other), landmarks, side, rng)
        augmentation = random_augmentation(rng)
        margin = example.margin
        yield (
            example.source,
            augmentation.apply(real, margin, side),
            augmentation.apply(fake, margin, side),
        )


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
        yield (pair[0].source, *augmented(pair, side, rng))


def write_pairs(pairs: Iterator[LabelledPair], out: Path, progress: Callable[[int], None]) -> int:
    """Write pairs and their labels.tsv to a new folder; returns the number of images."""
    if (out / "labels.tsv").exists():
        raise TruelightError(f"{out} already holds images.", "Name another --out.")
    out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[object, ...]] = []
    for number, (source, *images) in enumerate(pairs):
        for label, image in zip(("REAL", "FAKE"), images, strict=True):
            name = f"{number:05d}-{label.lower()}.png"
            cv2.imwrite(str(out / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            rows.append((name, label, source, number))
        progress(number + 1)
    write_labels(out, ("file", "label", "source", "pair"), rows)
    return len(rows)
