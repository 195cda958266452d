"""A run's curve: a row of curve.csv at every validation, and curve.png drawn from it."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export.train.validation import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCORES = ("auc", "pairs")


@dataclass(frozen=True)
class Moment:
    """What is known at a validation."""

    step: int
    steps: int
    minutes: float
    minutes_left: float
    kind: str
    side: int
    rate: float
    losses: dict[str, float]  # means since the last validation, by part; "loss" is their sum
    scores: dict[str, Score]  # by name of the validation set

    def row(self) -> dict[str, str]:
        """As a row of the table."""
        values = asdict(self)
        del values["losses"], values["scores"]
        values |= self.losses
        for name, score in self.scores.items():
            values |= {f"{measure} {name}": getattr(score, measure) for measure in SCORES}
        return {k: f"{v:.5g}" if isinstance(v, float) else str(v) for k, v in values.items()}


def append(curve: Path, moment: Moment) -> None:
    """Write a row below the others, and draw the curve anew beside it as a .png."""
    row = moment.row()
    new = not curve.exists()
    with curve.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
    plot(curve, curve.with_suffix(".png"))


def trim(curve: Path, step: int) -> None:
    """Forget what is later than a step: a run that was cut off comes there again."""
    if not curve.exists():
        return
    with curve.open(newline="") as lines:
        reader = csv.DictReader(lines)
        rows = [row for row in reader if int(row["step"]) <= step]
        columns = list(reader.fieldnames or ())
    unfinished = curve.with_suffix(".part")
    with unfinished.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, columns)
        writer.writeheader()
        writer.writerows(rows)
    unfinished.replace(curve)


def plot(curve: Path, picture: Path) -> None:
    """Draw a curve's losses and scores over its steps; sizes and kinds of phases are marked."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with curve.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    steps = [int(row["step"]) for row in rows]
    figure = Figure(figsize=(8, 7), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    names = [name for name in rows[0] if name.partition(" ")[0] in SCORES]
    for at, name in enumerate(names):
        measure, _, of = name.partition(" ")
        label = f"{of}, AUC" if measure == "auc" else f"{of}, above its own real"
        style = "-" if measure == "auc" else ":"
        _line(above, steps, [row[name] for row in rows], label, f"C{at // len(SCORES)}", style)
    above.axhline(0.5, color="grey", linewidth=0.8)
    above.set(ylabel="on held-out pictures", ylim=(min(0.45, above.get_ylim()[0]), 1.0))
    parts = ("loss", "features", "teacher", "label")
    for at, name in enumerate(part for part in parts if part in rows[0]):
        _line(below, steps, [row[name] for row in rows], name, f"C{at}", "-")
    below.set(xlabel="steps", ylabel="loss in training", ylim=(0, None))
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    _mark_phases(above, steps, rows)
    for panel in (above, below):
        panel.grid(alpha=0.3)
        panel.legend(loc="best", fontsize="small")
    unfinished = picture.with_suffix(".part")
    figure.savefig(unfinished, format="png", dpi=110)
    unfinished.replace(picture)


def _line(
    panel: Axes, steps: list[int], texts: list[str], label: str, colour: str, style: str
) -> None:
    """One measure; validations at which it was not defined leave a gap."""
    values = [float(text) for text in texts]
    if not all(math.isnan(value) for value in values):
        panel.plot(steps, values, style, color=colour, label=label, marker=".", markersize=4)


def _mark_phases(panel: Axes, steps: list[int], rows: list[dict[str, str]]) -> None:
    """What each stretch of the run was, written where it begins."""
    before, begins = "", 0
    for step, row in zip(steps, rows, strict=True):
        now = f"{row['kind']}, {row['side']} px"
        if now != before:
            panel.axvline(begins, color="grey", linewidth=0.8, linestyle="--")
            where = (begins, 1.0)
            panel.annotate(
                now, where, (3, -11), xycoords=panel.get_xaxis_transform(),
                textcoords="offset points", fontsize="small", color="grey",
            )  # fmt: skip
        before, begins = now, step
