"""What the daemon and the page's process say to each other over the box's socket; the API's scan.

One JSON object a line: a request and its answer, in turn, on one connection. `VERSION` is raised
when the meaning of a key changes; keys may be added. The daemon answers; it never asks.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.finding import Finding, Verdict
from edge.skipped import NOTHING_SKIPPED, Skipped

VERSION: Final = 1
MOST_REQUEST_BYTES: Final = 65_536
"""A request that is longer is refused, and its connection closed."""
MOST_WAIT_SECONDS: Final = 20.0
"""A request for changes is answered after this time, whether there are some or not."""

SCAN_ID: Final = re.compile(r"[0-9a-z]{26}")
"""The number of an upload: the name of its files in the spool, and nothing else."""

CLIP, RECORD = ".clip", ".json"
"""Endings of an upload's two files in the spool: the clip, then the record that makes it whole."""


def scan_page(scan: str) -> str:
    """Where the page shows an upload's finding; the history notes it with the visit."""
    return f"/scans/{scan}"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Request(_Message):
    """What the page's process asks for; `ask` names one of the daemon's answers."""

    version: Literal[1] = VERSION
    ask: str
    about: dict[str, Any] = Field(default_factory=dict, description="Arguments, by their name.")


class Failure(_Message):
    """Why a request was not answered."""

    code: Literal["unknown", "wrong", "missing", "busy", "failed"]
    message: str
    remedy: str = ""


class Answer(_Message):
    """The answer to a request, or why there is none."""

    version: Literal[1] = VERSION
    answer: dict[str, Any] | None = None
    failure: Failure | None = None


# ---- Uploads


class Upload(_Message):
    """The record of an upload in the spool, written when its clip is whole."""

    version: Literal[1] = VERSION
    id: str = Field(pattern=f"^{SCAN_ID.pattern}$")
    name: str = Field(min_length=1, max_length=255, description="What the sender calls the clip.")
    size: int = Field(ge=0)
    received: datetime
    first: int | None = Field(default=None, ge=1, le=100_000, description="As `scan.first`.")
    sender: str = Field(default="", description="The device that sent it.")


# ---- The state


class Screen(_Message):
    """What the display shows: the same picture, its words, and what the lamps do."""

    picture: str = Field(description="PNG, 128 x 64, base64.")
    words: tuple[str, ...]
    status: str
    statuses: dict[str, str] = Field(default={}, description="The same, by language.")
    language: str = Field(default="en", description="That of the picture and its words.")
    green: str = Field(description="Step by step of an eighth of a second; `#` is lit.")
    red: str
    lamps: str = Field(description="The same in words.")


class Working(_Message):
    """The progress on the clip that is judged now."""

    name: str
    number: int
    stage: str
    fraction: float
    seconds_left: float | None


class ClipAnswer(_Message):
    """The short result of a clip that was judged."""

    name: str
    verdict: Verdict
    fake_probability: float | None


class Queued(_Message):
    """A batch that is judged or waits, in the order in which they come."""

    key: str = Field(description="Of an upload: its number.")
    origin: str
    name: str
    clips: int
    judged: int = Field(default=0, description="Of these clips.")
    results: tuple[ClipAnswer, ...] = Field(
        default=(), description="The latest, at most 100; the history has all."
    )
    working: Working | None = None
    seconds_left: float | None = Field(description="Until all of it is judged; null: not known.")


class TroubleMessage(_Message):
    """Something that a person can mend."""

    kind: str
    message: str
    remedy: str


class BoxState(_Message):
    """All that changes while the box works."""

    revision: str = Field(description="Differs when anything else here does.")
    phase: str
    screen: Screen
    queue: tuple[Queued, ...]
    troubles: tuple[TroubleMessage, ...]
    camera: bool = Field(description="Whether there is a camera.")
    viewfinder: str | None = Field(description="What the camera sees: JPEG, base64.")


class SettingLine(_Message):
    """A setting, its value in JSON, and its origin."""

    name: str
    value: str
    origin: str


class About(_Message):
    """What stays the same while the daemon runs, and its health at this moment."""

    truelight: str
    model: str
    summary: str
    licence: str
    second: str = Field(description="The second model, or why there is none.")
    settings: tuple[SettingLine, ...]
    celsius: float | None
    free_megabytes: float | None
    findings: int = Field(description="In the history.")


# ---- The history


class VisitMessage(_Message):
    """A visit of the history."""

    id: int
    origin: str
    name: str
    began: datetime
    ended: datetime | None
    ending: str
    report: str
    skipped: Skipped = NOTHING_SKIPPED

    def in_short(self) -> VisitMessage:
        """The same without the names of what was skipped: an answer may hold many visits."""
        return self.model_copy(update={"skipped": Skipped(counts=self.skipped.counts)})


class EntryMessage(_Message):
    """A finding of the history; pictures are JPEG in base64, by the face's number."""

    id: int
    visit: int
    judged: datetime
    finding: Finding
    portraits: dict[int, str] = Field(default_factory=dict)
    heat: dict[int, str] = Field(default_factory=dict)
    first_frames: str = Field(default="", description="One JPEG of the clip's first frames.")


class Found(_Message):
    """Findings with their visits, the newest first; `more` if there are older ones."""

    entries: tuple[EntryMessage, ...]
    visits: tuple[VisitMessage, ...]
    more: bool = False


# ---- The API


class Scan(_Message):
    """A scan as it stands."""

    id: str
    name: str
    status: Literal["receiving", "waiting", "judging", "done"]
    received_bytes: int | None = Field(default=None, description="While it is being received.")
    bytes: int | None = Field(default=None, description="Of the clip, while it is not judged.")
    position: int | None = Field(default=None, description="In the queue; 1 is judged next.")
    working: Working | None = Field(default=None, description="While it is being judged.")
    seconds_left: float | None = Field(default=None, description="An estimate; null: not known.")
    number: int | None = Field(default=None, description="Of its finding in the history.")
    verdict: Verdict | None = None
    finding: Finding | None = Field(default=None, description="When it is judged.")
    url: str = Field(description="The page that shows it.")
