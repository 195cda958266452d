"""The report as JSON, for programs: all findings of one visit, within a limit of size."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge import __version__
from edge.finding import Finding, Verdict
from edge.history.reader import Entry, Visit
from edge.history.report_page import WORST_FIRST, worst_first
from edge.skipped import Skipped
from edge.text import json_text

SCHEMA_VERSION: Final = 1
MOST_BYTES: Final = 20_000_000
"""Of the page and of the JSON. What matters least is shortened, then left out; both say so."""

_MOST_INDENTED = 200
"""Findings up to which the file is indented for people."""
_NO_FINDINGS = '"findings": []'

Full = Callable[[Entry], Entry]
"""Adds its faces and pictures to an entry, so that not all of them are in memory at once."""


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
    shortened: int = Field(
        default=0,
        description="Findings without `faces`, the least suspicious: the file would be too large.",
    )
    left_out: int = Field(
        default=0,
        description="Findings that are missing, the least suspicious: the file would be too large.",
    )
    skipped: Skipped = Field(
        default=Skipped(), description="Files and folders that were found and not judged."
    )


def document(visit: Visit, entries: Sequence[Entry], full: Full) -> str:
    """The JSON of at most `MOST_BYTES`: the most suspicious findings whole, others in short."""
    indent = 1 if len(entries) <= _MOST_INDENTED else None
    head = _head(visit, entries)
    left = MOST_BYTES - _size(json_text(head.model_dump_json(indent=1))) - 1000
    place_of = {id(entry): place for place, entry in enumerate(entries)}
    order = [place_of[id(entry)] for entry in worst_first(entries)]
    texts: dict[int, str] = {}
    for place in order:
        entry = entries[place]
        short = replace(entry, finding=entry.finding.replaced(faces=()))
        text = _judged(short, indent)
        if _size(text) <= left:
            texts[place] = text
            left -= _size(text)
    shortened = len(texts)
    for place in (place for place in order if place in texts):
        text = _judged(full(entries[place]), indent)
        more = _size(text) - _size(texts[place])
        if more > left:
            break
        texts[place] = text
        left -= more
        shortened -= 1
    counted = {"shortened": shortened, "left_out": len(entries) - len(texts)}
    outer = json_text(head.model_copy(update=counted).model_dump_json(indent=1))
    inner = ",\n".join(texts[place] for place in sorted(texts))
    return outer.replace(_NO_FINDINGS, f'"findings": [\n{inner}\n ]', 1)


def _head(visit: Visit, entries: Sequence[Entry]) -> ReportDocument:
    """The document without findings."""
    counts = Counter(entry.finding.verdict for entry in entries)
    return ReportDocument(
        truelight=__version__,
        visit=VisitDocument(**{key: getattr(visit, key) for key in VisitDocument.model_fields}),
        counts={verdict: counts[verdict] for verdict in WORST_FIRST},
        findings=(),
        skipped=visit.skipped,
    )


def _judged(entry: Entry, indent: int | None) -> str:
    judged = JudgedDocument(judged=entry.judged, finding=entry.finding)
    return textwrap.indent(json_text(judged.model_dump_json(indent=indent)), "  ")


def _size(text: str) -> int:
    """Bytes of a text and what separates it from the next."""
    return len(text.encode()) + 2
