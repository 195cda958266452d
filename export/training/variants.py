"""Pictures beyond those that folders hold, written out: for a teacher, whose answers are kept.

Training draws its blends and treatments anew at every step. What a teacher says takes a tenth of a
second a picture, so it is asked about a fixed number of them: self-blends of real faces, and
labelled pairs compressed, shrunk, blurred or relit, both of a pair alike.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from edge.whole import write_whole
from export.training.augment import draw
from export.training.blends import self_blend
from export.training.data import Image, Pairs, Picture

WORK = 1.2  # blends are made at this multiple of the crop's side, then cut

Couple = tuple[str, Image, Image]
"""Whose face it is, the real picture and the fake."""


def blends(
    reals: Sequence[Picture],
    landmarks: Mapping[str, NDArray[np.float32]],
    count: int,
    side: int,
    seed: int,
) -> Iterator[Couple]:
    """Draw self-blends of real faces, uint8 [side, side, 3] RGB, as subtle as published.

    `landmarks`: by path, float32 [468, 2] as shares of the picture's side.
    """
    pool = [picture for picture in reals if str(picture.path) in landmarks]
    if not pool:
        raise TruelightError("No real face to blend was found.", "Leave --blends away.")
    rng = np.random.default_rng((seed, 1))
    for _ in range(count):
        picture = pool[rng.integers(len(pool))]
        size = round(side * WORK * picture.margin)
        image = cv2.resize(picture.read(), (size, size), interpolation=cv2.INTER_AREA)
        points = landmarks[str(picture.path)] * size
        both = self_blend(np.asarray(image, dtype=np.uint8), points, 0.0, rng)
        treatment = draw(rng)
        real, fake = (treatment.apply(each, picture.margin, side) for each in both)
        yield picture.source, real, fake


def treated(pictures: Sequence[Picture], count: int, side: int, seed: int) -> Iterator[Couple]:
    """Draw labelled pairs of one source, uint8 [side, side, 3] RGB, treated alike."""
    pairs = Pairs(pictures)
    if not pairs.by_source:
        raise TruelightError("No source has a real and a fake picture.", "Leave --pairs away.")
    rng = np.random.default_rng((seed, 2))
    for _ in range(count):
        real, fake = pairs.draw(rng)
        treatment = draw(rng)
        yield (
            real.source,
            treatment.apply(real.read(), real.margin, side),
            treatment.apply(fake.read(), fake.margin, side),
        )


def write(couples: Iterator[Couple], out: Path, progress: Callable[[int], None]) -> int:
    """Write couples and their labels.tsv into a new folder; give how many pictures there are."""
    if (out / "labels.tsv").exists():
        raise TruelightError(f"{out} holds pictures already.", "Name another --out.")
    out.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    rows = csv.writer(table, delimiter="\t", lineterminator="\n")
    rows.writerow(("file", "label", "source"))
    count = 0
    for number, (source, *both) in enumerate(couples):
        for label, image in zip(("REAL", "FAKE"), both, strict=True):
            name = f"{number:05d}-{label.lower()}.png"
            _, data = cv2.imencode(".png", image[..., ::-1])
            (out / name).write_bytes(data.tobytes())
            rows.writerow((name, label, source))
            count += 1
        progress(number + 1)
    write_whole(out / "labels.tsv", table.getvalue().encode())
    return count
