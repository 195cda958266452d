"""How small, dark, blurred or brief a face may be before a bundle's judging falls apart.

Good faces of labelled clips are worsened step by step until they measure so much (the very numbers
that a scan compares with the limits), and each is asked about again.

**What is measured** is how far the logit moves away from that of the same face as it was: the mean
square of that change, as a share of the mean square by which two unrelated clips differ (which is
twice their variance; every source weighs the same). 0 is no change; 1 is an answer that has no more
to do with this face than with any other; a score that collapses to one value for all comes to a
half. This is one less Lin's concordance correlation (1989), with the spread of the unchanged faces
on both sides. It sees what the thresholds suffer from, noise as well as a shift of all faces
towards FAKE, and it is paired, so some dozen sources fix it where they leave the AUC open by a
tenth either way; and it also holds for a model that is hardly better than chance. The AUC, the
verdicts that change and the wrong ones stand beside it.

**The limit** is the smallest step that, like all better ones, keeps the change within the
tolerance: a quarter by default. A score keeping its spread then still has a correlation of 0.75
with what it was: an AUC of 0.80 would become about 0.74.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from edge.finding import Verdict
from edge.scan.model.manifest import Manifest, MeasuredFigure, QualityLimits
from edge.scan.verdict import calibrated, decide
from export.evaluate.robustness import STEPS, Measure, Trial
from export.metrics import auc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

TOLERANCE = 0.25
LEAST_FACES = 8  # at a step; with fewer it tells nothing
DRAWS = 2000


@dataclass(frozen=True)
class Row:
    """A step: what it does to the faces that were better than it."""

    measure: Measure
    step: float
    faces: int
    sources: int
    change: float
    change_interval: tuple[float, float]
    auc_before: float
    auc_after: float
    changed: float  # share of verdicts that are others than before
    false_alarms: float  # share of reals that FAKE is said of
    missed: float  # share of fakes that REAL is said of


def table(trials: Sequence[Trial], manifest: Manifest) -> list[Row]:
    """A row for every step that enough faces were brought to."""
    rows = []
    for measure, steps in STEPS.items():
        kind = [trial for trial in trials if trial.measure == measure]
        spread = _spread(kind)
        for step in steps:
            part = [trial for trial in kind if trial.step == step]
            if len(part) >= LEAST_FACES and len({trial.source for trial in part}) > 1:
                rows.append(_row(part, spread, manifest))
    return rows


def limits(rows: Sequence[Row], now: QualityLimits, tolerance: float = TOLERANCE) -> QualityLimits:
    """The smallest step of each measure that holds; as it is `now` where none was tried or held."""
    found: dict[str, float] = {}
    for measure in STEPS:
        steps = [row for row in rows if row.measure == measure]
        for row in sorted(steps, key=lambda row: -row.step):
            if row.change > tolerance:
                break
            found[measure] = row.step
        if steps and measure not in found:  # not even the best step holds: all must be better
            found[measure] = max(row.step for row in steps)
    return now.model_copy(update=found)


def recorded(rows: Sequence[Row], data: str, command: str) -> list[MeasuredFigure]:
    """The table as figures for the bundle and its card."""
    return [
        MeasuredFigure(
            name=f"change of the logit, {said(row.measure, row.step)}",
            value=row.change,
            low=row.change_interval[0],
            high=row.change_interval[1],
            data=data,
            command=command,
        )
        for row in rows
    ]


def said(measure: Measure, step: float) -> str:
    """A step in words."""
    words = {
        "face_px": "faces of {:g} px",
        "light": "faces of light {:g}",
        "sharpness": "faces of sharpness {:g}",
        "seconds": "faces seen for {:g} s",
    }
    return words[measure].format(step)


def _spread(trials: Sequence[Trial]) -> float:
    """By how much two unrelated faces' logits differ, as a mean square."""
    faces = sorted({(trial.source, trial.before) for trial in trials})
    counts: dict[str, int] = {}
    for source, _ in faces:
        counts[source] = counts.get(source, 0) + 1
    weights = np.array([1 / counts[source] / len(counts) for source, _ in faces])
    logits = np.array([logit for _, logit in faces])
    if not len(logits):
        return 0.0
    return 2 * float(weights @ (logits - weights @ logits) ** 2)


