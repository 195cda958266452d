"""Remembers the clips that ended the program or the machine, so that none does so for good.

An attempt is noted in the history before a clip is judged, and deleted afterwards. One that is left
over makes the clip, which is known by its content, a suspect: it is judged again, after all others.
If the program left a trace of a crash, or was ended for want of memory: after two the
clip is skipped. If not, but the machine went on, or had been on for a while: after six. If the
machine had just started, most likely someone pulled the plug: that never counts. All is forgiven
when Truelight is updated.

A fatal signal (and systemd's watchdog sends one) leaves its trace in a file of the store, by
Python's faulthandler; so does a program that ends itself since a part of it hangs or died. A scan
that is merely slow to end when the program is stopped leaves none. The kernel counts the programs
that it ended for want of memory. A program that was killed, or whose machine lost its power, leaves
nothing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TextIO

from edge import __version__
from edge.history.attempts import MOST_CLIPS, Attempt, read_attempts, write_attempt
from edge.history.writer import History, HistoryError
from edge.language import N_
from edge.scan.media.clip_file import open_regular
from edge.scan.media.protocol import ClipError

MOST_CRASHES: Final = 2
MOST_ENDS: Final = 6
SETTLED: Final = 300.0
"""Seconds. A power cut later than that after the machine's start counts: a loose cable cuts sooner,
and six cuts that late do not hit the same clip by chance."""
CRASHED: Final = N_(
    "Skipped: two attempts to judge this file ended in a crash of the program. It is tried again "
    "after an update."
)
ENDED: Final = N_(
    "Skipped: the program or the machine stopped during six attempts to judge this file. It is "
    "tried again after an update."
)

_PART_BYTES = 1 << 20
_PATIENCE = 5.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UPTIME = Path("/proc/uptime")
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


def boot_id() -> str:
    """Differs between any two starts of the machine."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def uptime() -> float:
    """Seconds since the machine started."""
    try:
        return float(_UPTIME.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0


class CrashGuard:
    """The attempts that did not end, by clip. For one thread, but for `suspects_last`.

    While the history cannot be used, they are remembered in memory.
    """

    def __init__(self, store: Path, version: str = __version__, boot: str | None = None) -> None:
        """Look for traces in the folder `store`, and for what an earlier version left there."""
        self._old_file = store / "attempts.json"
        self._has_crashed = take_crash(store)
        self._version = version
        self._boot = boot or boot_id()
        self._history: History | None = None
        self._current = ""
        self._attempts: dict[str, Attempt] = {}
        self._suspects = frozenset[str]()
        self._known = threading.Event()

    def use(self, history: History | None) -> None:
        """Keep attempts in this history, and count those that it holds as ended."""
        if history is not None and history is not self._history:
            self._history = history
            self._read(history)
        self._known.set()

    def _read(self, history: History) -> None:
        with contextlib.suppress(HistoryError):
            for clip, attempt in read_attempts(history, self._version).items():
                if attempt.boot is not None and clip not in self._attempts:
                    self._count(attempt)
                    write_attempt(history, self._version, clip, attempt)
                self._attempts.setdefault(clip, attempt)
            self._take_old_file(history)
        self._suspects = frozenset(self._attempts)

    def _count(self, attempt: Attempt) -> None:
        """Count an attempt that did not end, if the power is not the likely cause."""
        machine_went_on = attempt.boot == self._boot
        if self._has_crashed or (machine_went_on and oom_kills() > attempt.oom_kills):
            attempt.crashes += 1
        elif machine_went_on or attempt.uptime >= SETTLED:
            attempt.ends += 1
        attempt.boot = None

    def begin(self, clip: Path) -> str:
        """Note an attempt at this clip; if it had too many, the reason to skip it instead."""
        self._current = identity = clip_identity(clip)
        attempt = self._attempts.pop(identity, Attempt())
        self._attempts[identity] = attempt  # now the latest
        while len(self._attempts) > MOST_CLIPS:
            del self._attempts[next(iter(self._attempts))]
        refusal = CRASHED if attempt.crashes >= MOST_CRASHES else ""
        refusal = refusal or (ENDED if attempt.ends >= MOST_ENDS else "")
        if refusal:
            self._current = ""
        else:
            attempt.boot, attempt.oom_kills, attempt.uptime = self._boot, oom_kills(), uptime()
            self._write(identity, attempt)
        return refusal

    def end(self) -> None:
        """The clip was judged, or cancelled: nothing counts against it any more."""
        if self._attempts.pop(self._current, None) is not None:
            self._write(self._current, None)
            self._suspects = frozenset(self._attempts)

    def suspects_last(self, clips: Iterable[Path]) -> tuple[Path, ...]:
        """The clips, with those last whose attempts did not end. From any thread.

        At the start of the program it waits a moment until these are known.
        """
        self._known.wait(_PATIENCE)
        sizes = {identity.partition(" ")[0] for identity in self._suspects}
        return tuple(sorted(clips, key=lambda clip: self._is_suspect(clip, sizes)))

    def _is_suspect(self, clip: Path, sizes: set[str]) -> bool:
        if not sizes:
            return False
        try:
            same_size = str(clip.lstat().st_size) in sizes
        except OSError:
            return False
        return same_size and clip_identity(clip) in self._suspects

    def _write(self, clip: str, attempt: Attempt | None) -> None:
        if self._history is None:
            return
        try:
            write_attempt(self._history, self._version, clip, attempt)
        except HistoryError as failure:
            _log.warning("The crash guard cannot write its note: %s", failure.message)

    def _take_old_file(self, history: History) -> None:
        """Read the file in which attempts were kept before, and delete it."""
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
            note = json.loads(self._old_file.read_text(encoding="utf-8"))
            if note["version"] == self._version:
                for clip, number in note["attempts"].items():
                    attempt = self._attempts.setdefault(str(clip), Attempt(int(number)))
                    write_attempt(history, self._version, str(clip), attempt)
        with contextlib.suppress(OSError):
            self._old_file.unlink(missing_ok=True)


def clip_identity(clip: Path) -> str:
    """Size and a hash of beginning and end: the same for a copy under another name."""
    state = hashlib.sha256()
    try:
        descriptor = open_regular(clip, clip.parent)
        try:
            size = os.fstat(descriptor).st_size
            for position in (0, max(0, size - _PART_BYTES)):
                state.update(os.pread(descriptor, _PART_BYTES, position))
        finally:
            os.close(descriptor)
    except (ClipError, OSError):
        return ascii(os.fspath(clip))
    return f"{size} {state.hexdigest()}"
