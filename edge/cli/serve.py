"""`truelight serve`: the page and the API, in front of the box, or of one that it starts itself."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from edge.cli import absolute, with_options
from edge.settings import Settings, load_settings
from edge.web.app import Config
from edge.web.devices import Devices, PairingError
from edge.web.own_box import own_box
from edge.web.server import is_loopback, machine_names, page_addresses, serve


def run(chosen: argparse.Namespace) -> int:
    """Serve until it is stopped."""
    options = {
        "--store": {"store.folder": absolute(chosen.store)},
        "--port": {"web.port": chosen.port},
        "--address": {"web.address": chosen.address},
    }
    settings = with_options(load_settings(chosen.config), options)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    # The server hands a signal on when it has ended: then the box behind it is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    address = settings.web.address or ("::" if chosen.box else "127.0.0.1")
    state = os.environ.get("STATE_DIRECTORY")
    with _box(chosen, settings) as socket:
        config = Config(
            settings=settings,
            state=Path(state) if state else settings.store_folder / "web",
            spool=settings.spool_folder,
            socket=socket,
            names=machine_names(settings.web.names),
            tls=not chosen.no_tls and (bool(chosen.box) or not is_loopback(address)),
            announce=None if chosen.box else _print_code,
        )
        serve(config, address, settings.web.port, lambda config: _greet(config, address))
    return 0


@contextlib.contextmanager
def _box(chosen: argparse.Namespace, settings: Settings) -> Iterator[Path]:
    """The socket of the daemon that is named, or of one that is started."""
    if chosen.box:
        yield chosen.box
        return

    given = yaml.safe_load(chosen.config.read_text(encoding="utf-8")) if chosen.config else {}
    sections: dict[str, dict[str, Any]] = {**(given or {})}
    camera = {"kind": "file", "file": absolute(chosen.camera)} if chosen.camera else {}
    if not chosen.camera and settings.camera.kind == "picamera2":
        camera = {"kind": "none"}
    sections["camera"] = {**sections.get("camera", {}), **camera}
    with own_box(settings.store_folder, sections) as socket:
        yield socket


def _print_code(code: str) -> None:
    print(f"Code to pair a device: {code} (valid for 5 minutes)", flush=True)


def _greet(config: Config, address: str) -> None:
    """Print the address, the fingerprint, and a code for the first device."""
    addresses = page_addresses(address, config.settings.web.port, tls=config.tls)
    for each in addresses:
        print(f"The page: {each}")
    if config.fingerprint:
        print(f"Its certificate, SHA-256: {config.fingerprint}")
    if config.announce:
        devices = Devices(config.state)
        with contextlib.closing(devices), contextlib.suppress(PairingError):
            code = devices.new_code()
            _print_code(code)
            print(f"Or open: {addresses[0]}pair#code={code.replace(' ', '')}")
    sys.stdout.flush()
