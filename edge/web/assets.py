"""Files of the page: style, script, pictures, and what a phone needs to install it."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse, JSONResponse

from edge.language import N_, _, current
from edge.web.problems import Problem
from edge.web.rendering import page, static_file

router = APIRouter(include_in_schema=False)

DESCRIPTION = N_("Says whether the faces in a clip are real or swapped.")

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Send a style sheet, script or picture of ours."""
    content = static_file(name)
    if content is None:
        raise Problem(404, "", _("There is no such file."))
    headers = {"Cache-Control": "no-cache"}
    return Response(content, media_type=_TYPES.get(name.rsplit(".", 1)[-1]), headers=headers)


@router.get("/manifest.webmanifest")
async def manifest() -> Response:
    """Send what a phone needs to install the page."""
    about = json.loads(static_file("manifest.webmanifest") or b"{}")
    about |= {"lang": current(), "description": _(DESCRIPTION)}
    return JSONResponse(about, media_type=_TYPES["webmanifest"])


@router.get("/favicon.ico")
async def favicon() -> Response:
    """Send the small picture of the tab."""
    return await static("icon-192.png")


@router.get("/sw.js")
async def service_worker() -> Response:
    """Send the script that shows a sentence where the box cannot be reached."""
    return await static("sw.js")


@router.get("/offline")
async def offline(request: Request) -> HTMLResponse:
    """Show that sentence."""
    return page(request, "offline.html")
