"""The model's figures, for reports: read from the bundle of the settings."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from edge.scan.model.bundle_info import described_manifest
from edge.scan.model.manifest import Manifest
from edge.settings import Settings


async def described_model(app: FastAPI) -> Manifest | None:
    """The manifest with its figures; None where it cannot be read."""
    settings: Settings = app.state.settings
    return await run_in_threadpool(described_manifest, settings.bundle_folder)
