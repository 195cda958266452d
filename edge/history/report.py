"""The report on a visit: one page for people that needs nothing else, and JSON for programs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge import __version__
from edge.finding import Verdict
from edge.history.model_figures import ModelSummary, measured
from edge.history.reader import Entry, Visit
from edge.history.report_page import WORST_FIRST, clip_pages
from edge.text import one_line

if TYPE_CHECKING:
    import jinja2

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.finding import Finding

HTML_NAME: Final = "TRUELIGHT-REPORT.html"
JSON_NAME: Final = "truelight-report.json"

_TEMPLATES = Path(__file__).with_name("templates")

_MANY = 40
"""From so many clips on, portraits are made smaller, so that the page stays light."""
_SMALL_SIDE = 80
_SMALL_QUALITY = 70


@dataclass(frozen=True)
class Report:
    """What is left where the clips came from."""

    html: str
    json: str


def make_report(visit: Visit, entries: Sequence[Entry], model: ModelSummary | None) -> Report:
    """Make the report on a visit that is over: `ended` and `ending` are set.

    `model` is what the bundle's manifest says; its figures are told if it is what judged.
    """
    return Report(_page(visit, entries, model), _document(visit, entries))


def _page(visit: Visit, entries: Sequence[Entry], model: ModelSummary | None) -> str:
    counts = Counter(entry.finding.verdict for entry in entries)
    models = {(entry.finding.model.name, entry.finding.model.version) for entry in entries}
    known = model if model is not None and models <= {(model.name, model.version)} else None
    names = [f"{one_line(name)} {one_line(version)}" for name, version in sorted(models)]
    asked = [entry.finding.second_opinion for entry in entries]
    others = {(each.model.name, each.model.version) for each in asked if each}
    style, template = _template()
    return template.render(
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        version=__version__,
        visit=visit,
        source=_source(visit),
        time=_time(visit),
        headline=_headline(counts, visit),
        ending=_ENDINGS.get(visit.ending, _ENDINGS[""]),
        total=len(entries),
        counts=[(verdict, counts[verdict]) for verdict in WORST_FIRST],
        clips=clip_pages(entries, _small if len(entries) > _MANY else _address),
        models=names,
        seconds=[f"{one_line(name)} {one_line(version)}" for name, version in sorted(others)],
        licence=one_line(known.licence) if known else "",
        summary=one_line(known.summary) if known else "",
        measured=measured(known) if known else [],
    )


@cache
def _template() -> tuple[str, jinja2.Template]:
    """The page's style and the page."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"tied": _tied, "breakable": _breakable}
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    return style, environment.get_template("report.html")


def _tied(text: str) -> str:
    """A number stays with its sign at the end of a line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _breakable(name: str) -> str:
    """A long name may go on in the next line where its parts meet."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([/_])", r"\1<wbr>", str(escape(name))))


_SOURCES = {
    "camera": "Recorded by the camera",
    "stick": "USB stick",
    "inbox": "Dropped into the inbox",
    "scan": "Scanned",
}

_ENDINGS = {
    "complete": "",
    "cancelled": "The work was cancelled: clips that were not judged by then are missing here.",
    "pulled out": (
        "The stick was pulled out too early: clips that were not judged by then are missing here."
    ),
    "": "The work did not come to its end: clips may be missing here.",
}


def _source(visit: Visit) -> str:
    kind, name = _SOURCES.get(visit.origin, visit.origin), one_line(visit.name)
    if not name or name == kind:
        return kind
    return f"{kind} {name}" if visit.origin == "stick" else f"{kind}: {name}"


def _time(visit: Visit) -> str:
    """When: "22 November 2026, 14:03 to 14:07"."""
    began = f"{visit.began:%-d %B %Y, %H:%M}"
    if visit.ended is None or visit.ended - visit.began < timedelta(minutes=1):
        return began
    same_day = visit.ended.date() == visit.began.date()
    return f"{began} to {visit.ended:{'%H:%M' if same_day else '%-d %B %Y, %H:%M'}}"


def _headline(counts: Counter[Verdict], visit: Visit) -> str:
    """The sum in a sentence."""
    total = counts.total()
    fake, unsure = counts[Verdict.FAKE], counts[Verdict.UNSURE]
    if not total:
        return "No clips were found." if visit.ending == "complete" else "No clip was judged."
    if total == 1:
        return _ALONE[next(iter(counts))]
    if fake:
        return f"{fake} of {total} clips look{'s' * (fake == 1)} fake."
    if counts[Verdict.NO_FACE] == total:
        return f"There is no face in any of {total} clips."
    unread = counts[Verdict.UNREADABLE]
    rest = [f"{unsure} could not be decided"] * bool(unsure)
    rest += [f"{unread} could not be read"] * bool(unread)
    return "; ".join([f"None of {total} clips looks fake", ", ".join(rest)][: 1 + bool(rest)]) + "."


_ALONE = {
    Verdict.FAKE: "This clip looks fake.",
    Verdict.UNSURE: "Nothing can be said of this clip for sure.",
    Verdict.REAL: "This clip does not look fake.",
    Verdict.NO_FACE: "There is no face in this clip.",
    Verdict.UNREADABLE: "This clip cannot be read.",
}


def _address(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _small(jpeg: bytes) -> str:
    """A portrait with fewer pixels."""
    import cv2
    import numpy as np

    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return _address(jpeg)
    side = min(_SMALL_SIDE, len(pixels))
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _SMALL_QUALITY])[1]
    return _address(data.tobytes())


def _document(visit: Visit, entries: Sequence[Entry]) -> str:
    counts = Counter(entry.finding.verdict.value for entry in entries)
    return ReportDocument(
        truelight=__version__,
        visit=VisitDocument(
            origin=visit.origin,
            name=visit.name,
            began=visit.began,
            ended=visit.ended,
            ending=visit.ending,
        ),
        counts=Counts(**{verdict.value: counts[verdict.value] for verdict in WORST_FIRST}),
        findings=tuple(
            JudgedDocument(judged=entry.judged, finding=entry.finding) for entry in entries
        ),
    ).model_dump_json(indent=1)


SCHEMA_VERSION: Final = 1


class _Noun(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VisitDocument(_Noun):
    """Where the clips came from, and how the work on them ended."""

    origin: str = Field(description="camera, stick, inbox or scan.")
    name: str
    began: datetime = Field(description="UTC, by the clock of the machine that judged.")
    ended: datetime | None
    ending: str = Field(description="complete, cancelled or pulled out; empty if not known.")


class Counts(_Noun):
    """How many findings there are of each verdict."""

    FAKE: int
    UNSURE: int
    REAL: int
    NO_FACE: int
    UNREADABLE: int


class JudgedDocument(_Noun):
    """A finding and when it was made."""

    judged: datetime
    finding: Finding


class ReportDocument(_Noun):
    """Everything that is said of the clips of one visit."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["truelight-report"] = "truelight-report"
    truelight: str = Field(description="The version of the program that wrote this.")
    visit: VisitDocument
    counts: Counts
    findings: tuple[JudgedDocument, ...] = Field(description="In the order of judging.")
