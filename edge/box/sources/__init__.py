"""What brings clips to the box. Here: folders and devices that may hang, kept from the event loop.

A network share or a camera that hangs cannot be interrupted. So each has a thread of its own,
which is left behind when it does not end in time.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

Answer = TypeVar("Answer")

PATIENCE: Final = 0.5
"""Seconds that closing waits for a thread that hangs."""

_NOTICED: Final[list[type[FileSystemEvent]]] = [
    *(FileCreatedEvent, FileModifiedEvent, FileClosedEvent, FileMovedEvent, FileDeletedEvent),
    *(DirCreatedEvent, DirMovedEvent, DirDeletedEvent),
]


def call_within(
    seconds: float, call: Callable[[], Answer], late: Callable[[Answer], None] | None = None
) -> Answer:
    """The result of a call that may hang; what comes later than `seconds` is given to `late`.

    Raises TimeoutError: it did not return in time. Its `args` hold the thread that was left behind;
    Exception: whatever the call raises.
    """
    answer: Future[Answer] = Future()

    def work() -> None:
        try:
            result = call()
        except Exception as failure:
            if answer.set_running_or_notify_cancel():
                answer.set_exception(failure)
            return
        if answer.set_running_or_notify_cancel():
            answer.set_result(result)
        elif late is not None:
            late(result)

    thread = threading.Thread(target=work, name="call that may hang", daemon=True)
    thread.start()
    thread.join(seconds)
    if answer.cancel():
        raise TimeoutError(thread)
    return answer.result()


class FolderWatch:
    """Calls `notice` when a name in a folder appears, changes or goes. By inotify; nothing polls.

    `notice` gets the path, and whether a writer has just finished with it. Being read is not
    noticed: looking at the folder would cause another look, for ever. Nor is a folder for what
    happens in it: that is noticed itself, and a result in the inbox would cause a look.
    """

    def __init__(self, notice: Callable[[Path, bool], None]) -> None:
        self._handler = _Handler(notice)
        self._observer = Observer()
        self._observer.daemon = True
        self._observer.start()
        self._watches: dict[Path, ObservedWatch] = {}

    def add(self, folder: Path, *, recursive: bool = False) -> None:
        """Watch this folder. OSError if that cannot be done."""
        watch = self._observer.schedule(
            self._handler, str(folder), recursive=recursive, event_filter=_NOTICED
        )
        self._watches[folder] = watch

    def remove(self, folder: Path) -> None:
        """Watch it no longer; nothing happens if it was not watched."""
        watch = self._watches.pop(folder, None)
        if watch is not None:
            with contextlib.suppress(KeyError):
                self._observer.unschedule(watch)

    def close(self) -> None:
        """Watch nothing any more. May be called again."""
        self._observer.stop()
        self._observer.join(PATIENCE)


class _Handler(FileSystemEventHandler):
    def __init__(self, notice: Callable[[Path, bool], None]) -> None:
        self._notice = notice

    def on_any_event(self, event: FileSystemEvent) -> None:
        place = event.dest_path if event.event_type == "moved" else event.src_path
        finished = event.event_type in ("closed", "moved")
        self._notice(Path(os.fsdecode(place)), finished)
