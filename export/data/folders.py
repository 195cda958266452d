"""Folders of face crops with `labels.tsv`, and the draws that make batches of them.

`labels.tsv` has a header and tab-separated columns; `file`, `label` (REAL or FAKE) and `source`
are needed. `margin` is optional: how many times wider the picture is than the crop the box would
cut (1 where the picture is the crop). An empty label is allowed where it is not needed: a teacher's
features can be learned without.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One labelled face picture on disk."""

    path: Path
    fake: bool
    source: str
    margin: float = 1.0
    key: str = ""
    """Its folder's name and its name in the table: what cached features are known by."""
    labelled: bool = True

    @property
    def folder(self) -> str:
        """The name of the folder whose table names it."""
        return self.key.partition("/")[0]

    def read(self) -> Image:
        """Pixels as uint8 [h, w, 3] RGB."""
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if image is None:
            raise TruelightError(f"{self.path} is not a picture.", "Remove it from labels.tsv.")
        return np.asarray(image[..., ::-1], dtype=np.uint8)


@dataclass(frozen=True)
class Material:
    """What batches are made of."""

    pictures: Sequence[Picture]
    landmarks: Mapping[str, NDArray[np.float32]]
    """Of the real pictures that can be blended, by path, as shares of the side; [468, 2]."""
    rows: Mapping[str, int]
    """Where a picture's features stand at its teacher, by key."""
    weights: Mapping[str, float]
    """What a folder's sources weigh in the draws, by folder, where that is not 1."""

    @property
    def blendable(self) -> list[Picture]:
        """Real pictures whose landmarks are known."""
        return [
            picture
            for picture in self.pictures
            if picture.labelled and not picture.fake and str(picture.path) in self.landmarks
        ]

    def fingerprint(self) -> str:
        """The same for the same pictures, teacher and weights, wherever they lie."""
        parts = sorted(
            f"{p.key} {p.fake} {p.source} {str(p.path) in self.landmarks} {p.key in self.rows}"
            for p in self.pictures
        )
        parts += [f"{name} {weight}" for name, weight in sorted(self.weights.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def read_folder(folder: Path, unlabelled: bool = False) -> list[Picture]:
    """The pictures that a folder's labels.tsv names; those without a label only if `unlabelled`.

    Raises TruelightError if the table is missing, lacks a column or holds another label.
    """
    allowed = ("REAL", "FAKE", "") if unlabelled else ("REAL", "FAKE")
    table = folder / "labels.tsv"
    if not table.is_file():
        raise TruelightError(
            f"{folder} has no labels.tsv.", "It needs the columns file, label and source."
        )
    with table.open(newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        missing = {"file", "label", "source"} - set(rows.fieldnames or ())
        if missing:
            raise TruelightError(f"{table} lacks the column {', '.join(sorted(missing))}.")
        pictures = []
        for row in rows:
            if row["label"] not in allowed:
                raise TruelightError(
                    f"{table} holds the label {row['label']!r} for {row['file']}.",
                    "A label is REAL or FAKE.",
                )
            pictures.append(
                Picture(
                    path=folder / row["file"],
                    fake=row["label"] == "FAKE",
                    source=row["source"],
                    margin=float(row.get("margin") or 1.0),
                    key=f"{folder.resolve().name}/{row['file']}",
                    labelled=bool(row["label"]),
                )
            )
    if not pictures:
        raise TruelightError(f"{table} names no picture.")
    return pictures


def held_out(source: str, share: float) -> bool:
    """Whether a source belongs to validation: by hash, so every run and every folder agree."""
    digest = hashlib.sha256(source.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share


def split(pictures: Iterable[Picture], share: float) -> tuple[list[Picture], list[Picture]]:
    """Training and validation pictures; a source is never in both."""
    train: list[Picture] = []
    validation: list[Picture] = []
    for picture in pictures:
        (validation if held_out(picture.source, share) else train).append(picture)
    return train, validation


def one_each(pictures: Sequence[Picture], most: int) -> list[Picture]:
    """At most `most` pictures: one real and one fake of each source that has both."""
    chosen: list[Picture] = []
    for pair in Pairs(pictures).by_source:
        if len(chosen) + 2 > most:
            break
        chosen += [pair[0][0], pair[1][0]]
    return chosen


class Pairs:
    """Real and fake of one source and folder, drawn source by source.

    A source weighs 1 times its folder's weight: `weights` names those that are not 1. Pictures of
    two folders make no pair: what was done to their files is not the same.
    """

    def __init__(
        self, pictures: Sequence[Picture], weights: Mapping[str, float] | None = None
    ) -> None:
        groups: dict[tuple[str, str], tuple[list[Picture], list[Picture]]]
        groups = defaultdict(lambda: ([], []))
        for picture in pictures:
            if picture.labelled:
                groups[picture.source, picture.folder][picture.fake].append(picture)
        self.by_source = [group for _, group in sorted(groups.items()) if group[0] and group[1]]
        self._lots = Lots([group[1][0].folder for group in self.by_source], weights or {})

    def draw(self, rng: np.random.Generator) -> tuple[Picture, Picture]:
        """A (real, fake) pair of one random source."""
        reals, fakes = self.by_source[self._lots.draw(rng)]
        return reals[rng.integers(len(reals))], fakes[rng.integers(len(fakes))]


class Singles:
    """Pictures drawn one by one, source by source, whatever their labels."""

    def __init__(
        self, pictures: Sequence[Picture], weights: Mapping[str, float] | None = None
    ) -> None:
        groups: dict[tuple[str, str], list[Picture]] = defaultdict(list)
        for picture in pictures:
            groups[picture.folder, picture.source].append(picture)
        self._groups = [group for _, group in sorted(groups.items())]
        self._lots = Lots([group[0].folder for group in self._groups], weights or {})

    def __len__(self) -> int:
        return len(self._groups)

    def draw(self, rng: np.random.Generator) -> Picture:
        """A random picture of a random source."""
        group = self._groups[self._lots.draw(rng)]
        return group[rng.integers(len(group))]


class Lots:
    """Draws positions; each is as likely as its folder weighs."""

    def __init__(self, folders: Sequence[str], weights: Mapping[str, float]) -> None:
        self._reached = np.cumsum([weights.get(folder, 1.0) for folder in folders])

    def draw(self, rng: np.random.Generator) -> int:
        """A random position."""
        at = np.searchsorted(self._reached, rng.random() * self._reached[-1], side="right")
        return int(at)
