"""Answers that arrive although the clip was refused before all of it was sent.

A server that closes a connection while the other side still sends resets it, and what it has
answered may be lost on the way: the sender reads "connection reset" in place of the reason. So the
answer is sent, then what still comes is read and dropped for a while, and only then the connection
is closed (the "lingering close" of RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_SECONDS: Final = 30.0
"""How long what a refused sender sends is read at most."""
QUIET_SECONDS: Final = 10.0
"""A sender that is silent for so long has noticed."""


class Lingering:
    """Reads on after an answer that came before the end of its request. ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        sends_on = True

        async def received() -> Message:
            nonlocal sends_on
            message = await receive()
            sends_on = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def lingering(message: Message) -> None:
            if message["type"] == "http.response.start" and sends_on:
                MutableHeaders(scope=message)["Connection"] = "close"
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if not (is_last and sends_on):
                await send(message)
                return
            await send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    while sends_on:
                        async with asyncio.timeout(QUIET_SECONDS):
                            await received()
            await send({"type": "http.response.body"})

        await self._app(scope, received, lingering)


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
