"""Server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from edge.socket_messages import BoxState
from edge.web.box_client import Watch

EVENT_STREAM: Final = "text/event-stream"
SOON_SECONDS, ALIVE_SECONDS = 0.5, 15.0
"""After a change it is looked again soon, since the history follows the state a little later; then
less and less often, so that a client that is gone is noticed."""


def event(name: str, data: str) -> str:
    """An event as it is sent."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"


async def paced(watch: Watch) -> AsyncIterator[BoxState | None]:
    """The states of the box, and the same one again where nothing changes for a while."""
    states = watch.states()
    state: BoxState | None = None
    upcoming, pause = asyncio.ensure_future(anext(states)), ALIVE_SECONDS
    try:
        while True:
            done, _pending = await asyncio.wait({upcoming}, timeout=pause)
            pause = min(2 * pause, ALIVE_SECONDS)
            if done:
                state, pause = upcoming.result(), SOON_SECONDS
                upcoming = asyncio.ensure_future(anext(states))
            yield state
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await states.aclose()  # type: ignore[attr-defined]
