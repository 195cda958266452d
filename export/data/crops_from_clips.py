"""Cut training crops out of labelled clips and photographs, exactly as the box would see them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.errors import TruelightError
from edge.finding import Box
from edge.scan.collect import collect
from edge.scan.faces.crops import CropSpec, cut
from edge.scan.faces.detector import FaceDetector, Pixels, load_detector
from edge.scan.faces.search import FaceSearch
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.sampling import Sampling
from edge.scan.model.bundle import Crops
from export.data.augment import PLAIN
from export.data.folders import Picture, read_folder

LEAST, MOST = 32, 320  # px, of the side of what is written
QUALITY = 95
COLUMNS = ("file", "label", "source", "method", "native_px", "margin")


@dataclass(frozen=True)
class Cutting:
    """Where around the detector's box to cut, how much wider, and how many frames of a clip."""

    scale: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    margin: float = 1.0
    frames: int = 8
    least_px: int = 50  # smaller faces are left out


def cut_folder(
    folder: Path,
    out: Path,
    detector: FaceDetector,
    cutting: Cutting,
    progress: Callable[[int, int], None],
) -> tuple[int, list[str]]:
    """Cut the largest face of every clip or photograph that the folder's labels.tsv names.

    Writes JPEG crops and their labels.tsv to `out`. Gives the number of crops and the names of the
    files that gave none.
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
            for crop, face_px in _crops(folder / row["file"], detector, cutting):
                name = f"{number:06d}_{count - before:03d}.jpg"
                bgr = cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(out / name), bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                method = row.get("method") or "-"
                writer.writerow(
                    (name, row["label"], row["source"], method, round(face_px), cutting.margin)
                )
                count += 1
            if count == before:
                without.append(row["file"])
    return count, without


def _crops(path: Path, detector: FaceDetector, cutting: Cutting) -> Iterator[tuple[Pixels, float]]:
    """Crops uint8 [side, side, 3] RGB at no more than native size, and the face's side in px."""
    scale = cutting.scale * cutting.margin
    for pixels, box in largest_faces(path, detector, cutting.frames):
        face_px = min(box.width, box.height)
        if face_px >= cutting.least_px:
            side = min(MOST, max(LEAST, round(max(box.width, box.height) * scale)))
            spec = CropSpec(side, scale, cutting.shift_x, cutting.shift_y)
            yield cut(pixels, box, spec).pixels, face_px


def largest_faces(path: Path, detector: FaceDetector, frames: int) -> Iterator[tuple[Pixels, Box]]:
    """The largest face of frames spread over a clip, found as the box finds it.

    Pixels are uint8 [h, w, 3] RGB, valid until the next is asked for. A clip that cannot be read
    has none.
    """
    search = FaceSearch(detector)
    try:
        with open_clip(path, Sampling(1, 1.0, frames, None)) as clip:
            for frame in clip.frames():
                if faces := search.look(frame):
                    yield frame.pixels, faces[0].box
    except ClipError:
        return


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
