"""The API: the history, the box itself, and its health."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import StreamingResponse

from edge import __version__
from edge.finding import Verdict
from edge.history.export import csv_lines
from edge.history.reader import Entry, Visit
from edge.history.report import make_report
from edge.language import _
from edge.socket_messages import About, BoxState, EntryMessage, Found, VisitMessage
from edge.web.box_client import EVENT_STREAM, BoxError, event, paced
from edge.web.problems import Problem, described, sends
from edge.web.services import Ours, Services, described_model

router = APIRouter(prefix="/api/v1")

Number = Annotated[int, Path(ge=1, le=2**62)]
MOST_EXPORTED = 100_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class HealthDocument(BaseModel):
    """Whether the page and the box work."""

    status: Literal["ok", "away"]
    truelight: str
    box: About | None = Field(default=None, description="For paired devices.")


class FindingList(BaseModel):
    """Findings, the newest first, with their visits."""

    findings: list[EntryMessage]
    visits: list[VisitMessage]
    before: int | None = Field(description="Ask with this for older ones; null: there are none.")


def _is_day(value: object) -> object:
    """Refuse what is not a date as it is written, such as a number of seconds."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError(_("a date is written as 2026-11-22"))
    return value


Day = Annotated[date, BeforeValidator(_is_day)]


class Wanted(BaseModel):
    """Which findings."""

    verdict: Verdict | None = None
    origin: Literal["camera", "stick", "inbox", "web"] | None = None
    since: Day | None = Field(default=None, description="From this day on.")
    until: Day | None = Field(default=None, description="Up to this day.")
    text: str | None = Field(default=None, max_length=200, description="In the clip's name.")

    def moments(self) -> dict[str, str | None]:
        """As the box is asked, in this machine's time zone."""
        begin = datetime.combine(self.since, time()).astimezone() if self.since else None
        until = self.until if self.until and self.until < date.max else None
        end = datetime.combine(until + timedelta(days=1), time()).astimezone() if until else None
        return {
            "verdict": self.verdict.value if self.verdict else None,
            "origin": self.origin,
            "since": begin.isoformat() if begin else None,
            "until": end.isoformat() if end else None,
            "text": self.text or None,
        }


Filters = Annotated[Wanted, Query()]


