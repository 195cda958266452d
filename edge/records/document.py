"""The report for programs: `truelight-report.json`. `docs/report.schema.json` is made from this."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.finding import Finding

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
