"""The inbox: clips that are dropped into a folder are brought to the box, results go beside them.

Network shares, scp and file managers all write in their own ways, so inotify only says that
something is going on; what has come is found by looking at the folder.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from edge.atomic_write import write_whole
from edge.box.events import Batch, Brought, Event, Origin
from edge.errors import TruelightError
from edge.scan.collect import clips_within
from edge.text import path_text

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

    from edge.history.report import Report
    from edge.history.writer import Entry

log = logging.getLogger("truelight")

RESULT = ".truelight.json"
"""A clip's finding lies beside it, under its name with this at the end."""
REPORT = "TRUELIGHT-REPORT.html"

SETTLE_SECONDS = 1.0
"""A file that was closed or moved here is whole when it has stayed as it is for so long."""
STABLE_SECONDS = 5.0
"""So is a file nobody was seen to close, after so long."""
HOLD_SECONDS = 10.0
"""For so long a clip waits for others that still arrive, to be judged with them."""

_LOOK_SECONDS = 0.25
"""At most this often the folder is looked through, however much is written into it."""
_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".temp", "~")


class Stamp(NamedTuple):
    """By what a file that changed is told from one that did not."""

    changed: int
    """Nanoseconds of the epoch."""
    size: int


@dataclass
class _Sight:
    stamp: Stamp
    since: float
    """The file has been seen like this since then, seconds of the clock."""


class Arrivals:
    """Decides which files are whole, and which of them come together. Pure."""

    def __init__(self) -> None:
        self._looked = False
        self._closed: set[Path] = set()
        self._sights: dict[Path, _Sight] = {}
        self._brought: dict[Path, Stamp] = {}

    def write(self, path: Path) -> None:
        """Someone writes into this file, or deletes it."""
        self._closed.discard(path)

    def close(self, path: Path) -> None:
        """Someone closed this file after writing, or moved it here."""
        self._closed.add(path)

    def look(
        self, found: dict[Path, Stamp], now: float, epoch: float
    ) -> tuple[tuple[Path, ...], float | None]:
        """Of the files that are there, the ones to bring now, and when to look again, if at all.

        `now` is in seconds of a clock that only goes on, `epoch` the same moment since 1970.
        """
        self._brought = {path: at for path, at in self._brought.items() if found.get(path) == at}
        waiting = {path: at for path, at in found.items() if path not in self._brought}
        for path, stamp in waiting.items():
            if path not in self._sights or self._sights[path].stamp != stamp:
                # Nobody saw what happened before the first look, but the file's own time tells.
                age = 0.0 if self._looked else max(0.0, epoch - stamp.changed / 1e9)
                self._sights[path] = _Sight(stamp, now - age)
        self._looked = True
        self._sights = {path: self._sights[path] for path in waiting}
        whole = {path: self._whole_at(path) for path in waiting}
        ready = tuple(path for path, at in whole.items() if at <= now)
        coming = [at for at in whole.values() if at > now]
        if ready and coming:
            held = min(whole[path] for path in ready) + HOLD_SECONDS
            if now < held:
                return (), min(*coming, held)
        for path in ready:
            self._closed.discard(path)
            self._brought[path] = self._sights.pop(path).stamp
        return ready, min(coming, default=None)

    def _whole_at(self, path: Path) -> float:
        wait = SETTLE_SECONDS if path in self._closed else STABLE_SECONDS
        return self._sights[path].since + wait


