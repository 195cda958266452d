"""The inbox: clips that are dropped into a folder are judged, results go beside them.

Network shares, scp and file managers all write in their own ways, so inotify only triggers a look
at the folder. The folder may be a network share that hangs: all of it is used in threads.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from itertools import count
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.atomic_write import PREFIX, atomic_write
from edge.box.events import DELIVERED, Batch, ClipsArrived, Event, Origin, ReportDone
from edge.box.sources import PATIENCE, FolderWatch, call_within
from edge.box.sources.arrivals import Arrivals, Stamp
from edge.box.sources.inbox_results import REPORT, RESULT, is_judged, result_of, write_results
from edge.box.views.status import Trouble, TroubleKind
from edge.errors import TruelightError
from edge.finding import Finding
from edge.language import N_
from edge.scan.collect import MOST_CLIPS, media_within
from edge.skipped import NOTHING_SKIPPED, SkipList, Skipped, SkipReason
from edge.text import json_text, name_text, path_text

if TYPE_CHECKING:
    from edge.history.report import Report
    from edge.history.report_document import Full
    from edge.history.writer import Entry

log = logging.getLogger("truelight")

KEEP_SECONDS = 10.0
"""For the result of one clip."""
WRITE_SECONDS = 60.0
"""For the results of a batch; a network share that takes longer hangs."""

CROWDED: Final = Trouble(
    TroubleKind.INBOX_FULL,
    N_("The inbox holds too many files: some are not seen."),
    N_("Take out what was judged."),
)

_LOOK_SECONDS = 0.25
"""Least time between two looks at the folder, however much is written into it."""
_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".temp", "~")


class Inbox:
    """Posts `ClipsArrived` for what arrives; what is there at the start arrives, too.

    No method waits for the folder, except `deliver`, which is not for the event loop.
    """

    def __init__(
        self,
        folder: Path,
        post: Callable[[Event], None],
        unreported: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Start the thread, which makes the folder if there is none, and watches it.

        `unreported`: the paths of clips that were judged by a batch that ended with the program.
        They come once more, so that this batch goes on and gets its report.
        """
        self.trouble: Trouble | None = None
        """Why the folder cannot be made, read or watched, or that some of it is not seen."""
        self._folder = folder
        self._post = post
        self._arrivals = Arrivals()
        self._judged: dict[Path, tuple[Stamp, Stamp]] = {}
        self._ask_unreported = unreported
        self._noted: set[str] = set()
        self._kept: set[str] = set()
        """Paths of clips whose results lie beside them, until their report."""
        self._changed = threading.Condition()
        self._dirty, self._ended = True, False
        self._began = time.time()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no longer. May be called again; a folder that hangs is left to its thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(PATIENCE)

    def keep(self, clip: Path, finding: Finding) -> None:
        """Write the finding beside its clip, within a time limit; `deliver` tries again."""
        text = json_text(finding.model_dump_json(indent=2)) + "\n"
        self._kept.discard(finding.path)
        try:
            call_within(KEEP_SECONDS, lambda: atomic_write(result_of(clip), text))
            self._kept.add(finding.path)
        except (OSError, TimeoutError) as failure:
            log.warning("The result of %s cannot be written yet: %s", name_text(clip), failure)

    def deliver(
        self, key: str, entries: Sequence[Entry], report: Report, full: Full = lambda entry: entry
    ) -> None:
        """Write the results of the batch `key` that are missing, and its report.

        `full` adds the faces to an entry. Posts `ReportDone`, within a time limit.
        """
        paths = {entry.finding.path for entry in entries}
        kept = self._kept & paths
        self._kept -= paths
        try:
            call_within(
                WRITE_SECONDS, lambda: write_results(self._folder, entries, report, full, kept)
            )
        except (TruelightError, TimeoutError) as failure:
            late = N_("Results not written. The inbox does not answer.")
            note = str(failure) if isinstance(failure, TruelightError) else late
            log.error("%s", note)
            self._post(ReportDone(key, False, note))
        else:
            self._post(ReportDone(key, True, DELIVERED))

    def _run(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for unfinished in self._folder.rglob(f"{PREFIX}*"):  # left by a power failure
                with contextlib.suppress(OSError):
                    if unfinished.stat().st_mtime < self._began:  # else `keep` is writing it
                        unfinished.unlink()
            with contextlib.closing(FolderWatch(self._notice)) as watch:
                watch.add(self._folder, recursive=True)
                self._look_until_closed()
        except OSError as failure:
            self._fail(failure)

    def _fail(self, failure: OSError) -> None:
        message, remedy = N_("The inbox cannot be used."), f"{self._folder}: {failure.strerror}."
        if failure.errno in (errno.ENOSPC, errno.EMFILE):
            message = N_("The inbox cannot be watched.")
            remedy = N_("Raise fs.inotify.max_user_watches and max_user_instances.")
        log.error("%s %s", message, remedy)
        self.trouble = Trouble(TroubleKind.SETTINGS_WRONG, message, remedy)

    def _notice(self, path: Path, finished: bool) -> None:
        if path.name.startswith(".") or path.name == REPORT or path.name.endswith(RESULT):
            return
        with self._changed:
            (self._arrivals.close if finished else self._arrivals.write)(path)
            self._dirty = True
            self._changed.notify()

    def _look_until_closed(self) -> None:
        again: float | None = None
        unreported = set(self._ask_unreported())
        numbers = count(1)
        while True:
            with self._changed:
                left = None if again is None else max(0.0, again - time.monotonic())
                self._changed.wait_for(lambda: self._dirty or self._ended, left)
                if self._changed.wait_for(lambda: self._ended, _LOOK_SECONDS):
                    return
                self._dirty = False
            found, skipped = _unjudged(self._folder, self._judged, unreported)
            self._note_crowd(skipped)
            with self._changed:
                arrived, again = self._arrivals.look(found, time.monotonic(), time.time())
            unreported.difference_update(map(path_text, arrived))
            for first in range(0, len(arrived), MOST_CLIPS):
                clips = arrived[first : first + MOST_CLIPS]
                key, new = f"inbox {next(numbers)}", self._newly_skipped(skipped)
                self._post(
                    ClipsArrived(Batch(Origin.INBOX, key, "Inbox", clips, new, self._folder))
                )

    def _note_crowd(self, skipped: Skipped) -> None:
        """Say so if there are more files than are looked at: clips may be among them."""
        before, crowded = self.trouble, SkipReason.TOO_MANY in skipped.counts
        self.trouble = CROWDED if crowded else None
        if crowded and not before:
            log.error("%s %s", CROWDED.message, CROWDED.remedy)

    def _newly_skipped(self, skipped: Skipped) -> Skipped:
        """What no batch has named yet of the files that are not judged."""
        new = SkipList()
        for file in skipped.files:
            if file.path not in self._noted:
                new.added(file)
        self._noted = {file.path for file in skipped.files}
        return new.result()


def _unjudged(
    folder: Path, judged: dict[Path, tuple[Stamp, Stamp]], unreported: Collection[str]
) -> tuple[dict[Path, Stamp], Skipped]:
    """The clips in the inbox that have no result of their own or no report, and what is not judged.

    `judged` saves reading results again.
    """
    found, skipped = {}, NOTHING_SKIPPED
    try:
        clips, skipped = media_within(folder, inf)
        for clip in clips:
            if clip.name.lower().endswith(_UNFINISHED):
                continue
            stamp, result = _stamp(clip), _stamp(result_of(clip))
            if stamp is not None and path_text(clip) in unreported:
                found[clip] = stamp
                continue
            if stamp is None or (result is not None and judged.get(clip) == (stamp, result)):
                continue
            if result is not None and is_judged(clip, stamp):
                judged[clip] = stamp, result
            else:
                found[clip] = stamp
    except OSError as failure:
        log.warning("The inbox %s cannot be read: %s", folder, failure.strerror)
    return found, skipped


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return Stamp(status.st_mtime_ns, status.st_size)
