"""Scores in a table, a row for each time a clip or crop was judged: figures without a new scan."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from edge.atomic_write import write_whole
from edge.errors import TruelightError
from edge.finding import Verdict
from export.evaluate.records import Condition, Judged

Number = TypeVar("Number", int, float)

COLUMNS = (
    *("file", "label", "source", "method", "dataset", "pair"),
    *("compression", "frames", "spread", "second"),
    *("verdict", "probability", "logit", "asked", "looked_at", "seconds", "memory"),
)


def write_scores(path: Path, judged: Sequence[Judged]) -> None:
    """Write tab-separated rows with a header, whole or not at all."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n")
    table.writeheader()
    table.writerows(_row(j) for j in judged)
    try:
        write_whole(path, text.getvalue())
    except OSError as failure:
        raise TruelightError(f"{path} cannot be written: {failure.strerror}.") from None


def read_scores(paths: Iterable[Path]) -> list[Judged]:
    """What `write_scores` wrote, of several files one after the other.

    Raises TruelightError if a file is missing or is no such table.
    """
    judged: list[Judged] = []
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8") as lines:
                judged += [_judged(row) for row in csv.DictReader(lines, delimiter="\t")]
        except OSError as failure:
            raise TruelightError(f"{path} cannot be read: {failure.strerror}.") from None
        except (KeyError, ValueError, TypeError) as failure:
            raise TruelightError(
                f"{path} is no table of scores: {failure!r}.", "evaluate --scores FILE writes one."
            ) from None
    return judged


def _row(j: Judged) -> dict[str, object]:
    c = j.condition
    return {
        "file": j.file,
        "label": "FAKE" if j.fake else "REAL",
        "source": j.source,
        "method": j.method,
        "dataset": j.dataset,
        "pair": j.pair,
        "compression": c.compression,
        "frames": "" if c.frames is None else c.frames,
        "spread": int(c.spread),
        "second": int(c.second),
        "verdict": j.verdict.value,
        "probability": _number(j.probability),
        "logit": _number(j.logit),
        "asked": int(j.asked),
        "looked_at": j.looked_at,
        "seconds": _number(j.seconds),
        "memory": _number(j.memory),
    }


def _judged(row: dict[str, str]) -> Judged:
    if row["label"] not in ("REAL", "FAKE"):
        raise ValueError(row["label"])
    return Judged(
        file=row["file"],
        fake=row["label"] == "FAKE",
        source=row["source"],
        method=row["method"],
        verdict=Verdict(row["verdict"]),
        probability=_if_told(float, row["probability"]),
        logit=_if_told(float, row["logit"]),
        dataset=row["dataset"],
        pair=row["pair"],
        condition=Condition(
            row["compression"],
            _if_told(int, row["frames"]),
            row["spread"] == "1",
            row["second"] == "1",
        ),
        asked=row["asked"] == "1",
        looked_at=int(row["looked_at"]),
        seconds=_if_told(float, row["seconds"]),
        memory=_if_told(float, row["memory"]),
    )


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)  # all of its digits


def _if_told(kind: Callable[[str], Number], text: str) -> Number | None:
    return kind(text) if text else None
