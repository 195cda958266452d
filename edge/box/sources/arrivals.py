"""Which files of the inbox are whole, and which of them come together. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SETTLE_SECONDS = 1.0
"""A file that was closed or moved here is whole when it has not changed for this long."""
STABLE_SECONDS = 5.0
"""The same for a file whose closing was not seen."""
HOLD_SECONDS = 10.0
"""For this long a clip waits for others that still arrive, to be judged with them."""


class Stamp(NamedTuple):
    """Differs when a file has changed."""

    changed: int
    """Nanoseconds of the epoch."""
    size: int


@dataclass
class _Pending:
    stamp: Stamp
    since: float
    """The file has not changed since then, seconds of the clock."""


class Arrivals:
    """Decides which files are whole, and which of them come together. Pure."""

    def __init__(self) -> None:
        self._looked = False
        self._closed: set[Path] = set()
        self._pending: dict[Path, _Pending] = {}
        self._arrived: dict[Path, Stamp] = {}

    def write(self, path: Path) -> None:
        """Someone writes into this file, or deletes it."""
        self._closed.discard(path)

    def close(self, path: Path) -> None:
        """Someone closed this file after writing, or moved it here."""
        self._closed.add(path)

    def look(
        self, found: dict[Path, Stamp], now: float, epoch: float
    ) -> tuple[tuple[Path, ...], float | None]:
        """Of the files that are there, the ones that have arrived, and when to look again, if ever.

        `now` is in seconds of a monotonic clock, `epoch` the same moment since 1970.
        """
        self._arrived = {path: at for path, at in self._arrived.items() if found.get(path) == at}
        waiting = {path: at for path, at in found.items() if path not in self._arrived}
        for path, stamp in waiting.items():
            if path not in self._pending or self._pending[path].stamp != stamp:
                # At the first look only the file's own time says how long it has not changed.
                age = 0.0 if self._looked else max(0.0, epoch - stamp.changed / 1e9)
                self._pending[path] = _Pending(stamp, now - age)
        self._looked = True
        self._pending = {path: self._pending[path] for path in waiting}
        whole = {path: self._whole_at(path) for path in waiting}
        ready = tuple(path for path, at in whole.items() if at <= now)
        coming = [at for at in whole.values() if at > now]
        if ready and coming:
            held = min(whole[path] for path in ready) + HOLD_SECONDS
            if now < held:
                return (), min(*coming, held)
        for path in ready:
            self._closed.discard(path)
            self._arrived[path] = self._pending.pop(path).stamp
        return ready, min(coming, default=None)

    def _whole_at(self, path: Path) -> float:
        wait = SETTLE_SECONDS if path in self._closed else STABLE_SECONDS
        return self._pending[path].since + wait
