"""Wakes a thread when something comes to a folder or goes from it. By inotify; nothing polls."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch


class Watch:
    """Sets `changed` at every change among the names in the folders that were added.

    What changed is for the woken to find out: so no sign can be lost or misread.
    """

    def __init__(self, changed: threading.Event) -> None:
        self._handler = _Waker(changed)
        self._observer = Observer()
        self._observer.daemon = True
        self._observer.start()
        self._watches: dict[Path, ObservedWatch] = {}

    def add(self, folder: Path) -> None:
        """Watch this folder, not those beneath it. OSError if there is none."""
        self._watches[folder] = self._observer.schedule(self._handler, str(folder))

    def remove(self, folder: Path) -> None:
        """Watch it no more; nothing happens if it was not watched."""
        watch = self._watches.pop(folder, None)
        if watch is not None:
            with contextlib.suppress(KeyError):
                self._observer.unschedule(watch)

    def close(self) -> None:
        """Watch nothing any more. May be called again."""
        self._observer.stop()
        self._observer.join()


class _Waker(FileSystemEventHandler):
    """Not for reading: a look at the folder would be followed by another, for ever."""

    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed

    def on_created(self, event: FileSystemEvent) -> None:
        self._changed.set()

    def on_moved(self, event: FileSystemEvent) -> None:
        self._changed.set()

    def on_deleted(self, event: FileSystemEvent) -> None:
        self._changed.set()
