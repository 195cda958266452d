"""What cannot be done, for programs: problem details as RFC 9457 wants them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from edge.errors import TruelightError
from edge.language import N_, _
from edge.web.box_client import BoxError
from edge.web.devices import PairingError
from edge.web.spool import NoSuchUploadError, SpoolFullError, TooLargeError

MEDIA_TYPE: Final = "application/problem+json"


_TITLES: Final = (
    *(N_("Bad Request"), N_("Unauthorized"), N_("Forbidden"), N_("Not Found")),
    *(N_("Method Not Allowed"), N_("Conflict"), N_("Length Required"), N_("Precondition Failed")),
    *(N_("Request Entity Too Large"), N_("Unsupported Media Type"), N_("Unprocessable Entity")),
    *(
        N_("Misdirected Request"),
        N_("Locked"),
        N_("Too Many Requests"),
        N_("Internal Server Error"),
    ),
    *(N_("Bad Gateway"), N_("Service Unavailable"), N_("Gateway Timeout")),
    *(N_("Insufficient Storage"), N_("Content Too Large"), N_("Unprocessable Content")),
)
"""Titles of `HTTPStatus`, here to be translated."""
_MESSAGES: Final = {
    404: N_("There is nothing at this address."),
    405: N_("This address does not take such a request."),
}
_WRONG: Final = {
    "missing": N_("is missing"),
    "greater_than_equal": N_("must be at least {ge}"),
    "less_than_equal": N_("must be at most {le}"),
    "int_parsing": N_("must be a whole number"),
    "int_parsing_size": N_("must be a smaller number"),
    "bool_parsing": N_("must be true or false"),
    "string_pattern_mismatch": N_("is not written as it must be: {pattern}"),
    "string_too_long": N_("must have at most {max_length} characters"),
    "string_too_short": N_("must have at least {min_length} characters"),
    "date_parsing": N_("is not a date"),
    "date_from_datetime_parsing": N_("is not a date"),
    "enum": N_("must be one of these: {expected}"),
    "literal_error": N_("must be one of these: {expected}"),
}
"""What can be wrong with a parameter, by Pydantic's names."""


def wrong_value(error: Mapping[str, Any]) -> str:
    """What is wrong with a parameter, in the reader's language."""
    context = error.get("ctx", {})
    if text := _WRONG.get(error["type"]):
        parts = {name: str(each).replace(" or ", ", ") for name, each in context.items()}
        return _(text).format(**parts)
    return str(context.get("error") or error["msg"])


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
            title=_(HTTPStatus(self.status).phrase),
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
            return Problem(422, "not-valid", f"{where}: {wrong_value(first)}.")
        case HTTPException():
            status = failure.status_code
            message = _(_MESSAGES.get(status, str(failure.detail)))
            return Problem(status, "", message, headers=failure.headers or {})
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
