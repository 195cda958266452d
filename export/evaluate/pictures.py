"""The plots of an evaluation: what is drawn, and what is said to people who cannot see it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.finding import Thresholds
from export.evaluate.figures import Figures
from export.evaluate.groups import REAL_METHOD, arrays
from export.evaluate.plots import (
    Dots,
    Value,
    dots_plot,
    lines_plot,
    reliability_plot,
    roc_plot,
    values_plot,
)
from export.evaluate.records import Judged
from export.metrics import Floats, draws_of, roc

MOST_ROWS = 24
"""Of more groups, the smallest are not drawn; the table has them."""


@dataclass(frozen=True)
class Picture:
    """A plot on the page."""

    title: str
    svg: str
    caption: str


def pictures(m: Figures, plain: Sequence[Judged], thresholds: Thresholds) -> list[Picture]:
    """Every plot that there is data for."""
    drawn = [_roc(m, plain), _reliability(m, plain)]
    if len(m.by_compression) > 1:
        drawn.append(_compressions(m))
    if m.by_frames:
        drawn.append(_frames(m))
    return [*drawn, _dots(plain, thresholds)]


def _roc(m: Figures, plain: Sequence[Judged]) -> Picture:
    labels, scores, sources = arrays(plain)
    false, true = roc(labels, scores)
    found = ", ".join(
        f"{100 * value:.0f} % at {100 * float(share):.0f} %"
        for share, value in m.at_false_alarms.items()
    )
    return Picture(
        "Fakes found against false alarms",
        roc_plot(false, true, _band(labels, scores, sources), f"ROC curve, AUC {m.auc:.3f}."),
        f"AUC {m.auc:.3f} ({m.auc_interval[0]:.3f} to {m.auc_interval[1]:.3f}). "
        f"Fakes found at false alarms of: {found}. Shaded: 95 % of draws of sources.",
    )


def _band(labels: Floats, scores: Floats, sources: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """Where the curve lies in 95 % of draws of sources."""
    grid = np.linspace(0, 1, 101)
    curves = []
    for weights in draws_of(sources, 400):
        for false, true in zip(*roc(labels, scores, weights), strict=True):
            if not np.isnan(true[-1] + false[-1]):
                curves.append(true[np.searchsorted(false, grid, side="right") - 1])
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    return grid, low, high


def _reliability(m: Figures, plain: Sequence[Judged]) -> Picture:
    bins = m.reliability
    return Picture(
        "What a probability is worth",
        reliability_plot(
            [each.mean_probability for each in bins],
            [Value("", each.fakes, each.fakes_interval) for each in bins],
            [
                [j.probability for j in plain if j.fake is fake and j.probability is not None]
                for fake in (False, True)
            ],
            f"Reliability in {len(bins)} bins, calibration error {m.calibration_error:.3f}.",
        ),
        f"On the line, 70 % of those called fake with 70 % are fakes. Calibration error "
        f"{m.calibration_error:.3f}, Brier score {m.brier:.3f}. A point for each {bins[0].count} "
        "or so; below, how many reals (lower) and fakes have which probability.",
    )


def _dots(plain: Sequence[Judged], thresholds: Thresholds) -> Picture:
    groups: dict[str, list[float]] = defaultdict(list)
    for j in plain:
        if j.probability is not None:
            groups[j.method if j.fake else REAL_METHOD].append(j.probability)
    reals = groups.pop(REAL_METHOD, [])
    largest = sorted(groups.items(), key=lambda item: -len(item[1]))[:MOST_ROWS]
    rows = [Dots(f"reals ({len(reals)})", reals, ())]
    rows += [
        Dots(f"{name} ({len(scores)})", (), scores)
        for name, scores in sorted(largest, key=lambda item: -float(np.mean(item[1])))
    ]
    edges = (thresholds.real, thresholds.fake)
    return Picture(
        "Scores by method",
        dots_plot(rows, edges, "Probabilities of all reals, and of the fakes by method."),
        f"A dot for each clip, a bar for the mean. Left of {100 * edges[0]:.0f} % REAL is said, "
        f"right of {100 * edges[1]:.0f} % FAKE, UNSURE between.",
    )


def _compressions(m: Figures) -> Picture:
    return Picture(
        "AUC by compression",
        values_plot(
            [Value(way.name, way.auc, way.auc_interval) for way in m.by_compression if way.auc],
            "AUC",
            "AUC of clips as they are and recompressed.",
        ),
        "The same clips, recompressed by the evaluation itself; 95 % intervals over sources.",
    )


def _frames(m: Figures) -> Picture:
    told = [part for part in m.by_frames if part.auc is not None and part.accuracy is not None]
    spread = any(part.spread for part in told)
    return Picture(
        "Accuracy against the number of frames",
        lines_plot(
            [part.frames for part in told],
            [
                [Value("accuracy", part.accuracy or 0, part.accuracy_interval) for part in told],
                [Value("AUC", part.auc or 0, part.auc_interval) for part in told],
            ],
            ("frames asked for", ""),
            "Accuracy and AUC by how many frames were judged.",
        ),
        "Frames of windows spread over the whole clip."
        if spread
        else "The first consecutive frames of each clip, as published systems judge.",
    )