def _row(part: Sequence[Trial], spread: float, manifest: Manifest) -> Row:
    squares: dict[str, list[float]] = {}
    for trial in part:
        squares.setdefault(trial.source, []).append((trial.after - trial.before) ** 2)
    by_source = np.array([np.mean(each) for each in squares.values()]) / max(spread, 1e-12)
    labels = [float(trial.fake) for trial in part]
    before = [_verdict(trial.before, manifest) for trial in part]
    after = [_verdict(trial.after, manifest) for trial in part]
    real = [verdict for verdict, trial in zip(after, part, strict=True) if not trial.fake]
    fake = [verdict for verdict, trial in zip(after, part, strict=True) if trial.fake]
    return Row(
        part[0].measure,
        part[0].step,
        faces=len(part),
        sources=len(squares),
        change=float(by_source.mean()),
        change_interval=_interval(by_source),
        auc_before=auc(labels, [trial.before for trial in part]),
        auc_after=auc(labels, [trial.after for trial in part]),
        changed=_share([a is not b for a, b in zip(after, before, strict=True)]),
        false_alarms=_share([verdict is Verdict.FAKE for verdict in real]),
        missed=_share([verdict is Verdict.REAL for verdict in fake]),
    )


def _interval(by_source: Floats) -> tuple[float, float]:
    """95 %, by percentile bootstrap over sources."""
    drawn = np.random.default_rng(0).choice(by_source, (DRAWS, len(by_source))).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _verdict(logit: float, manifest: Manifest) -> Verdict:
    return decide(calibrated(logit, manifest), 1, manifest.thresholds)[0]


def _share(said: Sequence[bool]) -> float:
    return sum(said) / len(said) if said else 0.0


TITLES: Final[dict[Measure, str]] = {
    "face_px": "size of the face, px",
    "light": "light of the face, 0 to 255",
    "sharpness": "sharpness of the face",
    "seconds": "seconds seen",
}
CHANGE, AUC, SOFT = "#b3261e", "#1f5fa8", "#777777"


def draw(rows: Sequence[Row], limits: QualityLimits, tolerance: float, file: Path) -> None:
    """Write a panel for every measure; the kind of picture by the file's name.

    Raises TruelightError if the file cannot be written or its kind is not known.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    for axes, measure in zip(figure.subplots(2, 2).flat, STEPS, strict=True):
        part = [row for row in rows if row.measure == measure]
        _panel(axes, measure, part, getattr(limits, measure), tolerance)
    figure.suptitle("What worse faces do to the answer", fontsize=12)
    labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(*labels, loc="outside lower center", ncols=4, frameon=False)
    try:
        figure.savefig(file, dpi=120)
    except (OSError, ValueError) as failure:
        raise TruelightError(f"{file} cannot be drawn: {failure}.") from None


def _panel(
    axes: Axes, measure: Measure, rows: Sequence[Row], limit: float, tolerance: float
) -> None:  # fmt: skip
    axes.set_xlabel(TITLES[measure])
    axes.set_ylim(0, 1.05)
    axes.spines[["top", "right"]].set_visible(False)
    if not rows:
        axes.text(0.5, 0.5, "too few faces", ha="center", transform=axes.transAxes, color=SOFT)
        return
    steps = [row.step for row in rows]
    changes = [min(row.change, 1.0) for row in rows]
    low, high = ([min(row.change_interval[end], 1.0) for row in rows] for end in (0, 1))
    axes.set_xscale("log")
    axes.set_xticks(steps, [f"{step:g}" for step in steps])
    axes.minorticks_off()
    axes.fill_between(steps, low, high, color=CHANGE, alpha=0.15, linewidth=0)
    axes.plot(steps, changes, "o-", color=CHANGE, label="change of the logit (share of chance)")
    axes.plot(steps, [row.auc_after for row in rows], "s--", color=AUC, label="AUC")
    axes.plot(
        steps, [row.auc_before for row in rows], ":", color=AUC, label="AUC of the same faces as is"
    )
    axes.axhline(tolerance, color=SOFT, linewidth=0.8)
    axes.axvline(limit, color=SOFT, linestyle="-.", label="limit")
