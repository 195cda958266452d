"""What the pages and the API work with, in one place: box, spool, devices, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool

from edge.scan.model.bundle_info import described_manifest
from edge.scan.model.manifest import Manifest
from edge.settings import Settings
from edge.socket_messages import Upload
from edge.web.access import AccessRules
from edge.web.box_client import Box, BoxError, Watch
from edge.web.devices import Device, Devices
from edge.web.problems import Problem
from edge.web.spool import Meta, Spool

FRAME_COUNTS: Final = (10, 20, 40, 60, 80, 100)
"""How many first frames an older site offered to judge."""


@dataclass(frozen=True)
class Services:
    """Handed to each request, as `request.app.state.services`."""

    box: Box
    watch: Watch
    spool: Spool
    devices: Devices
    rules: AccessRules
    fingerprint: str
    """Of the certificate; empty without TLS."""

    async def submit(self, meta: Meta) -> Upload:
        """An upload is whole: hand it to the box. If the box is away, it takes it later."""
        upload = self.spool.seal(meta)
        await self.submit_again(upload.id)
        return upload

    async def submit_again(self, scan: str) -> None:
        """Say that an upload waits; the box takes the whole spool whenever it starts."""
        try:
            await self.box.ask("submit", scan=scan)
        except BoxError as failure:
            if failure.code != "away":
                raise


def services(request: Request) -> Services:
    """Those of the application."""
    found: Services = request.app.state.services
    return found


def device(request: Request) -> Device:
    """The device that asks; no other was let in."""
    found: Device | None = request.state.device
    if found is None:
        raise Problem(401, "not-paired", "This device is not paired.")
    return found


async def described_model(app: FastAPI) -> Manifest | None:
    """The manifest with its figures; None where it cannot be read."""
    settings: Settings = app.state.settings
    return await run_in_threadpool(described_manifest, settings.bundle_folder)


Ours = Annotated[Services, Depends(services)]
Asker = Annotated[Device, Depends(device)]
