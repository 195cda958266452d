"""The pages: the box live, uploads, findings, history, settings, health."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse, StreamingResponse

from edge.history.report_page import accuracy, display_names
from edge.language import _
from edge.socket_messages import SCAN_ID
from edge.text import model_text, one_line
from edge.web.api import ScanId, receive
from edge.web.box_client import EVENT_STREAM, BoxError, event, paced
from edge.web.history_api import Number, Wanted, as_entry, as_visit
from edge.web.problems import Problem
from edge.web.receiving import Form, check_form_token, read_form, redirect
from edge.web.rendering import extra, live_parts, page, part
from edge.web.scans import delete_scan, scan_now
from edge.web.services import Asker, Ours, Services, described_model

router = APIRouter(include_in_schema=False)

RECENT = 10
LISTED = 50


@router.get("/")
async def home(request: Request, ours: Ours) -> HTMLResponse:
    """Show what the box does, take clips, and list what came out last."""
    state = None
    recent = ""
    try:
        state = await ours.box.state()
        recent = await _recent(ours)
    except BoxError:
        pass
    parts = {**live_parts(state), "recent": recent}
    return page(
        request, "home.html", parts=parts, state=state, live="/live", most=ours.spool.bounds
    )


@router.get("/camera")
async def camera(request: Request, ours: Ours) -> HTMLResponse:
    """Show the viewfinder, and start a recording."""
    try:
        state = await ours.box.state()
    except BoxError:
        state = None
    parts = live_parts(state)
    return page(request, "camera.html", parts=parts, state=state, live="/live")


@router.post("/camera/{what}")
async def use_camera(
    request: Request, ours: Ours, what: Literal["start", "cancel"]
) -> RedirectResponse:
    """Start the camera, or cancel what the box does."""
    await read_form(request)
    await ours.box.ask("camera" if what == "start" else "cancel")
    return redirect("/camera")


@router.get("/live")
async def live(ours: Ours, scan: Annotated[str, Query(max_length=26)] = "") -> StreamingResponse:
    """Send the parts of a page as they change; with `scan`, also that scan's progress."""

    async def events() -> AsyncIterator[str]:
        sent: dict[str, str] = {}
        finished = 0
        async for state in paced(ours.watch):
            parts = dict(live_parts(state))
            judged = sum(one.judged for one in state.queue) if state else 0
            key = f"{state.phase} {len(state.queue)} {judged}" if state else ""
            if state and sent.get("key") != key:
                sent["key"] = key
                parts["recent"] = await _recent(ours)
            if scan and SCAN_ID.fullmatch(scan):
                try:
                    now = await scan_now(ours, scan)
                except (BoxError, Problem):
                    now = None
                if now and now.status == "done":
                    yield event("go", json.dumps(now.url))
                    return
                parts["scan"] = part("scan", scan=now)
            changed = {name: html for name, html in parts.items() if sent.get(name) != html}
            sent |= changed
            finished += 1
            yield event("parts", json.dumps(changed)) if changed else ": still here\n\n"

    return StreamingResponse(events(), media_type=EVENT_STREAM)


async def _recent(ours: Services) -> str:
    try:
        found = await ours.box.find(limit=RECENT)
    except BoxError:
        return ""
    names = display_names([entry.finding.path for entry in found.entries])
    visits = {visit.id: visit for visit in found.visits}
    return part(
        "findings", entries=found.entries, visits=visits, names=names, caption=_("Latest"), none=""
    )


# ---- Uploads


@router.post("/upload")
async def upload(request: Request, ours: Ours, asker: Asker) -> RedirectResponse:
    """Take a clip from a browser without scripts."""

    def check(form: Form) -> None:
        check_form_token(request, form.fields.get("form_token", ""))
        if not form.file_bytes:
            raise Problem(400, "no-file", _("No clip was chosen."), _("Go back and choose one."))

    meta = await receive(request, ours, asker, check=check)
    await ours.submit(meta)
    return redirect(f"/scans/{meta.id}")


