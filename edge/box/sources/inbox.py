"""The inbox: clips that are dropped into a folder are judged, results go beside them.

Network shares, scp and file managers all write in their own ways, so inotify only triggers a look
at the folder. The folder may be a network share that hangs: all of it is used in threads.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.atomic_write import PREFIX, atomic_write
from edge.box.events import DELIVERED, Batch, ClipsArrived, Event, Origin, ReportDone
from edge.box.sources import PATIENCE, FolderWatch, call_within
from edge.box.sources.arrivals import Arrivals, Stamp
from edge.box.views.status import Trouble, TroubleKind
from edge.errors import TruelightError
from edge.finding import Finding
from edge.language import N_
from edge.scan.collect import clips_within, media_within
from edge.skipped import NOTHING_SKIPPED, SkipList, Skipped
from edge.text import json_text, name_text, one_line, path_text

if TYPE_CHECKING:
    from edge.history.report import Report
    from edge.history.writer import Entry

log = logging.getLogger("truelight")

RESULT: Final = ".truelight.json"
"""A clip's finding lies beside it, under its name with this at the end."""
REPORT: Final = "TRUELIGHT-REPORT.html"

KEEP_SECONDS = 10.0
"""For the result of one clip."""
WRITE_SECONDS = 60.0
"""For the results of a batch; a network share that takes longer hangs."""

_MOST_NAME_BYTES = 255
_MOST_RESULT_BYTES = 16 * 1024**2
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
        """Why the folder cannot be made, read or watched."""
        self._folder = folder
        self._post = post
        self._arrivals = Arrivals()
        self._judged: dict[Path, tuple[Stamp, Stamp]] = {}
        self._ask_unreported = unreported
        self._noted: set[str] = set()
        self._changed = threading.Condition()
        self._dirty, self._ended = True, False
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
        try:
            call_within(KEEP_SECONDS, lambda: atomic_write(result_of(clip), text))
        except (OSError, TimeoutError) as failure:
            log.warning("The result of %s cannot be written yet: %s", name_text(clip), failure)

    def deliver(self, key: str, entries: Iterable[Entry], report: Report) -> None:
        """Write the results of the batch `key` and post `ReportDone`, within a time limit."""
        try:
            call_within(WRITE_SECONDS, lambda: write_results(self._folder, entries, report))
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
                unfinished.unlink(missing_ok=True)
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
        for number in count(1):
            with self._changed:
                left = None if again is None else max(0.0, again - time.monotonic())
                self._changed.wait_for(lambda: self._dirty or self._ended, left)
                if self._changed.wait_for(lambda: self._ended, _LOOK_SECONDS):
                    return
                self._dirty = False
            found, skipped = _unjudged(self._folder, self._judged, unreported)
            with self._changed:
                clips, again = self._arrivals.look(found, time.monotonic(), time.time())
            if clips:
                unreported.difference_update(map(path_text, clips))
                key, new = f"inbox {number}", self._newly_skipped(skipped)
                self._post(
                    ClipsArrived(Batch(Origin.INBOX, key, "Inbox", clips, new, self._folder))
                )

    def _newly_skipped(self, skipped: Skipped) -> Skipped:
        """What no batch has named yet of the files that are not judged."""
        new = SkipList()
        for file in skipped.files:
            if file.path not in self._noted:
                new.added(file)
        self._noted = {file.path for file in skipped.files}
        return new.result()


def write_results(folder: Path, entries: Iterable[Entry], report: Report) -> None:
    """Write each clip's finding beside it, and the report of them all into the folder.

    Clips that are gone by now get none; one that fails costs no other its result. Raises
    TruelightError when some could not be written.
    """
    try:
        clips = {path_text(clip): clip for clip in clips_within(folder)}
    except OSError as failure:
        raise TruelightError(_not_written(folder, failure.strerror)) from failure
    failures: list[str] = []
    written = 1
    for entry in entries:
        if clip := clips.get(entry.finding.path):
            written += 1
            result = json_text(entry.finding.model_dump_json(indent=2))
            _write(result_of(clip), result + "\n", failures)
    _write(free_name(folder / REPORT), report.html, failures)
    if failures:
        message = N_("{number} of {total} results not written. {why}")
        why = f"{folder}: {failures[0]}."
        raise TruelightError(message.format(number=len(failures), total=written, why=why))


def _not_written(folder: Path, why: str | None) -> str:
    return N_("Results not written. {why}").format(why=f"{folder}: {why}.")


def _write(path: Path, content: str, failures: list[str]) -> None:
    """Write a file; why that failed is added to `failures`."""
    try:
        atomic_write(path, content)
    except OSError as failure:
        failures.append(failure.strerror or "unknown error")
        log.warning("%s cannot be written: %s", one_line(path_text(path)), failure.strerror)


def result_of(clip: Path) -> Path:
    """Where the finding on a clip of the inbox lies; a name that is too long is shortened."""
    name = os.fsencode(clip.name)
    if len(name) + len(RESULT) > _MOST_NAME_BYTES:
        digest = hashlib.sha256(name).hexdigest()[:16]
        shortened = name[: _MOST_NAME_BYTES - len(RESULT) - len(digest) - 1]
        name = shortened.decode("utf-8", "ignore").encode() + f"-{digest}".encode()
    return clip.with_name(os.fsdecode(name) + RESULT)


def free_name(path: Path) -> Path:
    """The path, or one with a number if someone put a folder there."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return next(each for each in chain((path,), numbered) if not each.is_dir())


def _is_judged(clip: Path, stamp: Stamp) -> bool:
    """Whether the result beside a clip is of this very file: by size and time, or else by hash."""
    try:
        result = result_of(clip)
        if result.is_symlink() or result.stat().st_size > _MOST_RESULT_BYTES:
            return False
        finding = json.loads(result.read_bytes())
        if finding.get("size") is not None:
            return (finding["size"], finding.get("modified_ns")) == (stamp.size, stamp.changed)
        if not finding.get("sha256"):
            return False
        with clip.open("rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == finding["sha256"])
    except (OSError, ValueError, AttributeError):
        return False


def _unjudged(
    folder: Path, judged: dict[Path, tuple[Stamp, Stamp]], unreported: Collection[str]
) -> tuple[dict[Path, Stamp], Skipped]:
    """The clips in the inbox that have no result of their own or no report, and what is not judged.

    `judged` saves reading results again.
    """
    found, skipped = {}, NOTHING_SKIPPED
    try:
        clips, skipped = media_within(folder)
        for clip in clips:
            if clip.name.lower().endswith(_UNFINISHED):
                continue
            stamp, result = _stamp(clip), _stamp(result_of(clip))
            if stamp is not None and path_text(clip) in unreported:
                found[clip] = stamp
                continue
            if stamp is None or (result is not None and judged.get(clip) == (stamp, result)):
                continue
            if result is not None and _is_judged(clip, stamp):
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
