"""Writes findings into the history, visit by visit, and guards against clips that crash the box.

Findings are also kept in memory until the report: where the history cannot be written, as on a full
disk, that is logged and only the history lacks them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.atomic_write import atomic_write
from edge.box.events import Batch, Ending, Origin
from edge.history.writer import Entry, History, HistoryError, Visit
from edge.settings_schema import StoreSettings

if TYPE_CHECKING:
    from edge.scan.scanner import ScanResult

_log = logging.getLogger("truelight")


@dataclass
class _OpenVisit:
    """A visit and its findings so far. Its id is 0 if the history does not have it."""

    visit: Visit
    entries: list[Entry] = field(default_factory=list)
    stored: int = 0
    """How many of the entries are in the history."""


class VisitLog:
    """The history as the box writes it: a batch is a visit. For one thread."""

    def __init__(self, folder: Path) -> None:
        """Use the history in the store's folder, from `open` on."""
        self._folder = folder
        self._limits: StoreSettings | None = None
        self._history: History | None = None
        self._visits: dict[str, _OpenVisit] = {}

    def open(self, limits: StoreSettings) -> None:
        """Open the history, with these limits; end the visits that a crash left open."""
        if self._history and limits == self._limits:
            return
        self._limits = limits
        if self._history:
            self._history.close()
        self._history = None
        with _logged_failure():
            history = History(self._folder, limits.most_megabytes, limits.most_days)
            self._history = history
            ours = {opened.visit.id for opened in self._visits.values()}
            for visit in history.visits():
                if visit.ended is None and visit.id not in ours:
                    history.close_visit(visit.id, Ending.CANCELLED, "The program ended.")

    def close(self) -> None:
        """End open visits as cancelled, and close the file."""
        for opened in self._visits.values():
            if opened.visit.ended is None:
                self._end(opened, Ending.CANCELLED, "The program ended.")
        if self._history:
            self._history.close()

    def add(self, batch: Batch, result: ScanResult) -> None:
        """Store a finding."""
        opened = self._visit(batch)
        entry = Entry(0, opened.visit.id, datetime.now(UTC), result.finding)
        with _logged_failure():
            if self._history and opened.visit.id:
                self._history.add(opened.visit.id, result.finding, result.portraits, result.heat)
                opened.stored += 1
        opened.entries.append(entry)

    def end(self, batch: Batch, ending: Ending) -> None:
        """End the visit. Its findings are kept in memory until `note`."""
        # A recording that was never judged is no visit; an empty stick is.
        if batch.origin is not Origin.CAMERA or batch.key in self._visits:
            self._end(self._visit(batch), ending, "")

    def read(self, batch: Batch) -> tuple[Visit, list[Entry]]:
        """A batch's visit and entries; those that the history could not store lack portraits."""
        opened = self._visit(batch)
        with _logged_failure():
            if self._history and opened.stored == len(opened.entries):
                return opened.visit, self._history.entries(opened.visit.id)
        return opened.visit, opened.entries

    def note(self, key: str, report: str) -> None:
        """Note what became of a batch's report, and forget the batch."""
        opened = self._visits.pop(key, None)
        if opened and opened.visit.ended:
            self._end(opened, Ending(opened.visit.ending), report)

    def _visit(self, batch: Batch) -> _OpenVisit:
        opened = self._visits.get(batch.key)
        if opened is None:
            number = 0
            with _logged_failure():
                if self._history:
                    number = self._history.open_visit(batch.origin, batch.name)
            visit = Visit(number, batch.origin, batch.name, datetime.now(UTC), None, "", "")
            opened = self._visits[batch.key] = _OpenVisit(visit)
        return opened

    def _end(self, opened: _OpenVisit, ending: Ending, report: str) -> None:
        ended = opened.visit.ended or datetime.now(UTC)
        opened.visit = replace(opened.visit, ended=ended, ending=ending, report=report)
        with _logged_failure():
            if self._history and opened.visit.id:
                self._history.close_visit(opened.visit.id, ending, report)


@contextlib.contextmanager
def _logged_failure() -> Iterator[None]:
    """Log a failure of the history; the box goes on."""
    try:
        yield
    except HistoryError as failure:
        _log.error("%s %s", failure.message, failure.remedy)


BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Changes when the machine is started: then a power cut may be the cause, not the clip."""


class CrashGuard:
    """Notes in a file which clip is judged; a note that is left over names the clip of a crash."""

    def __init__(self, file: Path, boot: str | None = None) -> None:
        """Read the note that is left in `file`; `boot` identifies the boot of the machine."""
        self._file = file
        self._boot = _boot() if boot is None else boot
        self._crashed: str | None = None
        with contextlib.suppress(OSError, ValueError):
            note = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(note, dict) and note.get("boot") == self._boot:
                self._crashed = note.get("clip")

    def crashed_on(self, clip: Path) -> bool:
        """Whether the program ended while judging this very clip. True only once."""
        found = self._crashed == _identity(clip)
        if found:
            self._crashed = None
        return found

    def begin(self, clip: Path) -> None:
        """Note the clip that is about to be judged."""
        note = {"clip": _identity(clip), "boot": self._boot}
        try:
            atomic_write(self._file, json.dumps(note))
        except OSError as failure:
            _log.warning("The crash guard cannot write its note: %s", failure.strerror)

    def end(self) -> None:
        """Delete the note: the clip is judged, or cancelled."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)


def _boot() -> str:
    with contextlib.suppress(OSError):
        return BOOT.read_text(encoding="ascii").strip()
    return ""


def _identity(clip: Path) -> str:
    """Path, size and time: differs for another clip at the same path."""
    try:
        status = clip.stat()
    except OSError:
        return ascii(os.fspath(clip))
    return f"{os.fspath(clip)!a} {status.st_size} {status.st_mtime_ns}"
