"""Bodies of requests on their way into the spool: raw, or as one file of a form."""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass, field
from typing import Final

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse

from edge.language import _
from edge.web.access import stale_form
from edge.web.problems import Problem
from edge.web.spool import Meta, Spool

MOST_FIELD_BYTES: Final = 10_000
MOST_FIELDS: Final = 20


class Appender:
    """Adds to an upload, at most up to its length; a context manager."""

    def __init__(self, spool: Spool, meta: Meta) -> None:
        self._descriptor = spool.open(meta.id)
        self._left = meta.length - spool.offset(meta.id)
        self.written = 0

    def __enter__(self) -> Appender:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    async def add(self, data: bytes) -> None:
        """Write a piece. Raises Problem when there is more than was announced."""
        if len(data) > self._left:
            message = _("More arrived than was announced.")
            raise Problem(413, "longer-than-announced", message, _("Send it again."))
        self._left -= len(data)
        self.written += len(data)
        # Not on the event loop: a memory card may take its time.
        await run_in_threadpool(self._write, data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


def announced_length(request: Request) -> int:
    """The length of a body. Raises Problem if it is not announced."""
    text = request.headers.get("content-length", "")
    if not text.isdigit():
        message = _("The length of the clip must be announced.")
        raise Problem(411, "no-length", message, _("Send a Content-Length header."))
    return int(text)


async def receive_body(request: Request, spool: Spool, meta: Meta) -> int:
    """Add a request's body to an upload: the bytes that arrived, also if the client went away."""
    with Appender(spool, meta) as appender:
        try:
            async for data in request.stream():
                await appender.add(data)
        except ClientDisconnect:
            pass
    return appender.written


@dataclass
class Form:
    """What a form held: its fields, and the name of the file that went into the spool."""

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str = ""
    file_bytes: int = -1
    """-1: there was no file."""


@dataclass
class _Part:
    name: str = ""
    file_name: str | None = None
    value: bytearray = field(default_factory=bytearray)


class FormReader:
    """Reads a form whose file, in a field of one of `names`, goes straight into the spool."""

    def __init__(self, request: Request, names: tuple[str, ...]) -> None:
        """Prepare. Raises Problem if the request holds no form."""
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != b"multipart/form-data" or b"boundary" not in options:
            message = _("A form with a file is expected (multipart/form-data).")
            raise Problem(415, "no-form", message)
        self._request, self._names = request, names
        self._form, self._part = Form(), _Part()
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._pending: list[bytes] = []
        self._is_whole = False
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin_part,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_header_begin": self._begin_header,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_end": self._end,
            },
        )

    async def read(self, spool: Spool, meta: Meta) -> Form:
        """Read it to its end.

        Raises Problem: it is not a whole form, or has no file in the right field.
        """
        with Appender(spool, meta) as appender:
            try:
                async for data in self._request.stream():
                    self._parser.write(data)
                    for piece in self._pending:
                        await appender.add(piece)
                    self._pending.clear()
                self._parser.finalize()
            except MultipartParseError:
                raise Problem(400, "not-a-form", _("The form is damaged.")) from None
            except ClientDisconnect:
                raise Problem(400, "gone", _("The connection was closed.")) from None
        if not self._is_whole:
            raise Problem(400, "not-a-form", _("The form is damaged: it has no end."))
        if self._form.file_bytes < 0:
            message = _("The form has no file in the field {name}.").format(name=self._names[0])
            raise Problem(400, "no-file", message)
        return self._form

    @property
    def _is_file(self) -> bool:
        return self._part.file_name is not None and self._part.name in self._names

    def _end(self) -> None:
        self._is_whole = True

    def _begin_part(self) -> None:
        self._part = _Part()

    def _begin_header(self) -> None:
        self._header = (bytearray(), bytearray())

    def _end_header(self) -> None:
        name, value = (bytes(each) for each in self._header)
        if name.lower() == b"content-disposition":
            _kind, options = parse_options_header(value)
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in options:
                self._part.file_name = options[b"filename"].decode("utf-8", "replace")
                if self._is_file:
                    if self._form.file_bytes >= 0:
                        raise Problem(400, "two-files", _("Send one clip in each request."))
                    self._form.file_name, self._form.file_bytes = self._part.file_name, 0

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._pending.append(data[start:end])
            self._form.file_bytes += end - start
        elif len(self._part.value) + end - start <= MOST_FIELD_BYTES:
            self._part.value += data[start:end]
        else:
            raise Problem(413, "field-too-long", _("A field of the form is too long."))

    def _end_part(self) -> None:
        if not self._is_file and len(self._form.fields) < MOST_FIELDS:
            self._form.fields[self._part.name] = self._part.value.decode("utf-8", "replace")


MOST_BYTES: Final = 16_384


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours. Raises Problem if it is not one, or is too long."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    length = request.headers.get("content-length", "")
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "no-form", _("A form is expected."))
    if not length.isdigit() or int(length) > MOST_BYTES:
        raise Problem(413, "form-too-long", _("The form is too long."))
    form = await request.form()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    check_form_token(request, fields.get("form_token", ""))
    return fields


def check_form_token(request: Request, token: str) -> None:
    """Refuse a form that no page of ours has made for this device."""
    if not hmac.compare_digest(token.encode(), request.state.form_token.encode()):
        raise stale_form()


def redirect(path: str) -> RedirectResponse:
    """After a form: show another page."""
    return RedirectResponse(path, 303)
