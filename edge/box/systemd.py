"""What systemd is told and what it asks for: readiness, status, watchdog, the journal.

Where there is no systemd all of it does nothing, and the log goes to stderr or to a file.
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
from typing import Final

FIELDS: Final = ("TRUELIGHT_CLIP", "TRUELIGHT_VERDICT", "TRUELIGHT_MODEL")
"""What a log record may carry for the journal, by `extra=`: asked for as `journalctl FIELD=…`."""

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
_LOG_BYTES = 1_000_000


# ---- Notifications


def ready() -> None:
    """The program is up, or up again after `reloading`."""
    notify("READY=1")


def status(text: str) -> None:
    """What the program does, in a line, for `systemctl status`."""
    notify("STATUS=" + " ".join(text.split()))


def watchdog() -> None:
    """All is well."""
    notify("WATCHDOG=1")


def reloading() -> None:
    """The settings are being read anew; `ready` follows."""
    microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify("RELOADING=1", f"MONOTONIC_USEC={microseconds}")


def stopping() -> None:
    """The program is ending."""
    notify("STOPPING=1")


def notify(*lines: str) -> None:
    """Send assignments to the one who started this program, if it wants any. Never fails."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # Names of files may hold bytes that are no text.
    text = "\n".join(lines).encode("utf-8", "backslashreplace").decode()
    with contextlib.suppress(OSError):
        if daemon := _systemd("daemon"):
            daemon.notify(text)
            return
        # An address that begins with @ lies in no folder: its first byte is zero.
        address = "\0" + address[1:] if address.startswith("@") else address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(text.encode(), address)


def watchdog_seconds() -> float | None:
    """Within how many seconds `watchdog` must be called again and again; None if nobody asks."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    process = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if process != str(os.getpid()) or not microseconds.isdigit():
        return None
    return int(microseconds) / 1e6 or None


# ---- The log


def start_log(file: Path | None = None) -> None:
    """Send the log to `file` if one is given, else to the journal, else to stderr."""
    handler = _handler(file)
    handler.setLevel(logging.INFO)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _handler(file: Path | None) -> logging.Handler:
    if file is not None:
        handler: logging.Handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8"
        )
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        return handler
    if not _stderr_is_journal():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        return handler
    journal = _systemd("journal")
    return _Journal(journal) if journal else _PlainJournal()


class _Journal(logging.Handler):
    """Writes to the journal with the fields a record carries, through systemd-python."""

    def __init__(self, journal: ModuleType) -> None:
        super().__init__()
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        fields = {name: str(getattr(record, name)) for name in FIELDS if hasattr(record, name)}
        try:
            self._journal.send(
                self.format(record),
                PRIORITY=str(_priority(record.levelno)),
                LOGGER=record.name,
                CODE_FILE=record.pathname,
                CODE_LINE=record.lineno,
                CODE_FUNC=record.funcName,
                **fields,
            )
        except Exception:
            self.handleError(record)


class _PlainJournal(logging.StreamHandler):  # type: ignore[type-arg]
    """Lines on stderr that the journal takes; each says how much it matters."""

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{_priority(record.levelno)}>"
        return "\n".join(mark + line for line in super().format(record).splitlines())


def _priority(level: int) -> int:
    return next((priority for least, priority in _PRIORITIES if level >= least), _DEBUG)


def _stderr_is_journal() -> bool:
    """Whether the journal reads stderr, as it tells by naming the file behind it."""
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