class Inbox:
    """Posts `Brought` for what arrives; what lies there when it begins arrives too."""

    def __init__(self, folder: Path, post: Callable[[Event], None]) -> None:
        """Begin to watch, and make the folder if there is none.

        Raises TruelightError when it cannot be made, read or watched.
        """
        self._folder = folder
        self._post = post
        self._arrivals = Arrivals()
        self._numbers = count(1)
        self._changed = threading.Condition()
        self._dirty, self._ended = True, False
        self._observer = _watch(folder, self._notice)
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more. May be called again."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._observer.stop()
        self._observer.join()
        self._thread.join()

    def _notice(self, path: Path, closed: bool) -> None:
        if path.name.startswith(".") or path.name == REPORT or path.name.endswith(RESULT):
            return
        with self._changed:
            if closed:
                self._arrivals.close(path)
            else:
                self._arrivals.write(path)
            self._dirty = True
            self._changed.notify()

    def _run(self) -> None:
        again: float | None = None
        while True:
            with self._changed:
                left = None if again is None else max(0.0, again - time.monotonic())
                self._changed.wait_for(lambda: self._dirty or self._ended, left)
                if self._changed.wait_for(lambda: self._ended, _LOOK_SECONDS):
                    return
                self._dirty = False
            found = _waiting(self._folder)
            with self._changed:
                clips, again = self._arrivals.look(found, time.monotonic(), time.time())
            if clips:
                key = f"inbox {next(self._numbers)}"
                self._post(Brought(Batch(Origin.INBOX, key, "Inbox", clips)))


def write_results(folder: Path, entries: Iterable[Entry], report: Report) -> None:
    """Put each clip's finding beside it, and the report of them all into the folder.

    Clips that are gone by now get none. Raises TruelightError when they cannot be written.
    """
    try:
        clips = {path_text(clip): clip for clip in clips_within(folder)}
        for entry in entries:
            clip = clips.get(entry.finding.path)
            if clip is not None:
                text = entry.finding.model_dump_json(indent=2)
                write_whole(result_of(clip), text + "\n")
        write_whole(folder / REPORT, report.html)
    except OSError as failure:
        raise TruelightError("Results not written", f"{folder}: {failure.strerror}.") from failure


def result_of(clip: Path) -> Path:
    """Where the finding on a clip of the inbox lies."""
    return clip.with_name(clip.name + RESULT)


def _waiting(folder: Path) -> dict[Path, Stamp]:
    """The clips in the inbox that have no result, or one that is older."""
    found = {}
    try:
        for clip in clips_within(folder):
            if clip.name.lower().endswith(_UNFINISHED):
                continue
            stamp = _stamp(clip)
            result = _stamp(result_of(clip))
            if stamp is not None and (result is None or result.changed < stamp.changed):
                found[clip] = stamp
    except OSError as failure:
        log.warning("The inbox %s cannot be read: %s", folder, failure.strerror)
    return found


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return Stamp(status.st_mtime_ns, status.st_size)


class _Handler(FileSystemEventHandler):
    """Tells what is written and what is closed; not what is read, for this program reads too."""

    def __init__(self, notice: Callable[[Path, bool], None]) -> None:
        self._notice = notice

    def on_created(self, event: FileSystemEvent) -> None:
        self._notice(Path(os.fsdecode(event.src_path)), False)

    def on_modified(self, event: FileSystemEvent) -> None:
        self._notice(Path(os.fsdecode(event.src_path)), False)

    def on_deleted(self, event: FileSystemEvent) -> None:
        self._notice(Path(os.fsdecode(event.src_path)), False)

    def on_closed(self, event: FileSystemEvent) -> None:
        self._notice(Path(os.fsdecode(event.src_path)), True)

    def on_moved(self, event: FileSystemEvent) -> None:
        self._notice(Path(os.fsdecode(event.dest_path)), True)


def _watch(folder: Path, notice: Callable[[Path, bool], None]) -> BaseObserver:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        observer = Observer()
        observer.daemon = True
        observer.schedule(_Handler(notice), str(folder), recursive=True)
        observer.start()
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, errno.EMFILE):
            raise TruelightError(
                "Inbox cannot be watched", "Raise fs.inotify.max_user_watches, ...instances."
            ) from failure
        raise TruelightError("Inbox cannot be used", f"{folder}: {failure.strerror}.") from failure
    return observer
