"""`truelight web`: switches the box's page on and off, and pairs devices from a terminal."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import TruelightError

if TYPE_CHECKING:
    from edge.web.devices import Devices

UNIT = "truelight-web.service"
STATE = Path("/var/lib/truelight-web")


def run_on(chosen: argparse.Namespace) -> int:
    """Switch the page on."""
    _systemctl("enable", "--now", UNIT)
    return run_status(chosen)


def run_off(_: argparse.Namespace) -> int:
    """Switch the page off."""
    _systemctl("disable", "--now", UNIT)
    print("The page is off.")
    return 0


def run_status(_: argparse.Namespace) -> int:
    """Say whether the page is on."""
    state = _show("ActiveState")
    if state not in ("active", "activating", "reloading"):
        word = "has failed: journalctl -b -u truelight-web" if state == "failed" else "is off"
        print(f"The page {word}.")
        return 0

    from edge.settings import load_settings
    from edge.web.certificate import read_fingerprint
    from edge.web.server import page_addresses

    print("The page is on:")
    settings = load_settings().web
    for address in page_addresses(settings.address or "::", settings.port, tls=True):
        print(f"  {address}")
    with contextlib.suppress(OSError, ValueError):
        print(f"Its certificate, SHA-256: {read_fingerprint(STATE)}")
    with contextlib.suppress(OSError), _devices() as devices:
        print(f"Paired devices and tokens: {len(devices.all())}")
    return 0


def run_pair(_: argparse.Namespace) -> int:
    """Print a code."""
    try:
        with _devices() as devices:
            print(f"Code to pair a device: {devices.new_code()} (valid for 5 minutes)")
    except OSError as failure:
        message = f"{STATE} cannot be used: {failure.strerror}."
        raise TruelightError(
            message, "sudo truelight web on, then sudo truelight web pair"
        ) from None
    return 0


@contextlib.contextmanager
def _devices() -> Iterator[Devices]:
    """The devices' file, opened as the user it belongs to: root's files would lock it out."""
    from edge.web.devices import Devices

    owner = STATE.stat()
    if os.geteuid() == 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
    try:
        with contextlib.closing(Devices(STATE)) as devices:
            yield devices
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
            os.setegid(0)


def _show(name: str) -> str:
    """A property of the unit. Raises TruelightError where it is not installed."""
    done = subprocess.run(
        ["systemctl", "show", UNIT, f"--property=LoadState,{name}"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    if found.get("LoadState") != "loaded":
        message = "The page's unit is not installed on this machine."
        raise TruelightError(
            message, "On a box: sudo ./setup.sh install. Elsewhere: truelight serve"
        )
    return found[name]


def _systemctl(*arguments: str) -> None:
    _show("ActiveState")
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise TruelightError(said[-1] if said else "systemctl failed.", "Use sudo.")