@router.get("/scans/{scan}")
async def show_scan(request: Request, ours: Ours, scan: ScanId) -> Response:
    """Show how far a scan is, then its finding."""
    now = await scan_now(ours, scan)
    if now.status == "done":
        if now.number is None:
            raise Problem(404, "deleted", _("This clip was not judged: it was deleted."))
        return redirect(f"/findings/{now.number}")
    parts = {"scan": part("scan", scan=now)}
    return page(request, "scan.html", parts=parts, scan=now, live=f"/live?scan={scan}")


@router.post("/scans/{scan}/delete")
async def withdraw(request: Request, ours: Ours, scan: ScanId) -> RedirectResponse:
    """Take a clip back that waits."""
    await read_form(request)
    await delete_scan(ours, scan)
    return redirect("/")


# ---- Findings


@router.get("/findings/{number}")
async def finding(request: Request, ours: Ours, number: Number) -> HTMLResponse:
    """Show a finding as the report does."""
    found = await ours.box.finding(number)
    entry, visit = as_entry(found.entries[0]), as_visit(found.visits[0])
    model = await described_model(request.app)
    return page(request, "finding_page.html", visit=visit, **about_finding(entry, model))


def about_finding(entry: Any, model: Any) -> dict[str, Any]:  # noqa: ANN401
    """What the report's templates want to know about one finding."""
    judged, second = entry.finding.model, entry.finding.second_opinion
    same = model is not None and (model.name, model.version) == (judged.name, judged.version)
    return {
        "entry": entry,
        "name": next(iter(display_names([entry.finding.path]).values())),
        "models": [model_text(judged, version=True)],
        "second_models": [model_text(second.model, version=True)] if second else [],
        "licence": one_line(model.licence) if same else "",
        "summary": one_line(model.summary) if same else "",
        "accuracy": accuracy(model.figures) if same else [],
    }


@router.post("/findings/{number}/delete")
async def delete_finding(request: Request, ours: Ours, number: Number) -> RedirectResponse:
    """Delete a finding for good."""
    await read_form(request)
    await ours.box.ask("delete", number=number)
    return redirect("/history")


@router.get("/history")
async def history(
    request: Request,
    ours: Ours,
    verdict: str = "",
    origin: str = "",
    since: str = "",
    until: str = "",
    text: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> HTMLResponse:
    """Search the history."""
    given = extra(
        {"verdict": verdict, "origin": origin, "since": since, "until": until, "text": text}
    )
    try:
        wanted = Wanted.model_validate(given)
    except ValueError:
        message = _("One of the fields cannot be understood.")
        raise Problem(400, "filter", message, _("Go back and correct it.")) from None
    found = await ours.box.find(**wanted.moments(), limit=LISTED, before=before)
    names = display_names([entry.finding.path for entry in found.entries])
    visits = {visit.id: visit for visit in found.visits}
    older = urlencode({**given, "before": found.entries[-1].id}) if found.more else ""
    about = {"visits": visits, "names": names, "caption": _("Findings")}
    none = _("No finding matches.") if given else ""
    listed = part("findings", entries=found.entries, none=none, **about)
    return page(
        request, "history.html", given=given, listed=listed, older=older, query=urlencode(given)
    )


# ---- About the box


@router.get("/settings")
async def settings(request: Request, ours: Ours) -> HTMLResponse:
    """Show every setting with its origin; they are changed on the box itself."""
    return page(request, "settings.html", about=await ours.box.about())


@router.get("/health")
async def health(request: Request, ours: Ours) -> HTMLResponse:
    """Show how the box is."""
    about, state = await ours.box.about(), await ours.box.state()
    used, most = ours.spool.used, ours.spool.bounds.spool
    return page(request, "health.html", about=about, state=state, used=used, most=most)


@router.get("/api")
async def api_documentation(request: Request) -> HTMLResponse:
    """Show the API's OpenAPI document for people."""
    return page(request, "api.html", api=request.app.openapi())
