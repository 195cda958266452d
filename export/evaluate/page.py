"""The evaluation page: one HTML file with plots and tables, without scripts or other files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edge import __version__
from edge.atomic_write import atomic_write
from edge.errors import TruelightError
from edge.finding import Thresholds
from export.evaluate.figures import (
    REAL_METHOD,
    Figures,
    Group,
    Interval,
    SecondOpinion,
    figure_rows,
)
from export.evaluate.plots import (
    Dots,
    Value,
    dots_plot,
    lines_plot,
    reliability_plot,
    roc_plot,
    values_plot,
)
from export.evaluate.records import PLAIN, Prediction, Scores
from export.metrics import Floats, bootstrap_weights, roc

if TYPE_CHECKING:
    import jinja2

    from edge.scan.model.manifest import Manifest

_TEMPLATES = Path(__file__).with_name("templates")

MOST_SOURCES: Final = 60
"""Of more sources, those with the most wrong verdicts are listed."""
MOST_MISTAKES: Final = 40
MOST_ROWS: Final = 24
"""Of more methods, the smallest are not plotted; the table has them."""
_AGAINST_ALL: Final = "AUC of fakes without reals of their own group: against all reals."


@dataclass(frozen=True)
class Plot:
    """A plot on the page."""

    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Groups side by side, with extra columns and a note below."""

    title: str
    head: str
    groups: Sequence[Group]
    extra: Sequence[tuple[str, Sequence[str]]] = ()
    note: str = ""


def write_page(
    path: Path, manifest: Manifest, m: Figures, predictions: Sequence[Prediction], command: str
) -> None:
    """Write the page atomically.

    Raises TruelightError if it cannot be written.
    """
    plain = [p for p in predictions if p.condition == PLAIN]
    wrong = [p for p in plain if p.decided and not p.right]
    wrong.sort(key=lambda p: (p.fake, -abs((p.probability or 0.5) - 0.5), p.file))
    html = _template().render(
        version=__version__,
        manifest=manifest,
        m=m,
        command=command,
        plots=_plots(m, plain, manifest.thresholds),
        rows=figure_rows(m),
        tables=_tables(m),
        mistakes=wrong[:MOST_MISTAKES],
        mistakes_count=len(wrong),
    )
    try:
        atomic_write(path, html)
    except OSError as failure:
        raise TruelightError(f"{path} cannot be written: {failure.strerror}.") from None


def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "share": percent,
        "number": number,
        "within": interval,
        "rate": rate,
        "nonbreaking": lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%"),
    }
    environment.filters |= filters
    return environment.get_template("evaluation.html")


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal; empty for None."""
    return "" if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def rate(share: float | None, within: Interval | None) -> str:
    """ "4.0 % (1.9 to 8.0 %)"; empty for None."""
    ends = "" if within is None else f" ({interval(within, 'share')})"
    return "" if share is None else percent(share) + ends


def number(value: float | None) -> str:
    """Three decimals; empty for None."""
    return "" if value is None else f"{value:.3f}"


def interval(ends: Interval | None, kind: str = "number") -> str:
    """ "0.700 to 0.898", or of the kind `share` "70.0 to 89.8 %"; empty for None."""
    if ends is None:
        return ""
    low, high = ends
    return f"{100 * low:.1f} to {percent(high)}" if kind == "share" else f"{low:.3f} to {high:.3f}"


def _plots(m: Figures, plain: Sequence[Prediction], thresholds: Thresholds) -> list[Plot]:
    """Every plot that there is data for."""
    plots = [_roc(m, plain), _reliability(m, plain)]
    if len(m.by_compression) > 1:
        values = [Value(way.name, way.auc, way.auc_interval) for way in m.by_compression if way.auc]
        svg = values_plot(values, "AUC", "AUC of clips as they are and recompressed.")
        caption = "The same clips, recompressed by the evaluation; 95 % intervals over sources."
        plots.append(Plot("AUC by compression", svg, caption))
    if m.by_frames:
        plots.append(_frames(m))
    return [*plots, _dots(plain, thresholds)]


def _roc(m: Figures, plain: Sequence[Prediction]) -> Plot:
    scored = Scores(plain)
    false, true = roc(scored.labels, scored.scores)
    found = ", ".join(
        f"{100 * share:.0f} % at {100 * float(rate):.0f} %"
        for rate, share in m.at_false_alarms.items()
    )
    return Plot(
        "ROC curve",
        roc_plot(false, true, _band(scored), f"ROC curve, AUC {m.auc:.3f}."),
        f"AUC {m.auc:.3f} ({interval(m.auc_interval)}). True positive rate at a false positive "
        f"rate: {found}. Shaded: 95 % of bootstrap draws of sources.",
    )


def _band(scored: Scores) -> tuple[Floats, Floats, Floats]:
    """A grid of false positive rates, and where 95 % of the bootstrap's curves lie."""
    grid = np.linspace(0, 1, 101)
    curves = []
    for weights in bootstrap_weights(scored.sources, 400):
        for false, true in zip(*roc(scored.labels, scored.scores, weights), strict=True):
            if not np.isnan(true[-1] + false[-1]):
                curves.append(true[np.searchsorted(false, grid, side="right") - 1])
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    return grid, low, high


