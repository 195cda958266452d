"""Writes findings into the history, visit by visit.

What was shown is never lost: until the report is delivered, findings are kept in memory as well.
Where the history cannot be opened or written, as on a full disk, they wait here, and are written
when it can be again: with each finding, and when `retry` is called.
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

MOST_WAITING = 2000
"""Findings that wait for the history; the oldest of visits that are over are given up."""
MOST_PICTURES = 100
"""Findings that keep their portraits while they wait."""

_log = logging.getLogger("truelight")


@dataclass
class _OpenVisit:
    """A visit and its findings. The ids are 0 of what the history does not have."""

    visit: Visit
    entries: list[Entry] = field(default_factory=list)
    waiting: dict[int, ScanResult] = field(default_factory=dict)
    """Results that are not in the history, by their place in `entries`."""
    over: bool = False
    """Whether its report was delivered: it is kept only until the history has it."""
    closed: bool = False
    """Whether the history has its end."""


class VisitLog:
    """The history as the box writes it: a batch is a visit. For one thread."""

    def __init__(self, folder: Path) -> None:
        """Use the history in the store's folder, from `open` on."""
        self._folder = folder
        self._limits: StoreSettings | None = None
        self._history: History | None = None
        self._visits: dict[str, _OpenVisit] = {}
        self._over: list[_OpenVisit] = []
        self.failure = ""
        """Why the history cannot be written, in a sentence; empty if it can."""

    def open(self, limits: StoreSettings) -> None:
        """Open the history, with these limits; end the visits that a crash left open."""
        if self._history and limits == self._limits:
            return
        self._limits = limits
        if self._history:
            self._history.close()
        self._history = None
        self.retry()

    def retry(self) -> None:
        """Open the history if it is not, and write what waits for it."""
        with self._noted_failure():
            self._write_all()
            if self.failure:
                _log.info("The history can be written again.")
            self.failure = ""

    def close(self) -> None:
        """End open visits as cancelled, and close the file."""
        for opened in self._visits.values():
            if opened.visit.ended is None:
                self._end(opened, Ending.CANCELLED, "The program ended.")
        self.retry()
        if self._history:
            self._history.close()

    def add(self, batch: Batch, result: ScanResult) -> None:
        """Store a finding."""
        opened = self._visit(batch)
        opened.waiting[len(opened.entries)] = result
        opened.entries.append(Entry(0, opened.visit.id, datetime.now(UTC), result.finding))
        self.retry()
        self._bound()

    def end(self, batch: Batch, ending: Ending) -> None:
        """End the visit. Its findings are kept in memory until `note`."""
        # A recording or an upload that was never judged is no visit; an empty stick is.
        if batch.origin not in (Origin.CAMERA, Origin.WEB) or batch.key in self._visits:
            self._end(self._visit(batch), ending, "")
            self.retry()

    def delete(self, entry: int) -> bool:
        """Delete a finding; False if there is none of that number. From any thread.

        Raises:
            HistoryError: the history cannot be written.
        """
        history = self._history
        if history is None:
            raise HistoryError("The history cannot be written.", "Run `truelight doctor`.")
        return history.delete(entry)

    def read(self, batch: Batch) -> tuple[Visit, list[Entry]]:
        """A batch's visit and all its findings, with those portraits that the history has."""
        opened = self._visit(batch)
        stored: dict[int, Entry] = {}
        with self._noted_failure():
            if self._history and opened.visit.id:
                stored = {each.id: each for each in self._history.entries(opened.visit.id)}
        return opened.visit, [stored.get(entry.id, entry) for entry in opened.entries]

    def note(self, key: str, report: str) -> None:
        """Note what became of a batch's report, and forget the batch."""
        opened = self._visits.pop(key, None)
        if opened and opened.visit.ended:
            self._end(opened, Ending(opened.visit.ending), report)
            opened.over = True
            self._over.append(opened)
            self.retry()

    def _visit(self, batch: Batch) -> _OpenVisit:
        if batch.key not in self._visits:
            visit = Visit(0, batch.origin, batch.name, datetime.now(UTC), None, "", "")
            self._visits[batch.key] = _OpenVisit(visit)
            self.retry()
        return self._visits[batch.key]

    def _end(self, opened: _OpenVisit, ending: Ending, report: str) -> None:
        ended = opened.visit.ended or datetime.now(UTC)
        opened.visit = replace(opened.visit, ended=ended, ending=ending, report=report)
        opened.closed = False

    def _write_all(self) -> None:
        """Bring the history up to date, oldest visits first. Raises HistoryError."""
        history = self._history or self._opened()
        for opened in (*self._over, *self._visits.values()):
            if not opened.visit.id:
                number = history.open_visit(opened.visit.origin, opened.visit.name)
                opened.visit = replace(opened.visit, id=number)
            for place, result in list(opened.waiting.items()):
                number = history.add(opened.visit.id, result.finding, result.portraits, result.heat)
                entry = replace(opened.entries[place], id=number, visit=opened.visit.id)
                opened.entries[place] = entry
                del opened.waiting[place]
            if opened.visit.ended and not opened.closed:
                history.close_visit(opened.visit.id, opened.visit.ending, opened.visit.report)
                opened.closed = True
        self._over.clear()

    def _opened(self) -> History:
        limits = self._limits or StoreSettings()
        history = History(self._folder, limits.most_megabytes, limits.most_days)
        self._history = history
        ours = {opened.visit.id for opened in (*self._over, *self._visits.values())}
        for visit in history.visits():
            if visit.ended is None and visit.id not in ours:
                history.close_visit(visit.id, Ending.CANCELLED, "The program ended.")
        return history

    def _bound(self) -> None:
        """Keep what waits within bounds of memory."""
        waiting = [
            (opened, place)
            for opened in (*self._over, *self._visits.values())
            for place in opened.waiting
        ]
        for opened, place in waiting[:-MOST_PICTURES]:
            result = opened.waiting[place]
            opened.waiting[place] = replace(result, portraits={}, heat={})
        for opened, place in waiting[:-MOST_WAITING]:
            del opened.waiting[place]

    @contextlib.contextmanager
    def _noted_failure(self) -> Iterator[None]:
        """Log a failure of the history, once; the box goes on."""
        try:
            yield
        except HistoryError as failure:
            sentence = f"{failure.message} {failure.remedy}"
            if sentence != self.failure:
                _log.error("%s", sentence)
            self.failure = sentence
