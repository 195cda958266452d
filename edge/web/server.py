"""Serves the page: finds names and addresses of this machine, makes the certificate, listens."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import uvicorn

from edge.errors import TruelightError
from edge.web.access import local_names
from edge.web.app import Config, make_app
from edge.web.certificate import CERTIFICATE, KEY, ensure_certificate

MOST_CONNECTIONS: Final = 200
_log = logging.getLogger("truelight")


class _Server(uvicorn.Server):
    """Says when it listens; leaves signals to uvicorn."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()


def serve(config: Config, address: str, port: int, listening: Callable[[Config], None]) -> None:
    """Serve until a signal comes; `listening` is called when the address is open.

    Raises TruelightError: the address cannot be opened, or the folders cannot be used.
    """
    try:
        config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if config.tls:
            names, addresses = local_names(config.names), machine_addresses()
            config = replace(config, fingerprint=ensure_certificate(config.state, names, addresses))
        app = make_app(config)
        listener = _open(address, port)
    except OSError as failure:
        message = f"The page cannot be served: {failure.strerror or failure}."
        raise TruelightError(message, "Name another --port, --address or --store.") from None
    options = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        http="h11",
        loop="asyncio",
        lifespan="on",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=2,
        ssl_certfile=str(config.state / CERTIFICATE) if config.tls else None,
        ssl_keyfile=str(config.state / KEY) if config.tls else None,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    with listener:
        _Server(options, lambda: listening(config)).run(sockets=[listener])


def _open(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address == "::":
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def machine_names(more: str) -> frozenset[str]:
    """The names of this machine, and `more` of them, separated by spaces."""
    return local_names({socket.gethostname(), *more.split()})


def machine_addresses() -> list[str]:
    """Addresses under which others reach this machine, and those that only it reaches."""
    found = {"127.0.0.1", "::1"}
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        # A datagram socket that is connected sends nothing: it only chooses its own address.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((target, 9))
                found.add(probe.getsockname()[0])
            except OSError:
                continue
    return sorted(found)


def page_addresses(address: str, port: int, *, tls: bool) -> list[str]:
    """The addresses to type into a browser."""
    scheme = "https" if tls else "http"
    if address not in ("0.0.0.0", "::"):
        hosts = [address]
    else:
        name = socket.gethostname()
        reached = [each for each in machine_addresses() if not is_loopback(each)]
        hosts = [f"{name}.local" if "." not in name else name, *reached]
    return [f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/" for host in hosts]