@router.get("/findings", tags=["history"], responses=described(401, 422, 503))
async def list_findings(
    ours: Ours,
    wanted: Filters,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> FindingList:
    """Search the history."""
    found = await ours.box.find(**wanted.moments(), limit=limit, before=before)
    last = found.entries[-1].id if found.more else None
    return FindingList(findings=list(found.entries), visits=list(found.visits), before=last)


@router.get(
    "/findings.csv",
    tags=["history"],
    response_class=StreamingResponse,
    responses=sends("text/csv", 401, 422, 503),
)
async def export_findings(ours: Ours, wanted: Filters) -> StreamingResponse:
    """All findings as a table for spreadsheets."""
    first = await ours.box.find(**wanted.moments(), limit=200)
    headers = {"Content-Disposition": 'attachment; filename="truelight.csv"'}
    return StreamingResponse(_csv(ours, wanted, first), media_type="text/csv", headers=headers)


async def _csv(ours: Services, wanted: Wanted, found: Found) -> AsyncIterator[str]:
    yield next(csv_lines(()))
    exported = 0
    while found.entries and exported < MOST_EXPORTED:
        visits = {visit.id: as_visit(visit) for visit in found.visits}
        lines = csv_lines((as_entry(entry), visits[entry.visit]) for entry in found.entries)
        next(lines)
        yield "".join(lines)
        exported += len(found.entries)
        if not found.more:
            return
        before = found.entries[-1].id
        found = await ours.box.find(**wanted.moments(), limit=200, before=before)


@router.get("/findings/{number}", tags=["history"], responses=described(401, 404, 422, 503))
async def read_finding(ours: Ours, number: Number) -> EntryMessage:
    """Read a finding, with portraits of its faces."""
    return (await ours.box.finding(number)).entries[0]


@router.delete(
    "/findings/{number}",
    tags=["history"],
    status_code=204,
    responses=described(401, 403, 404, 422, 503),
)
async def delete_finding(ours: Ours, number: Number) -> Response:
    """Delete a finding, with its pictures."""
    await ours.box.ask("delete", number=number)
    return Response(status_code=204)


@router.get(
    "/findings/{number}/faces/{face}.jpg",
    tags=["history"],
    response_class=Response,
    responses=sends("image/jpeg", 401, 404, 422, 503),
)
async def read_face(
    ours: Ours,
    number: Number,
    face: Annotated[int, Path(ge=1, le=100_000)],
    heat: Annotated[bool, Query(description="With the heat map.")] = False,
) -> Response:
    """Read the best view of a face."""
    entry = (await ours.box.finding(number)).entries[0]
    picture = (entry.heat if heat else entry.portraits).get(face)
    if picture is None:
        raise Problem(404, "no-picture", _("There is no picture of this face."))
    return Response(base64.b64decode(picture), media_type="image/jpeg")


@router.get(
    "/visits/{number}/report.{form}",
    tags=["history"],
    response_class=Response,
    responses=sends("text/html", 401, 404, 422, 503, also="application/json"),
)
async def read_report(
    request: Request, ours: Ours, number: Number, form: Literal["html", "json"]
) -> Response:
    """Read the report on a visit: a page that needs nothing else, or JSON."""
    found = await ours.box.visit(number)
    entries = [as_entry(entry) for entry in found.entries]
    report = make_report(as_visit(found.visits[0]), entries, await described_model(request.app))
    headers = {"Content-Disposition": f'attachment; filename="truelight-report.{form}"'}
    if form == "json":
        return Response(report.json, media_type="application/json", headers=headers)
    # The report's own policy is in its page; it is nothing but text, pictures and a style.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
    headers["Content-Security-Policy"] = policy
    return Response(report.html, media_type="text/html", headers=headers)


# ---- The box


@router.get("/box", tags=["box"], responses=described(401, 503))
async def read_box(ours: Ours) -> BoxState:
    """Read what the box does: its screen, its lamps, its queue."""
    return await ours.box.state()


@router.get(
    "/box/events",
    tags=["box"],
    response_class=StreamingResponse,
    responses=sends(EVENT_STREAM, 401, what="Events `box`: its state; `away`: no answer."),
)
async def box_events(ours: Ours) -> StreamingResponse:
    """Follow the box: an event whenever its state changes."""

    async def events() -> AsyncIterator[str]:
        async for state in paced(ours.watch):
            yield event("box", state.model_dump_json()) if state else event("away", "{}")

    return StreamingResponse(events(), media_type=EVENT_STREAM)


@router.post("/box/camera", tags=["box"], status_code=202, responses=described(401, 403, 409, 503))
async def start_camera(ours: Ours) -> BoxState:
    """Open the viewfinder; where it is open, record now."""
    if not (await ours.box.state()).camera:
        raise Problem(409, "no-camera", _("This box has no camera."))
    await ours.box.ask("camera")
    return await ours.box.state()


@router.post("/box/cancel", tags=["box"], status_code=202, responses=described(401, 403, 503))
async def cancel_work(ours: Ours) -> BoxState:
    """Cancel what the box does, as holding its button for two seconds does."""
    await ours.box.ask("cancel")
    return await ours.box.state()


@router.get("/health", tags=["box"], responses=described(503), openapi_extra={"security": []})
async def read_health(request: Request, ours: Ours) -> HealthDocument:
    """Tell whether the page and the box work; to paired devices, also how the box is."""
    try:
        about = await ours.box.about()
    except BoxError:
        return HealthDocument(status="away", truelight=__version__)
    paired = request.state.device is not None
    return HealthDocument(status="ok", truelight=__version__, box=about if paired else None)


# ---- From messages to what the history's own functions take


def as_visit(visit: VisitMessage) -> Visit:
    """A visit of the history."""
    return Visit(**dict(visit))


def as_entry(entry: EntryMessage) -> Entry:
    """An entry of the history."""
    return Entry(
        id=entry.id,
        visit=entry.visit,
        judged=entry.judged,
        finding=entry.finding,
        portraits=dict(_jpegs(entry.portraits)),
        heat=dict(_jpegs(entry.heat)),
        first_frames=base64.b64decode(entry.first_frames),
    )


def _jpegs(pictures: dict[int, str]) -> Iterator[tuple[int, bytes]]:
    for face, text in pictures.items():
        yield face, base64.b64decode(text)
