"""Plots: SVG elements for the evaluation page in its style's colours, and the limits as a file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import matplotlib as mpl
import numpy as np

from edge.errors import TruelightError
from export.metrics import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from edge.scan.model.manifest import QualityLimits
    from export.evaluate.limits import LimitRow

INK, SOFT, RULE = "#010101", "#020202", "#030303"
FAKE, REAL, BAND = "#040404", "#050505", "#060606"
NAMES: Final = {
    INK: "ink", SOFT: "soft", RULE: "rule", FAKE: "fake", REAL: "real", BAND: "band",
}  # fmt: skip
"""Placeholder colours, by variable of the page's style."""

LIMIT_TITLES: Final = {
    "face_px": "size of the face, px",
    "light": "light of the face, 0 to 255",
    "sharpness": "sharpness of the face",
    "seconds": "seconds seen",
}

WIDTH = 4.4
"""Inches; at 72 points each that is about a phone's width in pixels."""

STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "truelight",
    "font.size": 11,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Value:
    """A figure with its interval, for a point of a plot."""

    name: str
    value: float
    within: tuple[float, float] | None


@dataclass(frozen=True)
class Dots:
    """A group's scores, 0 to 1."""

    name: str
    reals: Sequence[float]
    fakes: Sequence[float]


def draw(height: float, paint: Callable[[Figure], None], label: str) -> str:
    """A figure of `height` inches as an SVG element; `label` is its text for screen readers."""
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        paint(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _inline(text.getvalue(), label)


def roc_plot(false: Floats, true: Floats, band: tuple[Floats, Floats, Floats], label: str) -> str:
    """ROC curve; `band` is a grid of false positive rates, with the lowest and highest curve."""

    def paint(figure: Figure) -> None:
        axes = _square(figure, "false positive rate", "true positive rate")
        axes.fill_between(*band, color=BAND, linewidth=0, step="post")
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (3, 3)))
        axes.plot(false, true, color=INK, drawstyle="steps-post")
        for share in (0.01, 0.05):
            axes.axvline(share, color=FAKE, linewidth=0.9, linestyle=(0, (1.5, 1.5)))
        axes.text(0.07, 0.02, "1 % and 5 %", color=FAKE, fontsize=10)

    return draw(4.2, paint, label)


def reliability_plot(
    probabilities: Sequence[float],
    shares: Sequence[Value],
    scores: Sequence[Sequence[float]],
    label: str,
) -> str:
    """Share of fakes over mean probability; below, histograms of `scores`: reals, fakes."""

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        upper.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (3, 3)))
        _points(upper, probabilities, shares)
        upper.set(xlim=(0, 1), ylim=(-0.03, 1.03), ylabel="share of fakes")
        _percent(upper.yaxis)
        edges = np.linspace(0, 1, 21)
        lower.hist(scores, edges, stacked=True, color=[REAL, FAKE], alpha=0.7, rwidth=0.9)
        lower.set(xlabel="probability", ylabel="clips")
        lower.grid(visible=False)
        _percent(lower.xaxis)

    return draw(4.2, paint, label)


def dots_plot(groups: Sequence[Dots], thresholds: tuple[float, float], label: str) -> str:
    """Every score as a dot, a row for each group; the mean as a bar."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for edge in thresholds:
            axes.axvline(edge, color=SOFT, linewidth=1, linestyle=(0, (3, 3)))
        rng = np.random.default_rng(0)
        for row, group in enumerate(groups):
            for scores, colour in ((group.reals, REAL), (group.fakes, FAKE)):
                if scores:
                    spread = row + 0.18 + rng.uniform(-0.16, 0.16, len(scores))
                    size = 16.0 if len(scores) < 200 else 4.0
                    axes.scatter(scores, spread, size, color=colour, alpha=0.6, linewidths=0)
                    mean = float(np.mean(scores))
                    axes.plot([mean, mean], [row - 0.06, row + 0.42], color=colour, linewidth=2.4)
            axes.text(0.0, row - 0.2, group.name, fontsize=10, va="center")
        axes.set(xlim=(-0.01, 1.01), ylim=(len(groups) - 0.4, -0.6), yticks=[])
        axes.set_xlabel("probability of being fake")
        axes.spines["left"].set_visible(False)
        _percent(axes.xaxis)

    return draw(0.7 + 0.46 * max(len(groups), 2), paint, label)


def values_plot(values: Sequence[Value], axis_label: str, label: str) -> str:
    """A row for each figure, its interval as a line."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for row, each in enumerate(values):
            low, high = each.within or (each.value, each.value)
            axes.plot([low, high], [row + 0.15] * 2, color=SOFT, linewidth=1.4)
            axes.plot(each.value, row + 0.15, "o", color=INK, markersize=5)
            across = axes.get_yaxis_transform()
            axes.text(0.0, row - 0.22, each.name, fontsize=10, va="center", transform=across)
        axes.set(ylim=(len(values) - 0.4, -0.6), yticks=[], xlabel=axis_label)
        axes.spines["left"].set_visible(False)

    return draw(0.7 + 0.46 * max(len(values), 2), paint, label)


