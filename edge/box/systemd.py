"""The interface to systemd: runtime folders, notifications, watchdog, the journal.

Where there is no systemd nothing is notified, and the log goes to stderr or to a file.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import logging.handlers
import os
import socket
import sys
import time
from pathlib import Path
from types import ModuleType

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
_LOG_BYTES = 1_000_000


class RuntimePaths:
    """Where the box and root's units meet. `systemd/tmpfiles.conf` makes these folders."""

    def __init__(self, root: Path | None = None) -> None:
        """Those in `root`, or of this machine; a laptop has none of them."""
        root = root or Path(os.environ.get("RUNTIME_DIRECTORY", "/run/truelight"))
        self.sticks = root / "sticks"
        """Root mounts `NAME/` here and writes `NAME.json`; the box only reads."""
        self.reports = root / "reports"
        """The box leaves `NAME/` here with a report for the stick NAME, root takes it."""
        self.power_off = root / "power" / "off"
        """When the box makes this file, root switches the machine off."""
        self.socket = root / "web" / "box.sock"
        """The box listens here if the folder exists; the page's process may enter it."""


# ---- Notifications


def status(text: str) -> None:
    """What the program does, in a line, for `systemctl status`."""
    notify("STATUS=" + " ".join(text.split()))


def reloading() -> None:
    """The settings are being read again; READY=1 follows."""
    microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")


def notify(text: str) -> None:
    """Send assignments, one a line, to the service manager, if there is one. Never fails."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    # Names of files may hold bytes that are not UTF-8.
    data = text.encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        if library := _systemd("daemon"):
            library.notify(data.decode())
        elif address:
            # An address that begins with @ lies in no folder: its first byte is zero.
            address = "\0" + address[1:] if address.startswith("@") else address
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.sendto(data, address)


def watchdog_seconds() -> float | None:
    """The interval within which WATCHDOG=1 is due; None if there is no watchdog."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    process = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if process != str(os.getpid()) or not microseconds.isdigit():
        return None
    return int(microseconds) / 1e6 or None


# ---- The log


def start_log(file: Path | None = None) -> None:
    """Send the log to `file` if one is given, else to the journal, else to stderr.

    The journal also gets the fields that a record carries by `extra=`, such as TRUELIGHT_CLIP.
    """
    handler = _handler(file)
    handler.setLevel(logging.INFO)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _handler(file: Path | None) -> logging.Handler:
    handler: logging.Handler
    if file is not None:
        handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8"
        )
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    elif not _stderr_is_journal():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    elif library := _systemd("journal"):
        handler = library.JournalHandler(SYSLOG_IDENTIFIER="truelight")
    else:
        handler = _PriorityHandler()
    return handler


class _PriorityHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Lines on stderr with the priority in front, as the journal reads it."""

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelno
        priority = next((number for least, number in _PRIORITIES if level >= least), _DEBUG)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def _stderr_is_journal() -> bool:
    """Whether the journal reads stderr: systemd names the file behind it."""
    with contextlib.suppress(OSError, ValueError):
        behind = os.fstat(sys.stderr.fileno())
        return os.environ.get("JOURNAL_STREAM") == f"{behind.st_dev}:{behind.st_ino}"
    return False


def _systemd(part: str) -> ModuleType | None:
    """A module of systemd-python, where it is installed."""
    try:
        return importlib.import_module(f"systemd.{part}")
    except ImportError:
        return None
