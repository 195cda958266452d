"""Scans: uploads from the first byte to the finding, put together from spool, queue and history."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from edge.socket_messages import BoxState, Found, Queued, Scan, scan_page
from edge.web.box_client import BoxError
from edge.web.problems import Problem
from edge.web.services import Services

AGAIN_SECONDS: Final = 0.05


def from_history(found: Found, scan: str) -> Scan:
    """A scan that is over."""
    (visit,) = found.visits
    entry = found.entries[0] if found.entries else None
    return Scan(
        id=scan,
        name=visit.name,
        status="done",
        number=entry.id if entry else None,
        verdict=entry.finding.verdict if entry else None,
        finding=entry.finding if entry else None,
        url=scan_page(scan),
    )


async def scan_now(ours: Services, scan: str) -> Scan:
    """The scan with this number as it stands. Raises Problem: there is none."""
    upload = ours.spool.waiting(scan)
    try:
        answer = await ours.box.ask("scan", scan=scan)
        if not answer["waiting"]:
            return from_history(Found.model_validate(answer), scan)
        state = await ours.box.state()
    except BoxError as failure:
        if failure.code == "missing" and (upload := ours.spool.waiting(scan)):
            await ours.submit_again(scan)  # the box was away when it came
        elif failure.code != "away" or not upload:
            return receiving(ours, scan, failure)
        state = None
    return queued(scan, upload.name if upload else "", state, upload.size if upload else None)


def queued(scan: str, name: str, state: BoxState | None, size: int | None = None) -> Scan:
    """A scan that is judged or waits."""
    queue: tuple[Queued, ...] = state.queue if state else ()
    found = next((at for at, one in enumerate(queue) if one.key == scan), None)
    one = queue[found] if found is not None else None
    working = one.working if one else None
    return Scan(
        id=scan,
        name=name or (one.name if one else ""),
        status="judging" if working else "waiting",
        bytes=size,
        position=None if found is None or working else found + (not queue[0].working),
        working=working,
        seconds_left=one.seconds_left if one else None,
        url=scan_page(scan),
    )


def receiving(ours: Services, scan: str, failure: BoxError) -> Scan:
    """A scan whose clip is being received. Raises Problem if there is no such scan."""
    try:
        meta = ours.spool.meta(scan)
    except Exception:
        if failure.code != "missing":
            raise failure from None
        raise Problem(404, "no-such-scan", failure.message, failure.remedy) from None
    return Scan(
        id=scan,
        name=meta.name,
        status="receiving",
        received_bytes=ours.spool.offset(scan),
        bytes=meta.length,
        url=scan_page(scan),
    )


async def delete_scan(ours: Services, scan: str) -> None:
    """Delete a scan, whatever becomes of it meanwhile: its clip, or its finding.

    Raises Problem: there is none.
    """
    now = await scan_now(ours, scan)
    while True:
        if now.status == "receiving":
            ours.spool.delete(scan)
        elif now.number is not None:
            await ours.box.ask("delete", number=now.number)
        elif now.status != "done":
            with contextlib.suppress(BoxError):  # it may just have been judged
                await ours.box.ask("withdraw", scan=scan)
        try:
            now = await scan_now(ours, scan)
        except Problem as gone:
            if gone.status == 404:
                return
            raise
        await asyncio.sleep(AGAIN_SECONDS)
