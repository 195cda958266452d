"""The application: the pages and the API behind one access control."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from edge import __version__
from edge.atomic_write import unfinished_file
from edge.errors import TruelightError
from edge.settings import Settings
from edge.web import api, assets, history_api, languages, older, pages, pairing, uploads
from edge.web.access import OLDER, Access, AccessRules
from edge.web.box_client import Box, Watch
from edge.web.devices import Devices
from edge.web.lingering import Lingering
from edge.web.problems import ProblemDocument, answer, problem_of
from edge.web.rendering import problem_page
from edge.web.services import Services
from edge.web.spool import MEGABYTE, Bounds, Spool

_HOUR: Final = 3600.0

DESCRIPTION: Final = (
    "Send a clip, follow how it is judged, read its finding. "
    "Every request carries `Authorization: Bearer TOKEN`; the page makes tokens, under Devices."
)


@dataclass(frozen=True)
class Config:
    """Where the page's process works."""

    settings: Settings
    state: Path
    """Its own folder: devices, certificate."""
    spool: Path
    socket: Path
    """The daemon's."""
    names: frozenset[str]
    """Names of this machine."""
    tls: bool = True
    fingerprint: str = ""
    announce: Callable[[str], None] | None = None
    """Prints a pairing code where the owner sees it."""


def make_app(config: Config) -> ASGIApp:
    """The application. Raises OSError if its folders cannot be used."""
    app = FastAPI(
        title="Truelight",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    web = config.settings.web
    devices = Devices(config.state)
    rules = AccessRules(devices, config.names, config.tls, _form_key(config.state))
    box = Box(config.socket)
    bounds = Bounds(web.spool_megabytes * MEGABYTE, web.clip_megabytes * MEGABYTE)
    spool = Spool(config.spool, bounds)
    app.state.services = Services(box, Watch(box), spool, devices, rules, config.fingerprint)
    app.state.settings = config.settings
    app.state.announce = config.announce
    for module in (api, uploads, history_api, older, pairing, pages, languages, assets):
        app.include_router(module.router)
    _describe(app)
    for kind in (TruelightError, RequestValidationError, HTTPException, OSError, Exception):
        app.add_exception_handler(kind, _explain)
    return Lingering(languages.Languages(Access(app, rules)))


def _form_key(folder: Path) -> bytes:
    """The key of forms, kept so that open pages outlive a restart."""
    file = folder / "form.key"
    try:
        if len(key := file.read_bytes()) == 32:
            return key
    except FileNotFoundError:
        pass
    with unfinished_file(file) as unfinished:
        unfinished.chmod(0o600)
        unfinished.write_bytes(secrets.token_bytes(32))
        unfinished.replace(file)
    return file.read_bytes()


async def _explain(request: Request, failure: Exception) -> Response:
    """Answer a failure: for programs as RFC 9457 says, for people as a page."""
    problem = problem_of(failure)
    path = request.url.path
    if problem.status == 405:
        problem.headers["Allow"] = ", ".join(_methods(request.app, path))
    if path.startswith("/api/") or path == OLDER:
        return answer(problem)
    return problem_page(request, problem)


def _methods(app: FastAPI, path: str) -> list[str]:
    """The methods of a path of the API; several routes may share it."""
    for template, operations in app.openapi()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path):
            return sorted(method.upper() for method in operations)
    return ["GET", "POST"]


def _describe(app: FastAPI) -> None:
    """Complete the OpenAPI document: how to sign in, and what a problem is."""
    plain = app.openapi

    def openapi() -> dict[str, object]:
        document = plain()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["ProblemDocument"] = (
            ProblemDocument.model_json_schema()
        )
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Delete uploads that nobody goes on with, every hour."""
    services: Services = app.state.services

    async def tidy() -> None:
        while True:
            await asyncio.sleep(_HOUR)
            services.spool.delete_stale()

    task = asyncio.create_task(tidy())
    try:
        yield
    finally:
        task.cancel()
        services.devices.close()