def _reliability(m: Figures, plain: Sequence[Prediction]) -> Plot:
    bins = m.reliability
    svg = reliability_plot(
        [each.mean_probability for each in bins],
        [Value("", each.fakes, each.fakes_interval) for each in bins],
        [
            [p.probability for p in plain if p.fake is fake and p.probability is not None]
            for fake in (False, True)
        ],
        f"Reliability in {len(bins)} bins, calibration error {m.calibration_error:.3f}.",
    )
    return Plot(
        "Reliability of the probability",
        svg,
        "On the diagonal, 70 % of the clips with a probability of 70 % are fakes. Calibration "
        f"error {m.calibration_error:.3f}, Brier score {m.brier:.3f}. About {bins[0].count} clips "
        "a point; below, the number of reals (lower) and fakes by probability.",
    )


def _frames(m: Figures) -> Plot:
    both = m.second_opinion.by_frames if m.second_opinion else ()
    counts = both or m.by_frames
    shown = [part for part in counts if part.auc is not None and part.accuracy is not None]
    svg = lines_plot(
        [part.frames for part in shown],
        [
            [Value("accuracy", part.accuracy or 0, part.accuracy_interval) for part in shown],
            [Value("AUC", part.auc or 0, part.auc_interval) for part in shown],
        ],
        "frames asked for",
        "Accuracy and AUC by number of frames.",
    )
    caption = "The first consecutive frames of each clip, as published systems judge."
    if any(part.spread for part in shown):
        caption = "Frames of windows spread over the whole clip."
    if both:
        caption += " With a second opinion."
    return Plot("Accuracy against the number of frames", svg, caption)


def _dots(plain: Sequence[Prediction], thresholds: Thresholds) -> Plot:
    groups: dict[str, list[float]] = defaultdict(list)
    for p in plain:
        if p.probability is not None:
            groups[p.method if p.fake else REAL_METHOD].append(p.probability)
    reals = groups.pop(REAL_METHOD, [])
    largest = sorted(groups.items(), key=lambda item: -len(item[1]))[:MOST_ROWS]
    rows = [Dots(f"reals ({len(reals)})", reals, ())]
    rows += [
        Dots(f"{name} ({len(scores)})", (), scores)
        for name, scores in sorted(largest, key=lambda item: -float(np.mean(item[1])))
    ]
    ends = (thresholds.real, thresholds.fake)
    return Plot(
        "Probability by method",
        dots_plot(rows, ends, "Probabilities of all reals, and of the fakes by method."),
        f"A dot a clip, a bar for the mean. REAL up to {100 * ends[0]:.0f} %, FAKE from "
        f"{100 * ends[1]:.0f} %, UNSURE between.",
    )


def _tables(m: Figures) -> list[Table]:
    """Groups side by side, as far as there are any."""
    tables = []
    parts: list[tuple[str, Figures | SecondOpinion]] = [("", m)]
    if m.second_opinion is not None:
        parts.append((", with a second opinion", m.second_opinion))
    tables += [_compressions(*each) for each in parts if len(each[1].by_compression) > 1]
    tables += [_frame_counts(*each) for each in parts if each[1].by_frames]
    if (second := m.second_opinion) is not None:
        both = (second.alone, second.together)
        costs = [
            ("seconds a clip", _column((group.seconds for group in both), "{:.2f}")),
            ("peak MB", _column((group.memory for group in both), "{:.0f}")),
        ]
        note = f"It was asked for {percent(second.asked)} of the clips."
        tables.append(Table("The second opinion", "judged", both, costs, note))
    if m.by_view:
        note = "Skin tone by the individual typology angle of the cheeks; it depends on the light."
        tables.append(Table("By how the face is seen", "face", m.by_view, note=note))
    for models, part in parts:
        if part.by_dataset:
            title = f"By data set{models}"
            tables.append(Table(title, "data set", part.by_dataset, note=_AGAINST_ALL))
    for models, part in parts:
        same = [number(group.auc_same_sources) for group in part.by_method]
        extra = [("against own sources", same)]
        tables.append(Table(f"By method{models}", "method", part.by_method, extra, _AGAINST_ALL))
    groups, note = m.by_source, ""
    if len(groups) > MOST_SOURCES:
        note = f"{MOST_SOURCES} of {len(groups)}: those with the most wrong verdicts."
        groups = tuple(sorted(groups, key=lambda g: (-g.wrong, g.right, g.name))[:MOST_SOURCES])
    return [*tables, Table("By source", "source", groups, note=note)]


def _compressions(models: str, part: Figures | SecondOpinion) -> Table:
    ways = part.by_compression
    loss = [
        _column((way.auc_loss,), "{:+.3f}")[0]
        + (" ({:+.3f} to {:+.3f})".format(*way.auc_loss_interval) if way.auc_loss_interval else "")
        for way in ways
    ]
    extra = [("AUC lost", loss)]
    return Table(f"By compression{models}", "compression", ways, extra)


def _frame_counts(models: str, part: Figures | SecondOpinion) -> Table:
    extra = [("frames scored", _column((each.looked_at for each in part.by_frames), "{:.1f}"))]
    note = "Frames scored: those with a face, mean over clips. Short clips have fewer."
    return Table(f"By number of frames{models}", "asked for", part.by_frames, extra, note)


def _column(values: Iterable[float | None], form: str) -> list[str]:
    return ["" if value is None else form.format(value) for value in values]
