"""Validation while training: scores in which every source weighs the same, and the run's curve."""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from edge.atomic_write import publish, unfinished_file
from export.data.augment import CENTRE_CROP
from export.data.folders import Example, one_each, read_folder
from export.metrics import weighted_auc

BATCH = 64  # images
MAX_HELD_OUT = 1000
SCORES = ("auc", "pairs")
LOSSES = ("loss", "features", "teacher", "label")


@dataclass(frozen=True)
class Score:
    """Two metrics of the same logits; NaN where undefined."""

    auc: float  # every source weighs the same
    pairs: float
    """Share of fakes with a higher logit than the reals of their source, averaged over sources."""


def validation_sets(held_out: Sequence[Example], watch: Sequence[Path]) -> dict[str, list[Example]]:
    """The held-out examples, which choose the checkpoint, and folders that are only measured."""
    sets = {"validation": one_each(held_out, MAX_HELD_OUT)}
    for folder in watch:
        name = folder.resolve().name
        sets[str(folder) if name in sets else name] = read_folder(folder)
    return sets


def validate(examples: Sequence[Example], side: int, predict: Callable[[Tensor], Tensor]) -> Score:
    """Score logits [n] that `predict` gives for centre crops, uint8 [n, side, side, 3]."""
    if not examples:
        return Score(math.nan, math.nan)
    logits: list[Tensor] = []
    for begin in range(0, len(examples), BATCH):
        part = examples[begin : begin + BATCH]
        crops = np.stack([CENTRE_CROP.apply(e.read(), e.margin, side) for e in part])
        logits.append(predict(torch.from_numpy(crops)).float().cpu())
    return score(examples, torch.cat(logits).numpy())


def score(examples: Sequence[Example], logits: ArrayLike) -> Score:
    """Score the logits [n] of examples."""
    values = np.asarray(logits, dtype=np.float64)
    fakes = np.array([example.fake for example in examples])
    sources = [example.source for example in examples]
    weights = source_weights(fakes, sources)
    groups: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for source, fake, value in zip(sources, fakes.tolist(), values.tolist(), strict=True):
        groups[source][fake].append(value)
    shares = [
        float((np.sign(np.subtract.outer(found, reals)) + 1).mean() / 2)
        for reals, found in groups.values()
        if reals and found
    ]
    return Score(
        float(weighted_auc(fakes, values, weights)), float(np.mean(shares)) if shares else math.nan
    )


def source_weights(fakes: NDArray[np.bool_], sources: Sequence[str]) -> NDArray[np.float64]:
    """Weights [n] with which each source's reals sum to 1, and its fakes to 1."""
    groups = list(zip(sources, fakes.tolist(), strict=True))
    counts = Counter(groups)
    return np.array([1.0 / counts[group] for group in groups])


@dataclass(frozen=True)
class LogEntry:
    """The state of a run at a validation."""

    step: int
    steps: int
    minutes: float
    minutes_left: float
    kind: str
    side: int
    rate: float
    losses: dict[str, float]  # means since the last validation; "loss" is the total
    scores: dict[str, Score]  # by validation set

    def row(self) -> dict[str, str]:
        """As a row of curve.csv."""
        values = asdict(self)
        del values["losses"], values["scores"]
        values |= self.losses
        for name, result in self.scores.items():
            values |= {f"{metric} {name}": getattr(result, metric) for metric in SCORES}
        return {k: f"{v:.5g}" if isinstance(v, float) else str(v) for k, v in values.items()}


def append_entry(curve: Path, entry: LogEntry) -> None:
    """Append a row to curve.csv and plot it as curve.png beside it."""
    row = entry.row()
    new = not curve.exists()
    with curve.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
    plot(curve, curve.with_suffix(".png"))


def trim(curve: Path, step: int) -> None:
    """Remove the rows after a step, which a resumed run repeats."""
    if not curve.exists():
        return
    with curve.open(newline="") as lines:
        rows = list(csv.reader(lines))
    at = rows[0].index("step")
    with unfinished_file(curve) as half:
        with half.open("w", newline="") as lines:
            csv.writer(lines).writerows([rows[0], *(r for r in rows[1:] if int(r[at]) <= step)])
        publish(half, curve)


def plot(curve: Path, picture: Path) -> None:
    """Plot the scores and losses over the steps; phases are marked where they begin."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with curve.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    steps = [int(row["step"]) for row in rows]
    figure = Figure(figsize=(8, 7), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    for name in rows[0]:
        metric = name.partition(" ")[0]
        values = [float(row[name]) for row in rows] if metric in (*SCORES, *LOSSES) else [math.nan]
        if not np.isnan(values).all():  # single undefined values leave a gap
            panel, style = (above if metric in SCORES else below), ":" if metric == "pairs" else "-"
            panel.plot(steps, values, style, label=name, marker=".", markersize=4)
    above.axhline(0.5, color="grey", linewidth=0.8)
    above.set(ylabel="on held-out images", ylim=(min(0.45, above.get_ylim()[0]), 1.0))
    below.set(xlabel="steps", ylabel="training loss", ylim=(0, None))
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    phases = [f"{row['kind']}, {row['side']} px" for row in rows]
    for begin, phase, before in zip([0, *steps], phases, ["", *phases], strict=False):
        if phase != before:
            above.axvline(begin, color="grey", linewidth=0.8, linestyle="--")
            above.text(begin, 1.0, f" {phase}", va="top", fontsize="small", color="grey")
    for panel in (above, below):
        panel.grid(alpha=0.3)
        panel.legend(loc="best", fontsize="small")
    with unfinished_file(picture) as half:
        figure.savefig(half, format="png", dpi=110)
        publish(half, picture)
