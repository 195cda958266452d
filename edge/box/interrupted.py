"""Visits that ended with the program: their batches go on when the clips are found again.

Findings of files that are still the same move to the visit that goes on. An inbox keeps results
beside its clips, so that none of them is judged twice; `unreported` names those whose results are
in no report yet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from itertools import chain
from pathlib import Path
from typing import Final

from edge.box.events import DELIVERED, Batch, Ending, Origin
from edge.finding import Model
from edge.history.writer import Entry, History, HistoryError, Visit
from edge.language import N_
from edge.scan.media.clip_file import sha256_of
from edge.text import path_text

ENDED: Final = N_("The program ended.")
"""Noted instead of a report where a visit ended with the program."""
WENT_ON: Final = N_("The program ended; a later visit went on.")

_PATIENCE = 5.0


class InterruptedVisits:
    """The interrupted visits of a history. For one thread, but for `unreported`."""

    def __init__(self) -> None:
        """There are none before `read`."""
        self._history: History | None = None
        self._visits: dict[tuple[str, str], list[Visit]] = {}
        """By where the clips came from and the name of the stick."""
        self._entries: dict[int, dict[str, list[int]]] = {}
        """The entries of a visit by path: one query a visit, not one a clip."""
        self._read = threading.Event()

    def read(self, history: History, ours: Collection[int]) -> None:
        """Find them in a history that was just opened, and end those that a crash left open.

        `ours`: the visits of this run. Raises HistoryError.
        """
        self._visits.clear()
        self._entries.clear()
        for visit in history.visits():
            if visit.id in ours:
                continue
            if visit.ended is None:
                history.close_visit(visit.id, Ending.CANCELLED, ENDED)
            if _is_interrupted(visit):
                self._visits.setdefault((visit.origin, visit.name), []).append(visit)
        self._history = history
        self.settle()

    def settle(self) -> None:
        """The history was opened, or cannot be: nobody is to wait for it."""
        self._read.set()

    def has(self, batch: Batch) -> bool:
        """Whether the batch may go on with one of them."""
        return bool(self._visits.get((batch.origin, batch.name)))

    def take(
        self, batch: Batch, clip: Path, model: Model, visit: int, waiting: Callable[[], None]
    ) -> Entry | None:
        """Move the finding on this very file, by this model, to a visit that goes on.

        `waiting` is called meanwhile. Raises HistoryError, OSError.
        """
        if self._history is None:
            return None
        for before in self._visits.get((batch.origin, batch.name), ()):
            entry = self._entry_on(self._history, before.id, clip, path_text(batch.path_of(clip)))
            if entry is None or entry.finding.model != model:
                continue
            if (known := entry.finding.sha256) is None:
                # As for a result in the inbox, size and time are enough where there is no hash.
                is_same = batch.origin is Origin.INBOX
            else:
                is_same = sha256_of(clip, batch.beneath(clip), waiting) == known
            if is_same:
                self._history.move(entry.id, visit)
                return entry
        return None

    def _entry_on(self, history: History, visit: int, clip: Path, path: str) -> Entry | None:
        """The latest entry of a visit on the file that is there now, by its size and time."""
        if visit not in self._entries:
            self._entries[visit] = history.entries_by_path(visit)
        status = clip.lstat()
        for number in self._entries[visit].get(path, ()):
            entry = history.entry(number)
            if entry is None or entry.visit != visit:  # deleted, or moved
                continue
            finding = entry.finding
            if (finding.size, finding.modified_ns) == (status.st_size, status.st_mtime_ns):
                return entry
        return None

    def end(self, batch: Batch) -> None:
        """A batch is over: what it did not take from the visits before it is left there for good.

        Raises HistoryError.
        """
        key = batch.origin, batch.name
        for visit in self._visits.get(key, ()):
            if self._history is not None:
                self._history.close_visit(visit.id, Ending.CANCELLED, WENT_ON, visit.skipped)
        # In an inbox, clips that came at other times are other batches.
        if batch.origin is not Origin.INBOX:
            self._visits.pop(key, None)

    def unreported(self) -> frozenset[str]:
        """Paths of an inbox's clips that have findings and no report. From any thread.

        At the start of the program it waits a moment until these are known.
        """
        self._read.wait(_PATIENCE)
        if (history := self._history) is None:
            return frozenset()
        visits = [
            visit.id
            for (origin, _), found in list(self._visits.items())
            for visit in found
            if origin == Origin.INBOX
        ]
        try:
            waiting = [now for each in visits if (now := history.visit(each))]
            paths = (history.entries_by_path(each.id) for each in waiting if each.report != WENT_ON)
            return frozenset(chain.from_iterable(paths))
        except HistoryError:
            return frozenset()


def _is_interrupted(visit: Visit) -> bool:
    """Whether it ended without a report: the note on that is the last thing that is written.

    Of an inbox, results that could not be written are tried again.
    """
    if visit.origin == Origin.INBOX:
        return visit.report not in (DELIVERED, WENT_ON)
    return visit.origin != Origin.CAMERA and visit.report in ("", ENDED)
