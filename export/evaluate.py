"""How good a bundle is on labelled clips or crops it never saw, in figures with intervals.

The unit is the source: intervals are bootstrapped over sources, and beside the plain AUC over clips
stands one in which every source weighs the same.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from edge.errors import TruelightError
from edge.finding import Finding, Verdict
from edge.scan.manifest import Figure, Manifest
from edge.scan.verdict import calibrated
from export.metrics import auc, calibration_error, interval
from export.training.augment import PLAIN
from export.training.data import held_out, read_folder

if TYPE_CHECKING:
    from edge.scan.bundle import Bundle
    from edge.scan.scanner import Scanner

Progress = Callable[[int, int], None]
CROPS_AT_ONCE = 32


@dataclass(frozen=True)
class Judged:
    """A labelled clip or crop and what the bundle said of it."""

    file: str
    fake: bool
    source: str
    method: str
    verdict: Verdict
    probability: float | None
    finding: Finding | None = None


class Group(BaseModel):
    """Figures of a part of the data."""

    model_config = ConfigDict(frozen=True)

    name: str
    reals: int
    fakes: int
    scored: int
    auc: float | None
    mean_probability: float | None
    right: int
    wrong: int
    unsure: int


class Figures(BaseModel):
    """Everything that was measured; shares are 0 to 1."""

    model_config = ConfigDict(frozen=True)

    clips: int
    reals: int
    fakes: int
    sources: int
    auc: float
    auc_interval: tuple[float, float]
    auc_sources: float
    auc_sources_interval: tuple[float, float]
    accuracy: float
    accuracy_interval: tuple[float, float]
    decided: float
    accuracy_when_decided: float | None
    false_alarms: float
    false_alarms_interval: tuple[float, float]
    missed: float
    calibration_error: float
    brier: float
    unsure: float
    no_face: float
    unreadable: float
    by_source: tuple[Group, ...]
    by_method: tuple[Group, ...]


def judge_clips(scanner: Scanner, folder: Path, progress: Progress) -> list[Judged]:
    """Scan every clip that the folder's labels.tsv names.

    Raises TruelightError if the table is missing or names a clip that is not there.
    """
    rows = _rows(folder)
    judged = []
    for done, row in enumerate(rows):
        progress(done, len(rows))
        path = folder / row["file"]
        if not path.is_file():
            raise TruelightError(f"{path} is missing.", "labels.tsv names it.")
        finding = scanner.scan(path)
        judged.append(_judged(row, finding.verdict, finding.fake_probability, finding))
    return judged


def judge_crops(
    bundle: Bundle, folder: Path, progress: Progress, share: float = 1.0
) -> list[Judged]:
    """Score the crops of a folder as they are: as a window of one picture that stands still.

    `share` below 1 takes only the sources that training with that validation share holds out.
    """
    both = zip(_rows(folder), read_folder(folder), strict=True)
    chosen = [(row, picture) for row, picture in both if held_out(picture.source, share)]
    rows, pictures = [row for row, _ in chosen], [picture for _, picture in chosen]
    manifest = bundle.manifest
    judged: list[Judged] = []
    for at in range(0, len(pictures), CROPS_AT_ONCE):
        progress(at, len(pictures))
        part = pictures[at : at + CROPS_AT_ONCE]
        crops = [PLAIN.apply(p.read(), p.margin, manifest.input.side) for p in part]
        features = bundle.features(np.stack(crops))
        windows = np.repeat(features[:, None], manifest.window.frames, axis=1)
        for row, logit in zip(rows[at : at + CROPS_AT_ONCE], bundle.sequence(windows), strict=True):
            probability = calibrated(float(logit), manifest)
            judged.append(_judged(row, decide(probability, manifest), probability))
    return judged


def decide(probability: float, manifest: Manifest) -> Verdict:
    """The verdict that the bundle's thresholds give one probability."""
    if probability >= manifest.thresholds.fake:
        return Verdict.FAKE
    return Verdict.REAL if probability <= manifest.thresholds.real else Verdict.UNSURE


def figures(judged: Sequence[Judged]) -> Figures:
    """Sum up. AUC, accuracy and calibration are of what has a probability.

    Raises TruelightError if no real or no fake has one: then nothing can be said.
    """
    scored = [j for j in judged if j.probability is not None]
    labels = np.array([j.fake for j in scored], dtype=np.float64)
    scores = np.array([j.probability for j in scored], dtype=np.float64)
    if not 0 < labels.sum() < len(labels):
        raise TruelightError(
            "Reals and fakes with a face are both needed.", "Add what is missing to the folder."
        )
    sources = [j.source for j in scored]
    verdicts = [j.verdict for j in judged]
    decided = [j for j in judged if j.verdict in (Verdict.REAL, Verdict.FAKE)]
    reals = [j for j in judged if not j.fake]
    fakes = [j for j in judged if j.fake]
    alarms = [float(j.verdict is Verdict.FAKE) for j in reals]
    weights = _weights(scored)
    correct = ((scores >= 0.5) == labels).astype(np.float64)
    return Figures(
        clips=len(judged),
        reals=len(reals),
        fakes=len(fakes),
        sources=len({j.source for j in judged}),
        auc=auc(labels, scores),
        auc_interval=interval(labels, scores, sources),
        auc_sources=weighted_auc(labels, scores, weights),
        auc_sources_interval=_weighted_interval(scored, labels, scores, weights),
        accuracy=float(correct.mean()),
        accuracy_interval=interval(labels, correct, sources, _mean),
        decided=len(decided) / len(judged),
        accuracy_when_decided=_share(_right(j) for j in decided) if decided else None,
        false_alarms=_share(alarms),
        false_alarms_interval=interval(np.zeros(len(alarms)), alarms, _names(reals), _mean),
        missed=_share(j.verdict is Verdict.REAL for j in fakes),
        calibration_error=calibration_error(labels, scores),
        brier=float(((scores - labels) ** 2).mean()),
        unsure=_share(v is Verdict.UNSURE for v in verdicts),
        no_face=_share(v is Verdict.NO_FACE for v in verdicts),
        unreadable=_share(v is Verdict.UNREADABLE for v in verdicts),
        by_source=_groups(judged, lambda j: j.source),
        by_method=_groups(judged, lambda j: j.method if j.fake else "(real)"),
    )


