"""Whether the program crashed: what it leaves behind when it ends otherwise than by a kill.

A fatal signal (and systemd's watchdog sends one) leaves a trace in a file of the store, by Python's
faulthandler; so does a program that has to end since a part of it hangs or died. The kernel counts
the programs that it ended for want of memory. A program that was killed, or whose machine lost its
power, leaves nothing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
from pathlib import Path
from typing import Final, TextIO

FILE: Final = "crash.log"
_MOST_LOGGED = 20_000
_VMSTAT = Path("/proc/vmstat")
_log = logging.getLogger("truelight")
_open: list[TextIO] = []  # faulthandler writes to the descriptor


def watch_crashes(store: Path) -> None:
    """Leave a trace in the store at a fatal signal from now on; on stderr if that is impossible."""
    try:
        _open.append((store / FILE).open("a", encoding="utf-8"))
        faulthandler.enable(_open[-1])
    except OSError:
        faulthandler.enable()


def note_crash(store: Path, text: str) -> None:
    """Leave a trace: the program ends itself."""
    with contextlib.suppress(OSError), (store / FILE).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def take_crash(store: Path) -> bool:
    """Whether the program crashed before this start; its trace goes to the log, and is deleted."""
    try:
        with (store / FILE).open("r+", encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_LOGGED)
            file.truncate(0)
    except OSError:
        return False
    if text:
        _log.error("The program crashed before this start:\n%s", text)
    return bool(text)


def oom_kills() -> int:
    """How many programs the kernel ended for want of memory since it started."""
    try:
        lines = _VMSTAT.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    except (OSError, ValueError, StopIteration):
        return 0
