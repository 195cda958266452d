"""Access control: which requests are let in, and the headers of every answer.

A browser shows its cookie, a program its token. A request that changes something and comes with a
cookie must come from a page of ours as well: by its `Origin` or `Sec-Fetch-Site`, and by the token
that our forms and scripts carry (CSRF).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.language import _
from edge.web.devices import IDLE_SECONDS, Device, Devices
from edge.web.problems import Problem, answer

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), interest-cohort=()",
    "Cache-Control": "no-store",
}
OPEN: Final = (
    *("/static/", "/pair", "/language", "/sw.js", "/offline"),
    *("/manifest.webmanifest", "/favicon.ico"),
)
"""Paths that need no device: they show nothing of the box."""
HEALTH: Final = "/api/v1/health"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OLDER: Final = "/predict_media"
"""An older server's path; its clients cannot send a header, so it may begin with `/with/TOKEN`."""
WITH: Final = "/with/"


@dataclass(frozen=True)
class AccessRules:
    """What is let in."""

    devices: Devices
    names: frozenset[str]
    """Names of this machine, lower case; addresses are let in as well."""
    tls: bool
    key: bytes
    """Makes the tokens of forms."""

    @property
    def cookie(self) -> str:
        """The cookie's name; the prefix has browsers keep it to this host and to TLS."""
        return "__Host-truelight" if self.tls else "truelight"

    def form_token(self, device: Device | None) -> str:
        """What a form of a page shown to this device carries."""
        about = f"form {device.id if device else 'nobody'}"
        return hmac.new(self.key, about.encode(), hashlib.sha256).hexdigest()

    def cookie_line(self, secret: str, *, seconds: float = IDLE_SECONDS) -> str:
        """A Set-Cookie header."""
        parts = [f"{self.cookie}={secret}", "Path=/", "HttpOnly", "SameSite=Strict"]
        parts += [f"Max-Age={int(seconds)}", *(["Secure"] if self.tls else [])]
        return "; ".join(parts)


class Access:
    """Lets requests in to an ASGI application. Sets `device` and `form_token` in the state."""

    def __init__(self, app: ASGIApp, rules: AccessRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        renewed: list[str] = []

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    given.setdefault(name, value)
                for secret in renewed:
                    given.append("Set-Cookie", self._rules.cookie_line(secret))
            await send(message)

        try:
            self._check_host(headers)
            device = self._device(scope, headers, renewed)
            scope.setdefault("state", {})
            scope["state"] |= {"device": device, "form_token": self._rules.form_token(device)}
            redirect = self._refuse(scope, headers, device)
        except Problem as problem:
            await answer(problem)(scope, receive, guarded)
            return
        await (redirect or self._app)(scope, receive, guarded)

    def _check_host(self, headers: Headers) -> None:
        """Refuse names that are not ours: a hostile page may point its own name here."""
        name = host_name(headers.get("host", ""))
        if name not in self._rules.names and not _is_address(name):
            raise Problem(
                421,
                "other-host",
                _("This machine does not have that name."),
                _("Use its address, or add the name to web.names."),
            )

    def _device(self, scope: Scope, headers: Headers, renewed: list[str]) -> Device | None:
        path = scope["path"]
        if path.startswith(WITH) and path.endswith(OLDER):
            token = path.removeprefix(WITH).removesuffix(OLDER)
            scope["path"], scope["raw_path"] = OLDER, OLDER.encode()
            found = self._rules.devices.known(token, "token")
            return found[0] if found else None
        if token := _token(headers.get("authorization", "")):
            found = self._rules.devices.known(token, "token")
            return found[0] if found else None
        secret = _cookie(headers.get("cookie", ""), self._rules.cookie)
        found = self._rules.devices.known(secret, "browser") if secret else None
        if found is None:
            return None
        device, next_secret = found
        if next_secret:
            renewed.append(next_secret)
        return device

    def _refuse(
        self, scope: Scope, headers: Headers, device: Device | None
    ) -> RedirectResponse | None:
        """Refuse what nobody may do who is not paired, and what another site's page sends."""
        path, method = scope["path"], scope["method"]
        is_open = path.startswith(OPEN) or (path == HEALTH and method in SAFE)
        if device is None and not is_open:
            if method in SAFE and not path.startswith("/api/") and path != OLDER:
                return RedirectResponse(f"/pair?to={quote(path)}", 303)
            raise Problem(
                401,
                "not-paired",
                _("This device is not paired, or its token is not known."),
                _("Pair it on the page, or make a token there."),
                {"WWW-Authenticate": "Bearer"},
            )
        if method not in SAFE and (device is None or device.kind == "browser"):
            self._check_origin(headers)
            given = headers.get("x-form-token")
            if given is not None and not hmac.compare_digest(given, self._rules.form_token(device)):
                raise stale_form()
            if given is None and path.startswith("/api/"):
                raise stale_form()
        return None

    def _check_origin(self, headers: Headers) -> None:
        site = headers.get("sec-fetch-site")
        origin = headers.get("origin")
        same = origin is None or urlsplit(origin).netloc == headers.get("host", "")
        if (site is not None and site not in ("same-origin", "none")) or not same:
            message = _("This request came from another site's page.")
            raise Problem(403, "other-site", message, _("Open the page itself."))


def stale_form() -> Problem:
    """A form without the token of its device."""
    message = _("This form is too old, or is not from this page.")
    return Problem(403, "stale-form", message, _("Reload the page."))


def local_names(names: Iterable[str]) -> frozenset[str]:
    """Names of a machine, as they may be asked for: alone, and in the local network."""
    lower = {name.lower().rstrip(".") for name in names if name}
    return frozenset({"localhost", *lower, *(f"{name}.local" for name in lower if "." not in name)})


def host_name(host: str) -> str:
    """The name or address in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].split("]", maxsplit=1)[0]
    return host.rsplit(":", 1)[0].lower().rstrip(".") if ":" in host else host.lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _token(header: str) -> str:
    """The token of `Bearer TOKEN`, or of `Basic` as its name or its password."""
    scheme, _space, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        name, _colon, word = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "invalid"
    return word or name or "invalid"


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
