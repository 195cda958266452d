"""Pairing a device with a code, listing devices and tokens, and removing them."""

from __future__ import annotations

import contextlib
import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse

from edge.language import _
from edge.web.box_client import BoxError
from edge.web.devices import CODE_SECONDS, PairingError
from edge.web.problems import Problem
from edge.web.receiving import read_form, redirect
from edge.web.rendering import page
from edge.web.services import Asker, Ours, Services

router = APIRouter(include_in_schema=False)

_PATH = re.compile(r"/(?![/\\])[\w/.~-]*")
"""A path of ours: never another host."""


@router.get("/pair")
async def pair_page(
    request: Request, to: Annotated[str, Query(max_length=200)] = "/"
) -> HTMLResponse:
    """Ask for the code."""
    return page(request, "pair.html", to=own_path(to), shown=False, problem=None)


@router.post("/pair/code")
async def show_code(request: Request, ours: Ours) -> HTMLResponse:
    """Have a code shown on the box's display, and in the terminal of `truelight serve`."""
    fields = await read_form(request)
    to = own_path(fields.get("to", "/"))
    problem: PairingError | None = None
    try:
        await announce(ours, request.app.state.announce)
    except PairingError as failure:
        problem = failure
    return page(request, "pair.html", to=to, shown=problem is None, problem=problem)


async def announce(ours: Services, print_code: object) -> str:
    """Make a code and show it where the box's owner can see it. Raises PairingError."""
    code = ours.devices.new_code()
    shown = False
    if callable(print_code):
        print_code(code)
        shown = True
    try:
        await ours.box.ask("pairing", code=code, fingerprint=ours.fingerprint, seconds=CODE_SECONDS)
    except BoxError as failure:
        if not shown:
            raise PairingError(failure.message, failure.remedy) from None
    return code


@router.post("/pair", response_model=None)
async def pair(request: Request, ours: Ours) -> HTMLResponse | RedirectResponse:
    """Take the code; from then on the browser's cookie lets it in."""
    fields = await read_form(request)
    to = own_path(fields.get("to", "/"))
    name = fields.get("name", "").strip() or _browser_name(request.headers.get("user-agent", ""))
    try:
        _device, secret = ours.devices.pair(fields.get("code", ""), name)
    except PairingError as failure:
        return page(request, "pair.html", 403, to=to, shown=True, problem=failure)
    with contextlib.suppress(BoxError):
        await ours.box.ask("pairing", code="")
    answer = redirect(to)
    answer.headers.append("Set-Cookie", ours.rules.cookie_line(secret))
    return answer


def own_path(path: str) -> str:
    """The path, if it is one of ours; else the first page's."""
    return path if _PATH.fullmatch(path) else "/"


def _browser_name(agent: str) -> str:
    """A name for the list of devices, from what a browser says of itself."""
    systems = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux")
    browsers = ("Edg", "Firefox", "Chrome", "Safari")
    system = next((each for each in systems if each in agent), "")
    browser = next((each for each in browsers if each in agent), "")
    return " ".join(filter(None, (browser, system))) or _("A device")


# ---- Devices


@router.get("/devices")
async def devices_page(request: Request, ours: Ours, asker: Asker) -> HTMLResponse:
    """List devices and tokens."""
    return page(request, "devices.html", devices=ours.devices.all(), asker=asker, token="")


@router.post("/devices/token")
async def make_token(request: Request, ours: Ours, asker: Asker) -> HTMLResponse:
    """Make a token for a program; it is shown once."""
    _need_browser(asker.kind)
    fields = await read_form(request)
    name = fields.get("name", "").strip()
    _made, token = ours.devices.add("token", name or _("A program"))
    return page(request, "devices.html", devices=ours.devices.all(), asker=asker, token=token)


@router.post("/devices/{number}/remove")
async def remove(
    request: Request, ours: Ours, asker: Asker, number: Annotated[int, Path(ge=1, le=2**62)]
) -> RedirectResponse:
    """Remove a device or a token."""
    _need_browser(asker.kind)
    await read_form(request)
    if not ours.devices.remove(number):
        raise Problem(404, "no-such-device", _("There is no such device."))
    answer = redirect("/devices")
    if number == asker.id:
        answer = redirect("/pair")
        answer.headers.append("Set-Cookie", ours.rules.cookie_line("", seconds=0))
    return answer


def _need_browser(kind: str) -> None:
    """A program's token makes and removes no others."""
    if kind != "browser":
        raise Problem(403, "browser-only", _("Only a paired browser may do this."))