def lines_plot(
    at: Sequence[float], lines: Sequence[Sequence[Value]], axis_label: str, label: str
) -> str:
    """Figures with intervals over a number, one line for each."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for line, colour, marker in zip(lines, (INK, FAKE), ("o", "s"), strict=False):
            shift = 0.012 * (max(at) - min(at)) * (colour == FAKE)
            _points(axes, [x + shift for x in at], line, colour, marker)
            axes.plot([x + shift for x in at], [v.value for v in line], color=colour, linewidth=1.2)
            axes.plot([], [], color=colour, marker=marker, markersize=4, label=line[0].name)
        axes.set(xlabel=axis_label, xticks=list(at))
        figure.legend(loc="outside upper left", ncols=2, fontsize=10)

    return draw(3.0, paint, label)


def _points(
    axes: Axes, x: Sequence[float], y: Sequence[Value], colour: str = INK, marker: str = "o"
) -> None:
    for place, each in zip(x, y, strict=True):
        if each.within is not None:
            axes.plot([place, place], each.within, color=colour, linewidth=1, alpha=0.55)
    axes.plot(x, [each.value for each in y], marker, color=colour, markersize=4.5)


def _square(figure: Figure, x: str, y: str) -> Axes:
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y, aspect="equal")
    _percent(axes.xaxis)
    _percent(axes.yaxis)
    return axes


def _percent(axis: Axis) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))


def _inline(svg: str, label: str) -> str:
    """The bare element: no header, no names that clash with another plot's, the page's colours."""
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    for stand_in, name in NAMES.items():
        text = text.replace(stand_in, f"var(--{name})")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--sans)", text)
    wanted = set(re.findall(r"#([\w-]+)", text))
    mark = f"p{crc32(label.encode()):x}-"
    text = re.sub(
        r' id="([\w.-]+)"', lambda m: f' id="{mark}{m[1]}"' if m[1] in wanted else "", text
    )
    text = re.sub(r'(url\(|href=")#', rf"\1#{mark}", text)
    head = f'<svg role="img" aria-label="{escape(label)}"'
    return re.sub(r' (width|height)="[\d.]+pt"', "", text.replace("<svg", head, 1), count=2)


def limits_plot(
    rows: Sequence[LimitRow], limits: QualityLimits, tolerance: float, file: Path
) -> None:
    """Write a panel for every measure of `limits`; the image format by the file's suffix.

    Raises TruelightError if the file cannot be written or its format is not known.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    for axes, (measure, title) in zip(
        figure.subplots(2, 2).flat, LIMIT_TITLES.items(), strict=True
    ):
        axes.set_xlabel(title)
        axes.set_ylim(0, 1.05)
        axes.spines[["top", "right"]].set_visible(False)
        if part := [row for row in rows if row.measure == measure]:
            _limit_panel(axes, part, getattr(limits, measure), tolerance)
        else:
            axes.text(0.5, 0.5, "too few faces", ha="center", transform=axes.transAxes)
    figure.suptitle("What worse faces do to the logit", fontsize=12)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4,
        frameon=False,
    )  # fmt: skip
    try:
        figure.savefig(file, dpi=120)
    except (OSError, ValueError) as failure:
        raise TruelightError(f"{file} cannot be drawn: {failure}.") from None


def _limit_panel(axes: Axes, rows: Sequence[LimitRow], limit: float, tolerance: float) -> None:
    steps = [row.step for row in rows]
    low, high = ([min(row.change_interval[end], 1.0) for row in rows] for end in (0, 1))
    changes = [min(row.change, 1.0) for row in rows]
    before, after = [row.auc_before for row in rows], [row.auc_after for row in rows]
    axes.set_xscale("log")
    axes.set_xticks(steps, [f"{step:g}" for step in steps])
    axes.minorticks_off()
    axes.fill_between(steps, low, high, color="#b3261e", alpha=0.15, linewidth=0)
    axes.plot(steps, changes, "o-", color="#b3261e", label="change of the logit (share of chance)")
    axes.plot(steps, after, "s--", color="#1f5fa8", label="AUC")
    axes.plot(steps, before, ":", color="#1f5fa8", label="AUC of the unchanged faces")
    axes.axhline(tolerance, color="#777777", linewidth=0.8)
    axes.axvline(limit, color="#777777", linestyle="-.", label="limit")
