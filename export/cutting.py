"""Cut training crops out of labelled clips and photographs, exactly as the box would see them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge.finding import Box
from edge.scan.cage import ClipError, open_clip
from edge.scan.crops import CropSpec, cut
from edge.scan.faces import FaceDetector, Pixels
from edge.scan.sampling import Sampling
from edge.scan.search import FaceSearch

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
