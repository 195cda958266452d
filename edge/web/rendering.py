"""Pages and parts of pages, from their templates."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request
from starlette.responses import HTMLResponse

from edge import __version__
from edge.history.report_page import WORST_FIRST, environment, style_sheet
from edge.language import LANGUAGES, N_, _, decimal, minute
from edge.socket_messages import BoxState
from edge.text import clock, one_line
from edge.web.problems import Problem
from edge.web.services import FRAME_COUNTS
from edge.web.spool import megabytes

if TYPE_CHECKING:
    import jinja2

ORIGINS: Final = {
    "camera": N_("Camera"),
    "stick": N_("USB stick"),
    "inbox": N_("Inbox"),
    "web": N_("Upload"),
}
"""Where a clip came from, in words."""

SCRIPT_TEXTS: Final = {
    "sending": N_("Sending: {percent} %"),
    "again": N_("The connection was lost. It goes on by itself."),
    "full": N_("There is no room at present. The clip is sent as soon as there is."),
    "refused": N_("Not sent."),
    "sent": N_("Sent. See how it is judged."),
    "waiting": N_("Waits to be sent."),
    "lost": N_("No connection to the box. This page reconnects by itself."),
}
"""What the page's script says; `_` is applied when they are sent."""


def page(request: Request, template: str, status: int = 200, **more: object) -> HTMLResponse:
    """A whole page."""
    services = request.app.state.services
    context = {
        "device": getattr(request.state, "device", None),
        "form_token": getattr(request.state, "form_token", ""),
        "path": request.url.path,
        "fingerprint": services.fingerprint,
        "live": "",
        "here": request.url.path if request.method == "GET" else "/",
        **more,
    }
    return HTMLResponse(_environment().get_template(template).render(context), status)


def part(name: str, **context: object) -> str:
    """A part of a page, which replaces the one before."""
    return _environment().get_template(f"parts/{name}.html").render(context)


def live_parts(state: BoxState | None) -> Mapping[str, str]:
    """The parts that follow the box's state, by the id of their element."""
    return {
        "screen": part("screen", state=state),
        "troubles": part("troubles", state=state),
        "queue": part("queue", state=state),
        "viewfinder": part("viewfinder", state=state),
    }


def problem_page(request: Request, problem: Problem) -> HTMLResponse:
    """A problem for people."""
    answer = page(request, "problem.html", problem.status, problem=problem)
    answer.headers.update(problem.headers)
    return answer


def static_file(name: str) -> bytes | None:
    """A style sheet, script or picture of ours, by its name; None if there is none."""
    return _static().get(name)


@cache
def _static() -> Mapping[str, bytes]:
    """All of them, so that no path is ever built from what a client sends."""
    folder = files("edge.web") / "static"
    found = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    return found | {"report.css": style_sheet().encode()}


@cache
def _environment() -> jinja2.Environment:
    made = environment(("edge.web", "edge.history")).overlay()
    made.globals = {
        **made.globals,
        "languages": LANGUAGES,
        "decimal": decimal,
        "version": __version__,
        "origins": ORIGINS,
        "verdicts": WORST_FIRST,
        "frame_counts": FRAME_COUNTS,
        "script_texts": lambda: {name: _(text) for name, text in SCRIPT_TEXTS.items()},
        "megabytes": megabytes,
        "left": left_text,
        "moment": moment_text,
        "jpeg": jpeg_url,
    }
    made.filters |= {"line": one_line, "code": with_code}
    return made


def with_code(text: str) -> str:
    """A text in which backticks mark code, as HTML."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def left_text(seconds: float | None) -> str:
    """Time that is left, as an estimate."""
    if seconds is None:
        return ""
    return _("about {time} left").format(time=clock(max(1.0, seconds)))


def moment_text(moment: datetime | float) -> str:
    """When, by this machine's clock."""
    when = datetime.fromtimestamp(moment) if isinstance(moment, (int, float)) else moment
    return minute(when.astimezone())


def jpeg_url(picture: bytes) -> str:
    """A picture within the page."""
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def extra(values: Mapping[str, Any]) -> dict[str, str]:
    """Query parameters that are set."""
    return {name: str(value) for name, value in values.items() if value not in (None, "")}
