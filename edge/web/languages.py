"""The language of an answer: the one chosen on the page, else the first the browser wants."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Final

from fastapi import APIRouter, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.language import ENGLISH, LANGUAGES, _, current, speaking
from edge.web.pairing import own_path
from edge.web.problems import Problem
from edge.web.receiving import read_form, redirect

COOKIE: Final = "language"
_YEAR_SECONDS: Final = 31_536_000
_MOST_WANTED: Final = 20

router = APIRouter(include_in_schema=False)


class Languages:
    """The ASGI application, spoken in the reader's language."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in its language."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                if given.get("content-type", "").startswith("text/html"):
                    given.setdefault("Content-Language", current())
                    given.add_vary_header("Accept-Language")
                    given.add_vary_header("Cookie")
            await send(message)

        with speaking(wanted(headers.get("cookie", ""), headers.get("accept-language", ""))):
            await self._app(scope, receive, named)


def wanted(cookies: str, accepted: str) -> str:
    """The language of a request, by its `Cookie` and `Accept-Language` headers."""
    try:
        chosen = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        chosen = None
    if chosen and chosen.value in LANGUAGES:
        return chosen.value
    ranked = []
    for item in accepted.split(",")[:_MOST_WANTED]:
        tag, _semicolon, weight = item.partition(";")
        try:
            rank = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        ranked.append((-rank, tag.strip().partition("-")[0].lower()))
    ranked.sort(key=lambda each: each[0])
    return next((tag for rank, tag in ranked if rank < 0 and tag in LANGUAGES), ENGLISH)


@router.post("/language")
async def choose(request: Request) -> RedirectResponse:
    """Remember the language that someone chose, in a cookie of this browser."""
    fields = await read_form(request)
    language = fields.get("language", "")
    if language not in LANGUAGES:
        raise Problem(400, "no-such-language", _("This page is not available in that language."))
    answer = redirect(own_path(fields.get("to", "/")))
    answer.set_cookie(
        COOKIE,
        language,
        max_age=_YEAR_SECONDS,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer
