"""The page of an archive: shares, scores, the most suspicious clips, and what was not read."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from edge import __version__
from edge.finding import Verdict
from edge.text import count, one_line, percent, verdict_text

if TYPE_CHECKING:
    import jinja2

    from edge.archive.store import ArchiveStore

WORST = 100
"""Clips that are shown, by probability of FAKE."""
MOST_UNREADABLE = 1_000
"""Files that are named; the others are counted."""
BINS = 20
"""Bars of the histogram, each 5 % wide."""

_ORDER = (Verdict.FAKE, Verdict.UNSURE, Verdict.REAL, Verdict.NO_FACE, Verdict.UNREADABLE)
_COLUMNS = [
    *("path", "sha256", "copy_of", "verdict", "fake_probability", "reasons"),
    *("model", "model_version", "real_threshold", "fake_threshold"),
]


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram: from `low` to `high`, with this number of clips."""

    low: float
    high: float
    clips: int
    height: float
    """Share of the highest bar."""


def make_page(store: ArchiveStore) -> str:
    """The page, as HTML without scripts, of the clips in the store's Parquet files."""
    table = store.table(_COLUMNS)
    originals = table.filter(pc.field("copy_of").is_null())
    worst = _worst(originals)
    style, template = _template()
    verdicts = dict(zip(*_counted(table["verdict"]), strict=True))
    unread = table.filter(pc.field("verdict") == Verdict.UNREADABLE.value)
    return template.render(
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        version=__version__,
        total=len(table),
        copies=len(table) - len(originals),
        counts=[(verdict, verdicts.get(verdict.value, 0)) for verdict in _ORDER],
        bars=_histogram(originals["fake_probability"]),
        worst=worst,
        pictures=store.portraits([row["sha256"] for row in worst if row["sha256"]]),
        unread=unread.slice(0, MOST_UNREADABLE).to_pylist(),
        unread_more=max(0, len(unread) - MOST_UNREADABLE),
        first=table.slice(0, 1).to_pylist(),
    )


def _counted(column: pa.ChunkedArray) -> tuple[list[str], list[int]]:
    counted = pc.value_counts(column)
    return counted.field("values").to_pylist(), counted.field("counts").to_pylist()


def _worst(table: pa.Table) -> list[dict[str, Any]]:
    scored = table.filter(pc.field("fake_probability").is_valid())
    keys = [("fake_probability", "descending"), ("path", "ascending")]
    rows: list[dict[str, Any]] = scored.take(
        pc.select_k_unstable(scored, k=min(WORST, len(scored)), sort_keys=keys)
    ).to_pylist()
    return rows


def _histogram(probabilities: pa.ChunkedArray) -> list[Bar]:
    scored = [value for value in probabilities.to_pylist() if value is not None]
    numbers = [0] * BINS
    for value in scored:
        numbers[min(BINS - 1, int(value * BINS))] += 1
    highest = max(numbers)
    return [
        Bar(at / BINS, (at + 1) / BINS, number, number / highest if highest else 0)
        for at, number in enumerate(numbers)
    ]


@cache
def _template() -> tuple[str, jinja2.Template]:
    """The style sheet, which begins with the report's, and the page's template."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    functions = (count, one_line, percent, verdict_text)
    environment.globals |= {function.__name__: function for function in functions}
    environment.filters["data_url"] = lambda jpeg: (
        f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    )
    own = files("edge.archive") / "templates"
    report = files("edge.history") / "templates" / "report.css"
    style = report.read_text(encoding="utf-8") + (own / "archive.css").read_text(encoding="utf-8")
    page = environment.from_string((own / "archive.html").read_text(encoding="utf-8"))
    return style, page
