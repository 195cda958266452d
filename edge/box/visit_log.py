"""Writes findings into the history, visit by visit.

What was shown is never lost: until the report is delivered, findings are kept in memory as well.
Where the history cannot be opened or written, as on a full disk, they wait here, and are written
when it can be again: with each finding, and when `retry` is called.

A visit that ended with the program goes on when the stick or the inbox is searched again, or the
upload is taken again: findings of files that are still the same are taken over.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge.box.events import Batch, Ending, Origin
from edge.box.interrupted import ENDED, InterruptedVisits
from edge.finding import Finding, Model
from edge.history.writer import Entry, History, HistoryError, Visit
from edge.settings_schema import StoreSettings
from edge.skipped import SkipList, Skipped, SkipReason
from edge.text import count, path_text

if TYPE_CHECKING:
    from edge.scan.scanner import ScanResult

MOST_WAITING = 1000
"""Findings that wait for the history; the oldest of visits that are over are given up."""
MOST_PICTURES = 100
"""Findings that keep their portraits while they wait."""

_log = logging.getLogger("truelight")


@dataclass
class _OpenVisit:
    """A visit and its findings. The ids are 0 of what the history does not have."""

    batch: Batch
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
        self._interrupted = InterruptedVisits()
        self.unreported = self._interrupted.unreported
        """Paths of the inbox's clips that have findings and no report. From any thread."""
        self.given_up = 0
        """Findings that were not written, since too many waited."""
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
        self._interrupted.settle()

    def retry(self) -> None:
        """Open the history if it is not, and write what waits for it."""
        with self._noted_failure():
            self._write_all()
            if self.failure:
                _log.info("The history can be written again. %s", self._missing())
            self.failure = ""

    def close(self) -> None:
        """End open visits as cancelled, and close the file."""
        for opened in self._visits.values():
            if opened.visit.ended is None:
                self._end(opened, Ending.CANCELLED, ENDED)
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

        Raises HistoryError: the history cannot be written.
        """
        history = self._history
        if history is None:
            raise HistoryError("The history cannot be written.", "Run `truelight doctor`.")
        return history.delete(entry)

    def take_over(
        self, batch: Batch, clip: Path, model: Model, waiting: Callable[[], None]
    ) -> Finding | None:
        """The finding on this very file, by this model, of the visit that was interrupted.

        It moves to the visit that goes on. None if there is none. `waiting` is called meanwhile.
        """
        if not self._interrupted.has(batch):
            return None
        opened = self._visit(batch)
        with self._noted_failure(), contextlib.suppress(OSError):
            if self._history is None or not opened.visit.id:
                return None
            entry = self._interrupted.take(batch, clip, model, opened.visit.id, waiting)
            if entry is not None:
                opened.entries.append(_in_short(replace(entry, visit=opened.visit.id)))
                return entry.finding
        return None

    def read(self, batch: Batch) -> tuple[Visit, list[Entry]]:
        """A batch's visit and all its findings, in short; `full` adds what is in the history."""
        opened = self._visit(batch)
        return opened.visit, list(opened.entries)

    def full(self, entry: Entry) -> Entry:
        """An entry with its faces and those portraits that the history has. From any thread."""
        with self._noted_failure():
            if self._history and entry.id:
                return self._history.entry(entry.id) or entry
        return entry

    def note(self, key: str, report: str) -> None:
        """Note what became of a batch's report, and forget the batch."""
        opened = self._visits.pop(key, None)
        if opened and opened.visit.ended:
            self._end(opened, Ending(opened.visit.ending), report)
            with self._noted_failure():
                self._interrupted.end(opened.batch)
            opened.over = True
            self._over.append(opened)
            self.retry()

    def _visit(self, batch: Batch) -> _OpenVisit:
        if batch.key not in self._visits:
            visit = Visit(0, batch.origin, batch.name, datetime.now(UTC), None, "", "")
            self._visits[batch.key] = _OpenVisit(batch, visit)
            self.retry()
        return self._visits[batch.key]

    def _end(self, opened: _OpenVisit, ending: Ending, report: str) -> None:
        if opened.visit.ended is None:
            skipped = _skipped(opened.batch, opened.entries)
            opened.visit = replace(opened.visit, ended=datetime.now(UTC), skipped=skipped)
        opened.visit = replace(opened.visit, ending=ending, report=report)
        opened.closed = False

    def _write_all(self) -> None:
        """Bring the history up to date, oldest visits first. Raises HistoryError."""
        history = self._history or self._opened()
        for opened in (*self._over, *self._visits.values()):
            if not opened.visit.id:
                number = history.open_visit(opened.visit.origin, opened.visit.name)
                opened.visit = replace(opened.visit, id=number)
            for place, result in list(opened.waiting.items()):
                pictures = result.portraits, result.heat, result.first_frames
                number = history.add(opened.visit.id, result.finding, *pictures)
                entry = replace(opened.entries[place], id=number, visit=opened.visit.id)
                opened.entries[place] = _in_short(entry)
                del opened.waiting[place]
            if opened.visit.ended and not opened.closed:
                visit = opened.visit
                history.close_visit(visit.id, visit.ending, visit.report, visit.skipped)
                opened.closed = True
        self._over.clear()

    def _opened(self) -> History:
        limits = self._limits or StoreSettings()
        history = History(self._folder, limits.most_megabytes, limits.most_days)
        self._history = history
        ours = {opened.visit.id for opened in (*self._over, *self._visits.values())}
        self._interrupted.read(history, ours)
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
            opened.waiting[place] = replace(result, portraits={}, heat={}, first_frames=None)
        for opened, place in waiting[:-MOST_WAITING]:
            del opened.waiting[place]
            opened.entries[place] = _in_short(opened.entries[place])
            if not self.given_up:
                _log.error("Too many findings wait for the history: the oldest are given up.")
            self.given_up += 1

    def _missing(self) -> str:
        """How many findings the history will never have; empty if none."""
        return f"It lacks {count(self.given_up, 'finding')}." if self.given_up else ""

    @property
    def history(self) -> History | None:
        """The history; None while it cannot be used."""
        return self._history

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


def _in_short(entry: Entry) -> Entry:
    """An entry without faces and pictures: with 8 faces a finding takes 95 kB."""
    finding = entry.finding.model_copy(update={"faces": ()})
    return replace(entry, finding=finding, portraits={}, heat={})


def _skipped(batch: Batch, entries: list[Entry]) -> Skipped:
    """What was found with a batch and not judged, with those clips that were not reached."""
    judged = {entry.finding.path for entry in entries}
    skipped = SkipList(batch.skipped)
    for clip in batch.clips:
        path = batch.path_of(clip)
        if path_text(path) not in judged:
            skipped.add(path, SkipReason.STOPPED)
    return skipped.result()
