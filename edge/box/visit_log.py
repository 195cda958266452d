"""Keeps what is found, visit by visit, in the history; without one, in memory until the report.

Not being able to write, as on a full disk, is logged and costs nothing but the history.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge.box.events import Batch, Ending, Origin
from edge.history.writer import Entry, History, HistoryError, Visit
from edge.settings_schema import StoreSettings

if TYPE_CHECKING:
    from edge.scan.scanner import ScanResult

import json
import os
from typing import Final

from edge.atomic_write import write_whole

_log = logging.getLogger("truelight")


@dataclass
class _Page:
    """A visit as far as it has got. Its id is 0 if the history does not know it."""

    visit: Visit
    entries: list[Entry] = field(default_factory=list)
    kept: int = 0
    """How many of the entries are in the history."""


class Ledger:
    """The history as the box writes it: batches come and go by their keys. For one thread."""

    def __init__(self, folder: Path) -> None:
        """Keep the history in the store's folder; `open` begins."""
        self._folder = folder
        self._limits: StoreSettings | None = None
        self._history: History | None = None
        self._pages: dict[str, _Page] = {}

    def open(self, limits: StoreSettings) -> None:
        """Open the history, with these limits; visits that were never ended are ended now."""
        if self._history and limits == self._limits:
            return
        self._limits = limits
        if self._history:
            self._history.close()
        self._history = None
        with _forgiven():
            history = History(self._folder, limits.most_megabytes, limits.most_days)
            self._history = history
            ours = {page.visit.id for page in self._pages.values()}
            for visit in history.visits():
                if visit.ended is None and visit.id not in ours:
                    history.close_visit(visit.id, Ending.CANCELLED, "The program ended.")

    def close(self) -> None:
        """End what is open as cancelled, and let go of the file."""
        for page in self._pages.values():
            if page.visit.ended is None:
                self._end(page, Ending.CANCELLED, "The program ended.")
        if self._history:
            self._history.close()

    def add(self, batch: Batch, look: ScanResult) -> None:
        """Keep what was found."""
        page = self._page(batch)
        entry = Entry(0, page.visit.id, datetime.now(UTC), look.finding)
        with _forgiven():
            if self._history and page.visit.id:
                self._history.add(page.visit.id, look.finding, look.portraits, look.heat)
                page.kept += 1
        page.entries.append(entry)

    def end(self, batch: Batch, ending: Ending) -> None:
        """Nothing more comes of this batch. It is remembered until `note`."""
        # A recording that was never judged was no visit; an empty stick was.
        if batch.origin is not Origin.CAMERA or batch.key in self._pages:
            self._end(self._page(batch), ending, "")

    def read(self, batch: Batch) -> tuple[Visit, list[Entry]]:
        """What is known of a batch; what the history could not keep lacks portraits."""
        page = self._page(batch)
        with _forgiven():
            if self._history and page.kept == len(page.entries):
                return page.visit, self._history.entries(page.visit.id)
        return page.visit, page.entries

    def note(self, key: str, report: str) -> None:
        """Say what became of a batch's report, and forget it."""
        page = self._pages.pop(key, None)
        if page and page.visit.ended:
            self._end(page, Ending(page.visit.ending), report)

    def _page(self, batch: Batch) -> _Page:
        page = self._pages.get(batch.key)
        if page is None:
            number = 0
            with _forgiven():
                if self._history:
                    number = self._history.open_visit(batch.origin, batch.name)
            visit = Visit(number, batch.origin, batch.name, datetime.now(UTC), None, "", "")
            page = self._pages[batch.key] = _Page(visit)
        return page

    def _end(self, page: _Page, ending: Ending, report: str) -> None:
        ended = page.visit.ended or datetime.now(UTC)
        page.visit = replace(page.visit, ended=ended, ending=ending, report=report)
        with _forgiven():
            if self._history and page.visit.id:
                self._history.close_visit(page.visit.id, ending, report)


@contextlib.contextmanager
def _forgiven() -> Iterator[None]:
    """What cannot be kept is told in the log; the box goes on."""
    try:
        yield
    except HistoryError as failure:
        _log.error("%s %s", failure.message, failure.remedy)


BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Changes when the machine is started: then a cut in the power may be to blame, not the clip."""


class Guard:
    """A note in a file while a clip is judged; one that is left over accuses its clip."""

    def __init__(self, file: Path, boot: str | None = None) -> None:
        """Read what is left in `file`; `boot` names the time since the machine was started."""
        self._file = file
        self._boot = _boot() if boot is None else boot
        self._accused: str | None = None
        with contextlib.suppress(OSError, ValueError):
            note = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(note, dict) and note.get("boot") == self._boot:
                self._accused = note.get("clip")

    def accuses(self, clip: Path) -> bool:
        """Whether the program ended while judging this very clip. Asked again, it is forgiven."""
        accused, found = self._accused, self._accused == _likeness(clip)
        self._accused = None if found else accused
        return found

    def begin(self, clip: Path) -> None:
        """This clip is about to be judged."""
        note = {"clip": _likeness(clip), "boot": self._boot}
        try:
            write_whole(self._file, json.dumps(note))
        except OSError as failure:
            _log.warning("The clip at work cannot be noted: %s", failure.strerror)

    def end(self) -> None:
        """The clip is judged, or given up."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)


def _boot() -> str:
    with contextlib.suppress(OSError):
        return BOOT.read_text(encoding="ascii").strip()
    return ""


def _likeness(clip: Path) -> str:
    """What tells a clip from another one in the same place."""
    try:
        status = clip.stat()
    except OSError:
        return ascii(os.fspath(clip))
    return f"{os.fspath(clip)!a} {status.st_size} {status.st_mtime_ns}"
