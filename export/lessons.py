"""Cached features and the labels of the pictures that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from export.teacher import Features, TeacherFeatures, Told
from export.training.data import held_out, read_folder


@dataclass(frozen=True)
class Lessons:
    """Rows of features `[n, D]`, labels `[n]`, and whence the pictures are."""

    features: Features
    fakes: NDArray[np.bool_]
    sources: list[str]

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def told(self) -> str:
        """How many of how many sources, in words."""
        return f"{len(self)} pictures of {len(set(self.sources))} sources"


def lessons_of(
    taught: Sequence[TeacherFeatures], folders: Sequence[Path], share: float
) -> tuple[Lessons, Lessons]:
    """What to learn from, and what is kept out: a `share` of the sources, as in training.

    Mirror images, where they are known, are learned from as well.

    Raises TruelightError if the features are of different teachers, or of no picture.
    """
    if len({_teacher(one.told) for one in taught}) > 1:
        raise TruelightError("The folders of features are not of one teacher.")
    pictures = {p.key: p for folder in folders for p in read_folder(folder.resolve())}
    # A picture that two teachers' folders know counts once.
    rows = [[(row, pictures.pop(name)) for row, name in enumerate(one.names) if name in pictures]
            for one in taught]  # fmt: skip
    made = []
    for aside in (False, True):
        parts: list[Features] = []
        fakes: list[bool] = []
        sources: list[str] = []
        for one, known in zip(taught, rows, strict=True):
            chosen = [(row, p) for row, p in known if held_out(p.source, share) is aside]
            at = [row for row, _ in chosen]
            ways = [one.matrix, None if aside else one.mirrored]
            for way in ways:
                if way is not None:
                    parts.append(way[at])
                    fakes += [p.fake for _, p in chosen]
                    sources += [p.source for _, p in chosen]
        made.append(Lessons(np.concatenate(parts), np.array(fakes, bool), sources))
    learned, kept = made
    if not len(learned):
        raise TruelightError(
            "None of the labelled pictures has features.",
            "Cache the features of the same folders: they are known by the folders' names.",
        )
    return learned, kept


def _teacher(told: Told) -> Told:
    return told.model_copy(update={"mirrored": False})
