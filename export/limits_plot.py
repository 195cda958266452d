"""The quality limits as a picture: how far the answers move, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.errors import TruelightError
from edge.scan.manifest import QualityLimits
from export.limits import Row
from export.trials import STEPS, Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
