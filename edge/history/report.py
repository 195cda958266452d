"""The report on a visit: a self-contained page for people, and JSON for programs."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge import __version__
from edge.finding import Finding, Verdict
from edge.history.reader import Entry, Visit
from edge.history.report_page import (
    WORST_FIRST,
    ModelSummary,
    accuracy,
    display_names,
    worst_first,
)
from edge.history.report_template import environment, style_sheet
from edge.language import N_, _, counted, current, speaking
from edge.text import one_line

HTML_NAME: Final = "TRUELIGHT-REPORT.html"
JSON_NAME: Final = "truelight-report.json"
SCHEMA_VERSION: Final = 1

_MANY = 40
"""With more clips than this the portraits are made smaller, so that the page stays light."""
MOST_DETAILED = 1000
"""Clips with a section of their own, the most suspicious; the others are in the table."""
_MOST_PICTURE_BYTES = 24_000_000
"""JPEGs, before they are made smaller; the most suspicious clips have theirs in the page."""
_SMALL_SIDE = 80
_SMALL_QUALITY = 70


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VisitDocument(_Document):
    """Where the clips came from, and how the work on them ended."""

    origin: str = Field(description="camera, stick or inbox.")
    name: str
    began: datetime = Field(description="UTC, by the clock of the machine that judged.")
    ended: datetime | None
    ending: str = Field(description="complete, cancelled or pulled out; empty if not known.")


class JudgedDocument(_Document):
    """A finding and when it was made."""

    judged: datetime
    finding: Finding


class ReportDocument(_Document):
    """The report for programs: all findings of one visit."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["truelight-report"] = "truelight-report"
    truelight: str = Field(description="The version of the program that wrote this.")
    visit: VisitDocument
    counts: dict[Verdict, int] = Field(description="Findings of each verdict.")
    findings: tuple[JudgedDocument, ...] = Field(description="In the order of judging.")


@dataclass(frozen=True)
class Report:
    """The contents of both files."""

    html: str
    json: str


def make_report(
    visit: Visit, entries: Sequence[Entry], model: ModelSummary | None, language: str | None = None
) -> Report:
    """Make the report on a visit that has ended.

    `model` is the manifest of the current bundle; its figures are shown if it made all findings.
    `language` is a code of `edge.language.LANGUAGES`; None: the reader's.
    """
    with speaking(language or current()):
        page = _page(visit, entries, model)
    return Report(page, _document(visit, entries))


def _document(visit: Visit, entries: Sequence[Entry]) -> str:
    keys = VisitDocument.model_fields
    counts = Counter(entry.finding.verdict for entry in entries)
    return ReportDocument(
        truelight=__version__,
        visit=VisitDocument(**{key: getattr(visit, key) for key in keys}),
        counts={verdict: counts[verdict] for verdict in WORST_FIRST},
        findings=tuple(
            JudgedDocument(judged=entry.judged, finding=entry.finding) for entry in entries
        ),
    ).model_dump_json(indent=1)


def _page(visit: Visit, entries: Sequence[Entry], model: ModelSummary | None) -> str:
    counts = Counter(entry.finding.verdict for entry in entries)
    models = {entry.finding.model for entry in entries}
    versions = {(each.name, each.version) for each in models}
    known = model if model is not None and versions <= {(model.name, model.version)} else None
    second = {entry.finding.second_opinion for entry in entries} - {None}
    style = style_sheet()
    return (
        environment()
        .get_template("report.html")
        .render(
            style=style,
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            version=__version__,
            source=_source(visit),
            time=_time(visit),
            headline=_headline(counts, visit),
            ending=_(_ENDINGS.get(visit.ending, _ENDINGS[""])),
            total=len(entries),
            counts=[(verdict, counts[verdict]) for verdict in WORST_FIRST],
            entries=_with_pictures(worst_first(entries)),
            names=display_names([entry.finding.path for entry in entries]),
            most_detailed=MOST_DETAILED,
            data_url=_small_url if len(entries) > _MANY else _data_url,
            models=_names(versions),
            second_models=_names(
                {(each.model.name, each.model.version) for each in second if each}
            ),
            licence=one_line(known.licence) if known else "",
            summary=one_line(known.summary) if known else "",
            accuracy=accuracy(known.figures) if known else [],
        )
    )


def _with_pictures(entries: Sequence[Entry]) -> list[Entry]:
    """The same entries; from where the pictures are too much for a page, without them."""
    left, kept = _MOST_PICTURE_BYTES, []
    for entry in entries:
        pictures = (*entry.portraits.values(), *entry.heat.values())
        left -= sum(map(len, pictures))
        kept.append(entry if left >= 0 else replace(entry, portraits={}, heat={}))
    return kept


def _names(models: set[tuple[str, str]]) -> list[str]:
    return [f"{one_line(name)} {one_line(version)}" for name, version in sorted(models)]


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
        found_none = visit.ending == "complete"
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
