"""The box, as the page's process reaches it: requests at its socket, and a watch on its state."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from edge.errors import TruelightError
from edge.language import _, translated
from edge.socket_messages import MOST_WAIT_SECONDS, About, Answer, BoxState, Found, Request

_MOST_ANSWER_BYTES: Final = 256 * 1024**2
_PATIENCE: Final = 30.0
"""Seconds that an answer may take beyond what a request waits for."""
_AGAIN_SECONDS: Final = 1.0
"""Between two attempts to reach a box that is away."""
_BUSY_ATTEMPTS: Final = 20


class BoxError(TruelightError):
    """The box refused a request. `code` is that of `socket_messages.Failure`, or `away`."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code


class Box:
    """Requests to the daemon, each on a connection of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ask(self, what: str, wait: float = 0.0, **about: Any) -> dict[str, Any]:  # noqa: ANN401
        """The answer to a request, which may itself wait for `wait` seconds.

        Raises BoxError: it was refused, or the box is away.
        """
        for attempt in range(_BUSY_ATTEMPTS):
            answer = await self._exchange(Request(ask=what, about=about), wait)
            failure = answer.failure
            if failure is None:
                return answer.answer or {}
            if failure.code != "busy":
                break
            await asyncio.sleep(0.05 * (attempt + 1))
        assert failure is not None
        raise BoxError(failure.code, translated(failure.message), translated(failure.remedy))

    async def state(self) -> BoxState:
        """The box's state."""
        return BoxState.model_validate(await self.ask("state", wait=1.0, seconds=1.0))

    async def about(self) -> About:
        """What stays the same, and the machine's health."""
        return About.model_validate(await self.ask("about"))

    async def find(self, **wanted: Any) -> Found:  # noqa: ANN401
        """Findings of the history; see `_Search` of the box's socket."""
        given = {name: value for name, value in wanted.items() if value is not None}
        return Found.model_validate(await self.ask("find", **given))

    async def finding(self, number: int) -> Found:
        """One finding with its pictures and its visit."""
        return Found.model_validate(await self.ask("finding", number=number))

    async def visit(self, number: int) -> Found:
        """All findings of a visit."""
        return Found.model_validate(await self.ask("visit", number=number))

    async def _exchange(self, request: Request, wait: float) -> Answer:
        try:
            async with asyncio.timeout(wait + _PATIENCE):
                reader, writer = await asyncio.open_unix_connection(
                    self._socket, limit=_MOST_ANSWER_BYTES
                )
                try:
                    writer.write(request.model_dump_json().encode() + b"\n")
                    await writer.drain()
                    line = await reader.readline()
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
            return Answer.model_validate_json(line)
        except (OSError, TimeoutError, ValueError, ValidationError):
            raise away() from None


def away() -> BoxError:
    """The daemon does not answer."""
    remedy = _("It may be restarting: this page goes on by itself when it is back.")
    return BoxError("away", _("The box does not answer."), remedy)


class Watch:
    """The newest state, for any number of listeners: one request to the box serves them all."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._changed = asyncio.Condition()
        self._state: BoxState | None = None
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None

    async def states(self) -> AsyncIterator[BoxState | None]:
        """The state now and whenever it changes; None while the box is away."""
        self._listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        seen: object = self
        try:
            while True:
                async with self._changed:
                    while self._state is seen:
                        await self._changed.wait()
                    seen = self._state
                yield self._state
        finally:
            self._listeners -= 1
            if not self._listeners and self._task:
                self._task.cancel()
                self._task = self._state = None

    async def _run(self) -> None:
        revision = ""
        while True:
            try:
                answer = await self._box.ask(
                    "state", wait=MOST_WAIT_SECONDS, revision=revision, seconds=MOST_WAIT_SECONDS
                )
                state: BoxState | None = BoxState.model_validate(answer)
            except BoxError:
                state = None
            revision = state.revision if state else ""
            async with self._changed:
                self._state = state
                self._changed.notify_all()
            if state is None:
                await asyncio.sleep(_AGAIN_SECONDS)


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
