"""The report on a visit: a self-contained page for people, and JSON for programs."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from edge import __version__
from edge.finding import Model, Verdict
from edge.history.reader import Entry, Visit
from edge.history.report_document import MOST_BYTES, Full, document
from edge.history.report_page import (
    WORST_FIRST,
    ModelSummary,
    accuracy,
    display_names,
    environment,
    style_sheet,
    worst_first,
)
from edge.language import N_, _, counted, current, speaking
from edge.text import model_text, one_line

if TYPE_CHECKING:
    import jinja2

HTML_NAME: Final = "TRUELIGHT-REPORT.html"
JSON_NAME: Final = "truelight-report.json"

_MANY = 40
"""With more clips than this the portraits are made smaller, so that the page stays light."""
MOST_DETAILED = 1000
"""Clips with a section of their own, the most suspicious; the others are in the table."""
_MOST_ROW_BYTES = 6_000_000
"""Of the table of clips, the most suspicious first."""
_MOST_ARTICLE_BYTES = MOST_BYTES - _MOST_ROW_BYTES - 500_000
"""Of the sections on single clips."""
_MOST_PICTURED_BYTES = 9_000_000
"""Of those sections that have pictures; those that follow have none."""
_MOST_NAMED = 100
"""Skipped files of each kind that the page names."""
_SMALL_SIDE = 80
_SMALL_QUALITY = 70


@dataclass(frozen=True)
class Report:
    """The contents of both files."""

    html: str
    json: str


def make_report(
    visit: Visit,
    entries: Sequence[Entry],
    model: ModelSummary | None,
    full: Full = lambda entry: entry,
    language: str | None = None,
) -> Report:
    """Make the report on a visit that has ended.

    `model` is the manifest of the current bundle; its figures are shown if it made all findings.
    `language` is a code of `edge.language.LANGUAGES`; None: the reader's.
    """
    with speaking(language or current()):
        page = _page(visit, entries, model, full)
    return Report(page, document(visit, entries, full))


def _page(visit: Visit, entries: Sequence[Entry], model: ModelSummary | None, full: Full) -> str:
    counts = Counter(entry.finding.verdict for entry in entries)
    models = {entry.finding.model for entry in entries}
    versions = {(each.name, each.version) for each in models}
    known = model if model is not None and versions <= {(model.name, model.version)} else None
    second = {entry.finding.second_opinion for entry in entries} - {None}
    style, template, parts = _templates()
    ordered = worst_first(entries)
    names = display_names([entry.finding.path for entry in entries])
    many = len(entries) > _MANY
    articles = _fitting(_articles(ordered[:MOST_DETAILED], names, many, full), _MOST_ARTICLE_BYTES)
    rows = _fitting(
        (
            parts.row(place, entry.finding, names[entry.finding.path], place <= len(articles))
            for place, entry in enumerate(ordered, start=1)
        ),
        _MOST_ROW_BYTES,
    )
    return template.render(
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        version=__version__,
        source=_source(visit),
        time=_time(visit),
        headline=_headline(counts, visit),
        ending=_(_ENDINGS.get(visit.ending, _ENDINGS[""])),
        total=len(entries),
        counts=[(verdict, counts[verdict]) for verdict in WORST_FIRST],
        rows=rows,
        articles=articles,
        has_heat=any('class="heat"' in article for article in articles),
        skipped_total=visit.skipped.total,
        skipped=visit.skipped.sentences(named=_MOST_NAMED),
        models=_names(models),
        second_models=_names({each.model for each in second if each}),
        licence=one_line(known.licence) if known else "",
        summary=one_line(known.summary) if known else "",
        accuracy=accuracy(known.figures) if known else [],
    )


def _articles(
    entries: Sequence[Entry], names: Mapping[str, str], many: bool, full: Full
) -> Iterator[str]:
    """A section for each clip; from where pictures are too much for a page, without them."""
    _, _, parts = _templates()
    left = _MOST_PICTURED_BYTES
    for place, entry in enumerate(entries, start=1):
        drawn = full(entry)
        if left <= 0:
            drawn = replace(drawn, portraits={}, heat={})
        name = names[entry.finding.path]
        article = parts.article(place, drawn, name, _small_url if many else _data_url)
        left -= len(article)
        yield article


def _fitting(pieces: Iterable[str], most_bytes: int) -> list[str]:
    """The pieces up to the first that is too much."""
    fitting = []
    for piece in pieces:
        most_bytes -= len(piece.encode())
        if most_bytes < 0:
            break
        fitting.append(piece)
    return fitting


def _names(models: set[Model]) -> list[str]:
    return sorted({model_text(model, version=True) for model in models})


@cache
def _templates() -> tuple[str, jinja2.Template, Any]:
    """The page's style sheet, its template, and the macros of its parts."""
    parts: Any = environment().get_template("report_parts.html").module
    return style_sheet(), environment().get_template("report.html"), parts


