"""What cannot be done, for programs: problem details as RFC 9457 wants them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from edge.errors import TruelightError
from edge.language import _
from edge.web.box_client import BoxError
from edge.web.devices import PairingError
from edge.web.spool import NoSuchUploadError, SpoolFullError, TooLargeError

MEDIA_TYPE: Final = "application/problem+json"


class ProblemDocument(BaseModel):
    """A problem, as RFC 9457 describes it, with a remedy."""

    type: str = Field(description="urn:truelight:problem:NAME, or about:blank.")
    title: str
    status: int
    detail: str
    remedy: str = Field(default="", description="What to do about it.")


class Problem(TruelightError):  # noqa: N818 (the term of RFC 9457)
    """A request that is refused with an HTTP status."""

    def __init__(
        self,
        status: int,
        name: str,
        message: str,
        remedy: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, remedy)
        self.status, self.name, self.headers = status, name, dict(headers or {})

    def document(self) -> ProblemDocument:
        """The problem for programs."""
        return ProblemDocument(
            type=f"urn:truelight:problem:{self.name}" if self.name else "about:blank",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.message,
            remedy=self.remedy,
        )


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These answers of a path, for the OpenAPI document."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def sends(
    media: str, *statuses: int, what: str = "Successful", also: str = ""
) -> dict[int | str, dict[str, Any]]:
    """The same for a path that answers with something else than JSON."""
    schema: dict[str, str] = {"type": "string"}
    if not media.startswith("text/"):
        schema["format"] = "binary"
    good: dict[int | str, dict[str, Any]] = {
        200: {"description": what, "content": {media: {"schema": schema}}}
    }
    if also:
        good[200]["content"][also] = {"schema": {}}
    return good | described(*statuses)


_BOX: Final = {"away": 503, "missing": 404, "wrong": 400, "busy": 503, "unknown": 502}


def problem_of(failure: Exception) -> Problem:  # noqa: PLR0911 (one line a kind of failure)
    """Any failure as a problem."""
    match failure:
        case Problem():
            return failure
        case BoxError():
            status = _BOX.get(failure.code, 502)
            headers = {"Retry-After": "2"} if status == 503 else {}
            return Problem(status, f"box-{failure.code}", failure.message, failure.remedy, headers)
        case SpoolFullError():
            headers = {"Retry-After": "30"}
            return Problem(507, "spool-full", failure.message, failure.remedy, headers)
        case TooLargeError():
            return Problem(413, "too-large", failure.message, failure.remedy)
        case NoSuchUploadError():
            return Problem(404, "no-such-upload", failure.message, failure.remedy)
        case PairingError():
            return Problem(403, "not-paired", failure.message, failure.remedy)
        case RequestValidationError():
            first = failure.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return Problem(422, "not-valid", f"{where}: {first['msg']}.")
        case HTTPException():
            return Problem(
                failure.status_code, "", str(failure.detail), headers=failure.headers or {}
            )
        case OSError():
            message = _("The disk cannot be written: {why}.").format(why=failure.strerror)
            return Problem(507, "disk", message, _("Free some space on it."))
    return Problem(500, "", _("The program failed."), _("See its log."))


def answer(problem: Problem) -> Response:
    """The problem as an answer for programs."""
    return JSONResponse(
        problem.document().model_dump(),
        problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


async def _handle(_: Request, failure: Exception) -> Response:
    return answer(problem_of(failure))


def add_handlers(app: FastAPI) -> None:
    """Answer every failure of `app` with a problem."""
    for kind in (TruelightError, RequestValidationError, HTTPException, OSError):
        app.add_exception_handler(kind, _handle)
