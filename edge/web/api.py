"""The API: scans. A clip comes in, its finding goes out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from edge.language import _
from edge.socket_messages import SCAN_ID, Scan
from edge.web.box_client import EVENT_STREAM, BoxError, event, paced
from edge.web.devices import Device
from edge.web.problems import Problem, described, sends
from edge.web.receiving import Form, FormReader, announced_length, receive_body
from edge.web.scans import delete_scan, queued, scan_now
from edge.web.services import Asker, Ours, Services
from edge.web.spool import Meta, new_id

router = APIRouter(prefix="/api/v1", tags=["scans"])

ScanId = Annotated[str, Path(pattern=f"^{SCAN_ID.pattern}$", description="The scan's number.")]
First = Annotated[
    int | None,
    Query(ge=1, le=100_000, description="How many of the first frames to judge; else all."),
]
_KEY: Final = "A text of your own, new for each clip: sent twice, the clip is judged once."

_BINARY: Final = {"type": "string", "format": "binary"}
FORM: Final[dict[str, Any]] = {
    "multipart/form-data": {
        "schema": {"type": "object", "required": ["file"], "properties": {"file": _BINARY}}
    }
}
"""A form with a clip, in the OpenAPI document."""
_BODY: Final = {"application/octet-stream": {"schema": _BINARY}, **FORM}


@router.post(
    "/scans",
    status_code=202,
    responses=described(400, 401, 403, 409, 411, 413, 415, 422, 503, 507),
    openapi_extra={"requestBody": {"required": True, "content": _BODY}},
)
async def create_scan(
    request: Request,
    response: Response,
    ours: Ours,
    asker: Asker,
    name: Annotated[str, Query(max_length=255, description="The clip's name.")] = "",
    first: First = None,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=128, description=_KEY)
    ] = None,
) -> Scan:
    """Send a clip to be judged: as the body itself, or as `file` of a form."""
    length = announced_length(request)
    digest = hashlib.sha256(f"{name}\n{first}\n{length}".encode()).digest()
    if idempotency_key and (before := ours.devices.remembered(asker, idempotency_key)):
        if before[0] != digest:
            message = _("This idempotency key was used for another clip.")
            raise Problem(409, "key-used", message, _("Use a new one."))
        scan = await _scan_before(ours, before[1])
    else:
        meta = await receive(request, ours, asker, name=name, first=first)
        if idempotency_key:
            ours.devices.remember(asker, idempotency_key, digest, meta.id)
        upload = await ours.submit(meta)
        scan = queued(upload.id, upload.name, None, upload.size)
    response.headers["Location"] = f"{router.prefix}/scans/{scan.id}"
    return scan


async def _scan_before(ours: Services, scan: str) -> Scan:
    """The scan of a key that was used before. Raises Problem if it was deleted since."""
    try:
        return await scan_now(ours, scan)
    except Problem as gone:
        if gone.status != 404:
            raise
    message = _("The clip that was sent with this idempotency key was deleted.")
    raise Problem(409, "key-used", message, _("Use a new one."))


async def receive(
    request: Request,
    ours: Services,
    asker: Device,
    *,
    name: str = "",
    first: int | None = None,
    check: Callable[[Form], None] | None = None,
) -> Meta:
    """Receive a request's clip into the spool, whole. Raises Problem and what the spool raises.

    `first` may also be a field of a form. With `check`, which may refuse it, only a form is taken.
    """
    length = announced_length(request)
    kind = request.headers.get("content-type", "")
    is_form = check is not None or kind.startswith("multipart/")
    if length == 0:
        raise Problem(400, "no-file", _("The request has no clip in it."))
    scan = new_id()
    meta = Meta(
        id=scan,
        name=clean_name(name) or _("clip"),
        length=length,
        first=first,
        sender=asker.name,
        owner=asker.id,
    )
    ours.spool.begin(meta)
    try:
        if is_form:
            form = await FormReader(request, ("file",)).read(ours.spool, meta)
            if check:
                check(form)
            known = {
                "name": clean_name(name) or clean_name(form.file_name) or meta.name,
                "length": form.file_bytes,
                "first": first or first_frames(form.fields.get("first", "")),
            }
            return meta.model_copy(update=known)
        if await receive_body(request, ours.spool, meta) < length:
            raise Problem(400, "gone", _("The connection was closed."))
        return meta
    except BaseException:
        ours.spool.delete(scan)
        raise


def first_frames(text: str) -> int | None:
    """How many first frames a sender wants judged; None: all, or the text is no such number."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 6
    return int(text) if is_number and 0 < int(text) <= 100_000 else None


def clean_name(name: str) -> str:
    """A sender's name for a clip, without folders; never a name of a file here."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in last if letter.isprintable()).strip()[:255]


class ScanList(BaseModel):
    """Scans, the newest first."""

    scans: list[Scan]
    before: int | None = Field(description="Ask with this for older ones; null: there are none.")


@router.get("/scans", responses=described(401, 422, 503))
async def list_scans(
    ours: Ours,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> ScanList:
    """List uploads: those that wait, then those that are judged, without their faces."""
    scans: list[Scan] = []
    if before is None:
        state = await ours.box.state()
        uploads = [one for one in state.queue if one.origin == "web"]
        scans = [queued(one.key, one.name, state) for one in reversed(uploads)]
    found = await ours.box.find(origin="web", limit=limit, before=before)
    visits = {visit.id: visit for visit in found.visits}
    for entry in found.entries:
        scan = visits[entry.visit].report.rsplit("/", 1)[-1]
        if not SCAN_ID.fullmatch(scan):
            continue  # judged a moment ago, and still in the queue
        scans.append(
            Scan(
                id=scan,
                name=visits[entry.visit].name,
                status="done",
                number=entry.id,
                verdict=entry.finding.verdict,
                finding=entry.finding.model_copy(update={"faces": ()}),
                url=visits[entry.visit].report,
            )
        )
    return ScanList(scans=scans, before=found.entries[-1].id if found.more else None)


@router.get("/scans/{scan}", responses=described(401, 404, 422, 503))
async def read_scan(ours: Ours, scan: ScanId) -> Scan:
    """Read a scan as it stands; when it is judged, with its finding."""
    return await scan_now(ours, scan)


@router.delete("/scans/{scan}", status_code=204, responses=described(401, 403, 404, 422, 503))
async def delete(ours: Ours, scan: ScanId) -> Response:
    """Delete a scan: its clip if it waits, its finding if it is judged."""
    await delete_scan(ours, scan)
    return Response(status_code=204)


@router.get(
    "/scans/{scan}/events",
    response_class=StreamingResponse,
    responses=sends(
        EVENT_STREAM, 401, 404, 422, 503, what="Events `scan`: as it stands; the last one is done."
    ),
)
async def scan_events(ours: Ours, scan: ScanId) -> StreamingResponse:
    """Follow a scan: an event whenever it changes, until it is done."""
    await scan_now(ours, scan)

    async def events() -> AsyncIterator[str]:
        last = ""
        async for _state in paced(ours.watch):
            try:
                now = await scan_now(ours, scan)
            except BoxError:
                continue
            except Problem as problem:  # deleted meanwhile
                yield event("problem", problem.document().model_dump_json())
                return
            text = now.model_dump_json()
            if text != last:
                yield event("scan", text)
                last = text
            if now.status == "done":
                return

    return StreamingResponse(events(), media_type=EVENT_STREAM)