_SOURCES = {
    "camera": N_("Camera recording"),
    "stick": N_("USB stick"),
    "inbox": N_("Inbox"),
    "web": N_("Upload"),
}

_ENDINGS = {
    "complete": "",
    "cancelled": N_("Cancelled: some clips were not judged and are missing here."),
    "pulled out": N_(
        "The USB stick was removed too early: some clips were not judged and are missing here."
    ),
    "": N_("The work was interrupted: some clips may be missing here."),
}


def _source(visit: Visit) -> str:
    kind, name = _(_SOURCES.get(visit.origin, visit.origin)), one_line(visit.name)
    if not name or name == kind:
        return kind
    return f"{kind} {name}" if visit.origin == "stick" else f"{kind}: {name}"


def _time(visit: Visit) -> str:
    """When: "22 November 2026, 14:03 to 14:07"."""
    began = _moment(visit.began)
    if visit.ended is None or visit.ended - visit.began < timedelta(minutes=1):
        return began
    same_day = visit.ended.date() == visit.began.date()
    end = f"{visit.ended:%H:%M}" if same_day else _moment(visit.ended)
    return _("{begin} to {end}").format(begin=began, end=end)


_MONTHS = (
    *(N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June"), N_("July")),
    *(N_("August"), N_("September"), N_("October"), N_("November"), N_("December")),
)


def _moment(when: datetime) -> str:
    return _("{day} {month} {year}, {time}").format(
        day=when.day, month=_(_MONTHS[when.month - 1]), year=when.year, time=f"{when:%H:%M}"
    )


def _headline(counts: Counter[Verdict], visit: Visit) -> str:
    """The result in a sentence."""
    total, fake = counts.total(), counts[Verdict.FAKE]
    if not total:
        found_none = visit.ending == "complete" and not visit.skipped.total
        return _("No clips were found.") if found_none else _("No clip was judged.")
    if total == 1:
        return _(_SINGLE[next(iter(counts))])
    if fake == 1:
        return _("1 of {total} clips looks fake.").format(total=total)
    if fake:
        return _("{fake} of {total} clips look fake.").format(fake=fake, total=total)
    if counts[Verdict.NO_FACE] == total:
        return _("None of the {total} clips shows a face.").format(total=total)
    unsure, unread = counts[Verdict.UNSURE], counts[Verdict.UNREADABLE]
    rest = [counted("{number} is unsure", "{number} are unsure", unsure)] * bool(unsure)
    rest += [_("{number} could not be read").format(number=unread)] * bool(unread)
    more = f"; {', '.join(rest)}" if rest else ""
    return _("None of the {total} clips looks fake{more}.").format(total=total, more=more)


_SINGLE = {
    Verdict.FAKE: N_("This clip looks fake."),
    Verdict.UNSURE: N_("The result for this clip is unsure."),
    Verdict.REAL: N_("This clip does not look fake."),
    Verdict.NO_FACE: N_("There is no face in this clip."),
    Verdict.UNREADABLE: N_("This clip cannot be read."),
}


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _small_url(jpeg: bytes) -> str:
    """A portrait with fewer pixels."""
    import cv2
    import numpy as np

    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return _data_url(jpeg)
    side = min(_SMALL_SIDE, len(pixels))
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return _data_url(
        cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _SMALL_QUALITY])[1].tobytes()
    )