def recorded(measured: Figures, data: str, command: str) -> list[Figure]:
    """The figures that a bundle carries in `bundle.json` and its card; shares are 0 to 1."""
    m = measured
    nothing = (None, None)
    rows: list[tuple[str, float | None, tuple[float | None, float | None]]] = [
        ("AUC", m.auc, m.auc_interval),
        ("AUC, every source weighing the same", m.auc_sources, m.auc_sources_interval),
        ("accuracy if forced at 0.5", m.accuracy, m.accuracy_interval),
        ("share decided (REAL or FAKE)", m.decided, nothing),
        ("accuracy where decided", m.accuracy_when_decided, nothing),
        ("false alarms (FAKE said of a real)", m.false_alarms, m.false_alarms_interval),
        ("missed (REAL said of a fake)", m.missed, nothing),
        ("calibration error", m.calibration_error, nothing),
        ("UNSURE, share", m.unsure, nothing),
        ("NO_FACE, share", m.no_face, nothing),
    ]
    data = f"{data}: {m.reals} real, {m.fakes} fake, {m.sources} sources"
    return [
        Figure(name=name, value=value, low=low, high=high, data=data, command=command)
        for name, value, (low, high) in rows
        if value is not None
    ]


def weighted_auc(
    labels: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray,
) -> float:
    """AUC in which every pair of a real and a fake counts by the product of their weights."""
    real, fake = labels == 0, labels == 1
    above = scores[fake][:, None] - scores[real][None]
    pairs = weights[fake][:, None] * weights[real][None]
    total = float(pairs.sum())
    return float((pairs * ((above > 0) + 0.5 * (above == 0))).sum() / total) if total else math.nan


def _weights(judged: Sequence[Judged]) -> np.ndarray:
    """One over the number of clips of the same source and label."""
    counts: dict[tuple[str, bool], int] = defaultdict(int)
    for j in judged:
        counts[j.source, j.fake] += 1
    return np.array([1.0 / counts[j.source, j.fake] for j in judged])


def _weighted_interval(
    judged: Sequence[Judged],
    labels: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray,
) -> tuple[float, float]:
    """As `interval`; what is resampled are indices, so that weights follow their clips."""
    index = np.arange(len(judged), dtype=np.float64)

    def statistic(_: np.ndarray, drawn: np.ndarray) -> float:
        i = drawn.astype(int)
        return weighted_auc(labels[i], scores[i], weights[i])

    return interval(labels, index, _names(judged), statistic)


def _groups(judged: Sequence[Judged], key: Callable[[Judged], str]) -> tuple[Group, ...]:
    parts: dict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        parts[key(j)].append(j)
    return tuple(_group(name, part) for name, part in sorted(parts.items()))


def _group(name: str, part: Sequence[Judged]) -> Group:
    scored = [(j.fake, j.probability) for j in part if j.probability is not None]
    labels, scores = [float(f) for f, _ in scored], [p for _, p in scored]
    value = auc(labels, scores) if scored else math.nan
    decided = [j for j in part if j.verdict in (Verdict.REAL, Verdict.FAKE)]
    right = sum(_right(j) for j in decided)
    return Group(
        name=name,
        reals=sum(not j.fake for j in part),
        fakes=sum(j.fake for j in part),
        scored=len(scored),
        auc=None if math.isnan(value) else value,
        mean_probability=float(np.mean(scores)) if scores else None,
        right=right,
        wrong=len(decided) - right,
        unsure=sum(j.verdict is Verdict.UNSURE for j in part),
    )


def _right(judged: Judged) -> bool:
    return judged.verdict is (Verdict.FAKE if judged.fake else Verdict.REAL)


def _share(values: Iterable[float]) -> float:
    listed = list(values)
    return float(np.mean(listed)) if listed else 0.0


def _mean(_: np.ndarray, values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _names(judged: Sequence[Judged]) -> list[str]:
    return [j.source for j in judged]


def _judged(
    row: dict[str, str],
    verdict: Verdict,
    probability: float | None,
    finding: Finding | None = None,
) -> Judged:
    method = row.get("method") or "-"
    fake = row["label"] == "FAKE"
    return Judged(row["file"], fake, row["source"], method, verdict, probability, finding)


def _rows(folder: Path) -> list[dict[str, str]]:
    read_folder(folder)  # refuses a table that is not one
    with (folder / "labels.tsv").open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))
