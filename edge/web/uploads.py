"""Uploads that go on where they stopped: the tus protocol, 1.0.0, with creation and termination.

https://tus.io/protocols/resumable-upload: POST announces a clip ("Creation"), PATCH adds to it and
HEAD tells how much has arrived ("Core Protocol"), DELETE gives it up ("Termination"). When all of
it has arrived, it is a scan with the same number.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Request, Response

from edge.language import _
from edge.socket_messages import SCAN_ID
from edge.web.api import clean_name, first_frames
from edge.web.devices import Device
from edge.web.problems import Problem, described
from edge.web.receiving import announced_length, receive_body
from edge.web.scans import scan_now
from edge.web.services import Asker, Ours, Services
from edge.web.spool import Meta, NoSuchUploadError, new_id

router = APIRouter(prefix="/api/v1/uploads", tags=["resumable uploads"])

VERSION: Final = "1.0.0"
CHUNK: Final = "application/offset+octet-stream"

UploadId = Annotated[str, Path(pattern=f"^{SCAN_ID.pattern}$", description="The upload's number.")]
Resumable = Annotated[
    str,
    Header(
        alias="Tus-Resumable",
        description="The version of the protocol.",
        json_schema_extra={"enum": [VERSION]},
    ),
]

_under_way: dict[str, asyncio.Lock] = {}
"""Uploads that are being added to: two at once would mix."""


@router.options("", status_code=204, response_class=Response, responses=described(401))
async def read_protocol(ours: Ours) -> Response:
    """Say which protocol is spoken, and how large a clip may be."""
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": "creation,termination",
        "Tus-Max-Size": str(ours.spool.bounds.clip),
    }
    return _empty(204, **headers)


@router.post(
    "",
    status_code=201,
    response_class=Response,
    responses=described(400, 401, 403, 412, 413, 422, 503, 507),
)
async def begin_upload(
    ours: Ours,
    asker: Asker,
    upload_length: Annotated[int, Header(ge=1, le=2**53, description="Bytes of the clip.")],
    tus_resumable: Resumable,
    upload_metadata: Annotated[
        str, Header(max_length=4000, description="`filename` and `first`, as tus wants them.")
    ] = "",
) -> Response:
    """Announce a clip; its address is in `Location`."""
    _check_version(tus_resumable)
    known = _metadata(upload_metadata)
    meta = Meta(
        id=new_id(),
        name=clean_name(known.get("filename") or known.get("name", "")) or _("clip"),
        length=upload_length,
        first=first_frames(known.get("first", "")),
        sender=asker.name,
        owner=asker.id,
    )
    ours.spool.begin(meta)
    return _empty(201, Location=f"{router.prefix}/{meta.id}")


@router.head("/{scan}", response_class=Response, responses=described(401, 404, 412, 422, 503))
async def read_offset(ours: Ours, asker: Asker, scan: UploadId) -> Response:
    """Tell how much has arrived; all, if it is a scan by now and its sender missed the answer."""
    try:
        length, offset = _own(ours, asker, scan).length, ours.spool.offset(scan)
    except NoSuchUploadError:
        now = await scan_now(ours, scan)
        length = offset = now.bytes or (now.finding and now.finding.size) or 0
    return _empty(200, **{"Upload-Offset": str(offset), "Upload-Length": str(length)})


@router.patch(
    "/{scan}",
    status_code=204,
    responses=described(400, 401, 403, 404, 409, 411, 412, 413, 415, 422, 423, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {CHUNK: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def add_to_upload(
    request: Request,
    ours: Ours,
    asker: Asker,
    scan: UploadId,
    upload_offset: Annotated[int, Header(ge=0, le=2**53, description="Where this piece begins.")],
    tus_resumable: Resumable,
) -> Response:
    """Add a piece; with the last one the clip is a scan and waits to be judged."""
    _check_version(tus_resumable)
    if request.headers.get("content-type", "") != CHUNK:
        raise Problem(415, "no-chunk", _("A piece must have the type {type}.").format(type=CHUNK))
    announced_length(request)
    lock = _under_way.setdefault(scan, asyncio.Lock())
    if lock.locked():
        message = _("This upload is being added to already.")
        raise Problem(423, "under-way", message, _("Wait until that connection has ended."))
    try:
        async with lock:
            meta = _own(ours, asker, scan)
            if upload_offset != ours.spool.offset(scan):
                message = _("The piece does not begin where the upload stopped.")
                raise Problem(409, "other-offset", message, _("Ask for the offset (HEAD)."))
            await receive_body(request, ours.spool, meta)
            offset = ours.spool.offset(scan)
            if offset == meta.length:
                await ours.submit(meta)
    finally:
        _under_way.pop(scan, None)
    return _empty(204, **{"Upload-Offset": str(offset)})


@router.delete("/{scan}", status_code=204, responses=described(401, 403, 404, 422))
async def give_upload_up(ours: Ours, asker: Asker, scan: UploadId) -> Response:
    """Give an upload up."""
    _own(ours, asker, scan)
    ours.spool.delete(scan)
    return _empty(204)


def _own(ours: Services, asker: Device, scan: str) -> Meta:
    """An upload under way that this device began."""
    meta = ours.spool.meta(scan)
    if meta.owner != asker.id:
        raise Problem(404, "no-such-upload", _("There is no such upload under way."))
    return meta


def _check_version(version: str) -> None:
    if version != VERSION:
        message = _("Only version {version} of tus is supported.").format(version=VERSION)
        raise Problem(412, "other-version", message, headers={"Tus-Version": VERSION})


def _metadata(header: str) -> dict[str, str]:
    """Upload-Metadata: keys and values in base64, separated by commas."""
    found: dict[str, str] = {}
    for pair in header.split(","):
        key, _space, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            message = _("Upload-Metadata is not valid for tus.")
            raise Problem(400, "metadata", message) from None
    return found


def _empty(status: int, **headers: str) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": VERSION, **headers})
