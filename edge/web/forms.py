"""Forms of our pages: read within bounds, with the token that our pages put into them."""

from __future__ import annotations

import hmac
from typing import Final

from fastapi import Request
from starlette.responses import RedirectResponse

from edge.language import _
from edge.web.access import stale_form
from edge.web.problems import Problem

MOST_BYTES: Final = 16_384


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours. Raises Problem if it is not one, or is too long."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    length = request.headers.get("content-length", "")
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "no-form", _("A form is expected."))
    if not length.isdigit() or int(length) > MOST_BYTES:
        raise Problem(413, "form-too-long", _("The form is too long."))
    form = await request.form()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    check_form_token(request, fields.get("form_token", ""))
    return fields


def check_form_token(request: Request, token: str) -> None:
    """Refuse a form that no page of ours has made for this device."""
    if not hmac.compare_digest(token.encode(), request.state.form_token.encode()):
        raise stale_form()


def redirect(path: str) -> RedirectResponse:
    """After a form: show another page."""
    return RedirectResponse(path, 303)
