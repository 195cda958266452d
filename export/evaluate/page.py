"""One page with everything that was measured: plots and tables, nothing else needed, no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge import __version__
from edge.atomic_write import write_whole
from edge.errors import TruelightError
from export.evaluate.figures import Figures, Group, Interval
from export.evaluate.pictures import pictures
from export.evaluate.records import PLAIN, Judged

if TYPE_CHECKING:
    import jinja2

    from edge.scan.model.manifest import Manifest

_TEMPLATES = Path(__file__).with_name("templates")

MOST_SOURCES: Final = 60
"""Of more sources, those of which most was told wrong are listed."""
MOST_MISTAKES: Final = 40


@dataclass(frozen=True)
class Row:
    """A line of a table of figures."""

    name: str
    value: str
    within: str


@dataclass(frozen=True)
class Table:
    """Groups side by side; `note` stands below."""

    title: str
    head: str
    groups: Sequence[Group]
    extra: Sequence[tuple[str, Sequence[str]]] = ()
    note: str = ""


def write_page(
    path: Path, manifest: Manifest, measured: Figures, judged: Sequence[Judged], command: str
) -> None:
    """Write the page, whole or not at all.

    Raises TruelightError if it cannot be written.
    """
    plain = [j for j in judged if j.condition == PLAIN]
    html = _template().render(
        version=__version__,
        manifest=manifest,
        m=measured,
        command=command,
        headline=_headline(measured),
        pictures=pictures(measured, plain, manifest.thresholds),
        rows=_rows(measured),
        tables=_tables(measured),
        mistakes=_mistakes(plain)[:MOST_MISTAKES],
        mistakes_count=len(_mistakes(plain)),
    )
    try:
        write_whole(path, html)
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
    filters = {"share": percent, "number": _number, "within": _within, "tied": _tied}
    environment.filters |= filters
    return environment.get_template("evaluation.html")


def percent(share: float | None) -> str:
    """A share to a tenth of a per cent; nothing if it is not known."""
    return "" if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _tied(text: str) -> str:
    """A number stays with its sign at the end of a line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _within(both: Interval | None) -> str:
    return "" if both is None else f"{both[0]:.3f} to {both[1]:.3f}"


def _shares(both: Interval | None) -> str:
    return "" if both is None else f"{100 * both[0]:.1f} to {percent(both[1])}"


def _headline(m: Figures) -> str:
    """The sum in a sentence."""
    wrong = percent(m.false_alarms), percent(m.missed)
    return (
        f"A fake scores above a real with a chance of {m.auc:.2f}. FAKE is said of {wrong[0]} of "
        f"the reals, REAL of {wrong[1]} of the fakes; {percent(m.unsure)} stay unsure."
    )


def _rows(m: Figures) -> list[Row]:
    """All figures of the whole, most telling first."""
    rows = [
        Row("AUC", _number(m.auc), _within(m.auc_interval)),
        Row(
            "AUC, every source weighing the same",
            _number(m.auc_sources),
            _within(m.auc_sources_interval),
        ),
        Row("accuracy, if forced at 50 %", percent(m.accuracy), _shares(m.accuracy_interval)),
        Row("accuracy where decided", percent(m.accuracy_when_decided), ""),
        Row("decided (REAL or FAKE)", percent(m.decided), ""),
        Row(
            "false alarms: FAKE said of a real",
            percent(m.false_alarms),
            _shares(m.false_alarms_interval),
        ),
        Row("missed: REAL said of a fake", percent(m.missed), _shares(m.missed_interval)),
        *(
            Row(
                f"fakes found at {100 * float(share):g} % false alarms",
                percent(found),
                _shares(m.at_false_alarms_interval[share]),
            )
            for share, found in m.at_false_alarms.items()
        ),
        Row(
            f"fakes scored above their own original ({m.pairs.pairs} fakes)",
            percent(m.pairs.above),
            _shares(m.pairs.above_interval),
        ),
        Row("calibration error", _number(m.calibration_error), ""),
        Row("Brier score", _number(m.brier), ""),
        Row("UNSURE", percent(m.unsure), ""),
        Row("NO FACE", percent(m.no_face), ""),
        Row("UNREADABLE", percent(m.unreadable), ""),
    ]
    if m.seconds is not None:
        rows.append(Row("seconds for a clip", f"{m.seconds:.2f}", ""))
    return [row for row in rows if row.value]


def _tables(m: Figures) -> list[Table]:
    """Groups side by side, as far as there are any."""
    tables = []
    if len(m.by_compression) > 1:
        loss = [_signed(way.auc_loss, way.auc_loss_interval) for way in m.by_compression]
        tables.append(
            Table("By compression", "compression", m.by_compression, [("AUC lost", loss)])
        )
    if m.by_frames:
        seen = [f"{part.looked_at:.1f}" for part in m.by_frames]
        tables.append(
            Table(
                *("By number of frames", "asked for", m.by_frames, [("frames scored", seen)]),
                "Frames scored: those with a face, the mean over clips. Short clips have fewer.",
            )
        )
    if (second := m.second_opinion) is not None:
        both = (second.alone, second.together)
        costs = [
            ("seconds a clip", [f"{p.seconds:.2f}" if p.seconds is not None else "" for p in both]),
            ("MB at most", [f"{p.memory:.0f}" if p.memory is not None else "" for p in both]),
        ]
        note = f"It was asked for {percent(second.asked)} of the clips."
        tables.append(Table("The second opinion", "judged", both, costs, note))
    if m.by_dataset:
        tables.append(Table("By data set", "data set", m.by_dataset, note=_ALONE))
    same = [_number(group.auc_same_sources) for group in m.by_method]
    tables.append(
        Table("By method", "method", m.by_method, [("against own sources", same)], _ALONE)
    )
    tables.append(_sources(m))
    return tables


_ALONE = "AUC of fakes without reals of their own group: against all reals."


def _sources(m: Figures) -> Table:
    groups, note = m.by_source, ""
    if len(groups) > MOST_SOURCES:
        worst = sorted(groups, key=lambda g: (-g.wrong, g.right, g.name))
        note = f"{MOST_SOURCES} of {len(groups)}: those of which most was told wrong."
        groups = tuple(worst[:MOST_SOURCES])
    return Table("By source", "source", groups, note=note)


def _signed(value: float | None, within: Interval | None) -> str:
    if value is None:
        return ""
    return f"{value:+.3f}" + (f" ({within[0]:+.3f} to {within[1]:+.3f})" if within else "")


def _mistakes(plain: Sequence[Judged]) -> list[Judged]:
    """What was told wrong, reals first, the surest first."""
    wrong = [j for j in plain if j.decided and not j.right]
    return sorted(wrong, key=lambda j: (j.fake, -abs((j.probability or 0.5) - 0.5), j.file))
