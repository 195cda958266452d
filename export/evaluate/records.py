"""Predictions for labelled clips and crops, which every figure is made of, and their table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edge.atomic_write import atomic_write
from edge.errors import TruelightError
from edge.finding import Finding, Verdict
from export.metrics import Floats, weighted_auc

AS_IS: Final = "as is"


class Condition(BaseModel):
    """How a clip was shown to the bundle."""

    model_config = ConfigDict(frozen=True)

    compression: str = AS_IS
    frames: int | None = None
    """The number of frames asked for; None: as the box samples a clip."""
    spread: bool = False
    """Whether those are spread over the clip; else they are its first."""
    second: bool = False
    """Whether a second opinion was available."""


PLAIN: Final = Condition()


class FaceView(BaseModel):
    """How the face that counts and is seen most is seen."""

    model_config = ConfigDict(frozen=True)

    face_px: float
    light: float
    sharpness: float
    roll: float
    skin: float | None = None
    """Individual typology angle, degrees."""


class Prediction(BaseModel):
    """A labelled clip or crop and the bundle's answer."""

    model_config = ConfigDict(frozen=True)

    file: str
    fake: bool
    source: str
    method: str = "-"
    dataset: str = ""
    pair: str = ""
    """The file that a fake was made from, if the table names it."""
    condition: Condition = PLAIN
    verdict: Verdict
    probability: float | None
    logit: float | None = None
    """The deciding face's mean window logit, before calibration."""
    asked: bool = False
    """Whether a second opinion was asked for."""
    looked_at: int = 0
    """Frames in which a face was scored."""
    seconds: float | None = None
    memory: float | None = None
    """Peak memory of the program during the scan, MB."""
    view: FaceView | None = None
    sha256: str = ""
    """Of the clip, before it was recompressed."""
    scored_by: str = ""
    """Which models under which settings; empty if that was not noted."""
    recompressed_by: str = ""
    """The version of `export.data.recompress`; empty: not recompressed, or by version 2."""
    finding: Finding | None = Field(default=None, exclude=True, repr=False)

    @property
    def right(self) -> bool:
        """Whether the verdict is the label."""
        return self.verdict is (Verdict.FAKE if self.fake else Verdict.REAL)

    @property
    def decided(self) -> bool:
        """Whether the verdict is REAL or FAKE."""
        return self.verdict in (Verdict.REAL, Verdict.FAKE)


class Scores:
    """The predictions that have a probability, as arrays [n]."""

    def __init__(self, predictions: Iterable[Prediction]) -> None:
        scored = [p for p in predictions if p.probability is not None]
        self.labels: Floats = np.array([p.fake for p in scored], dtype=np.float64)
        self.scores: Floats = np.array([p.probability for p in scored], dtype=np.float64)
        self.sources = [p.source for p in scored]
        self.files = [p.file for p in scored]

    @property
    def correct(self) -> Floats:
        """1 where a probability forced at 0.5 is the label."""
        return np.asarray((self.scores >= 0.5) == self.labels, np.float64)

    def auc(self, weights: Floats) -> Floats:
        """Weights [..., n] -> AUC [...]."""
        return weighted_auc(self.labels, self.scores, weights)


COLUMNS = (
    *("file", "label", "source", "method", "dataset", "pair"),
    *("compression", "frames", "spread", "second"),
    *("verdict", "probability", "logit", "asked", "looked_at", "seconds", "memory"),
    *FaceView.model_fields,
    *("sha256", "scored_by", "recompressed_by"),
)


def write_scores(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write tab-separated rows with a header, atomically; flags are 0 or 1, None is empty."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n")
    table.writeheader()
    for prediction in predictions:
        row = prediction.model_dump(mode="json", exclude={"condition", "fake", "view"})
        row |= prediction.condition.model_dump()
        row |= prediction.view.model_dump() if prediction.view else {}
        row = {key: int(value) if isinstance(value, bool) else value for key, value in row.items()}
        table.writerow(row | {"label": "FAKE" if prediction.fake else "REAL"})
    try:
        atomic_write(path, text.getvalue())
    except OSError as failure:
        raise TruelightError(f"{path} cannot be written: {failure.strerror}.") from None


def read_scores(paths: Iterable[Path]) -> list[Prediction]:
    """Read the tables that `write_scores` wrote, one after the other.

    Raises TruelightError if a file is missing or is not such a table.
    """
    predictions: list[Prediction] = []
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8") as lines:
                predictions += [_prediction(row) for row in csv.DictReader(lines, delimiter="\t")]
        except OSError as failure:
            raise TruelightError(f"{path} cannot be read: {failure.strerror}.") from None
        except (KeyError, ValueError) as failure:
            raise TruelightError(
                f"{path} is not a table of scores: {failure!r}.",
                "evaluate --scores FILE writes one.",
            ) from None
    return predictions


def _prediction(row: dict[str, str]) -> Prediction:
    known = {name: value for name, value in row.items() if value} | {"label": row["label"]}
    fake = {"REAL": False, "FAKE": True}[known["label"]]
    probability = row["probability"] or None
    view = FaceView.model_validate(known) if known.get("face_px") else None
    values = {**known, "probability": probability, "fake": fake, "view": view}
    return Prediction.model_validate({**values, "condition": Condition.model_validate(known)})
