"""The corpus of bad files through the real daemon: by its inbox, a folder of files at a time."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from hostile.box import RESULT, Daemon, Life, children_of
from hostile.corpus import MOST_SECONDS, SEED, Tally, corpus, sum_of, valid_files
from hostile.forked import Forks, forks
from hostile.kept import do, done, numbers

from edge.finding import Finding
from edge.history.database import FILE

PART = "daemon"
IN_A_LIFE = 1000
"""Files in a step: a daemon judges them all, unless it ends."""
AT_ONCE = 250
"""Files that come together."""
MOST_MEGABYTES = 50
"""By which the memory of the daemon may grow."""
MOST_SILENCE = 600.0
"""Without any result: the daemon stands still."""


@dataclass
class Came:
    """What came of the files, and of the daemon."""

    tally: Tally = field(default_factory=Tally)
    restarts: int = 0
    unanswered: int = 0
    """Files that have no result, and are not among those that were not judged."""

    def __str__(self) -> str:
        ends = f"{self.restarts} restarts, {self.unanswered} unanswered"
        return f"{self.tally.files:,} files: {self.tally}; {self.tally.leaks} leaks, {ends}"


@dataclass
class Box:
    """The daemon, started again whenever it ends; its results, folder by folder."""

    folder: Path
    forks: Forks | None = None
    came: Came = field(default_factory=Came)
    held: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Descriptors, pieces of shared memory, processes and MB of the daemon, after each folder."""
    late: list[tuple[str, bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start the daemon."""
        self._life = Life(self.folder / "disk", self.folder / "apart", [], forks=self.forks)
        self._process = self._life.start()

    def judge(self, files: list[tuple[str, bytes]], number: int) -> None:
        """Drop these files in a folder, and wait for the report on them."""
        prepared, place = self.folder / "prepared", self._life.inbox / f"{number:05}"
        prepared.mkdir()
        for name, content in files:
            (prepared / name).write_bytes(content)
            os.utime(prepared / name, (1e9, 1e9))
        prepared.rename(place)
        names = [name for name, _ in files]
        self._wait(place, names)
        self._count(place, files)
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
        with suppress(OSError):
            self.held.append(_held(self._process))

    def _wait(self, place: Path, names: list[str]) -> None:
        """Until each file is answered, and every report written: on a busy machine there are two.

        Gives up when nothing comes any more.
        """
        left, since = len(names) + 1, time.monotonic()
        while True:
            if self._process.poll() is not None:
                self.came.restarts += 1
                self._process = self._life.start()
            open_visits, skipped = self._visits()
            now = sum(not _has_result(place, name) and name not in skipped for name in names)
            if not now and not open_visits:
                return
            if now < left:
                left, since = now, time.monotonic()
            if time.monotonic() - since > MOST_SILENCE:
                return
            time.sleep(0.5)

    def _visits(self) -> tuple[int, str]:
        """How many visits have no report yet, and all files that were not judged."""
        if not (self._life.store / FILE).exists():
            return 1, ""
        with closing(self._life.history()) as database:
            try:
                rows = database.execute("SELECT report, skipped FROM visits").fetchall()
            except sqlite3.OperationalError:  # it is being made
                return 1, ""
        return sum(not report for report, _ in rows), " ".join(skipped for _, skipped in rows)

    def _count(self, place: Path, files: list[tuple[str, bytes]]) -> None:
        _, skipped = self._visits()
        for name, content in files:
            if _has_result(place, name):
                finding = Finding.model_validate_json((place / f"{name}{RESULT}").read_bytes())
                seconds = finding.seconds.get("total", 0.0)
                self.came.tally.add(name, finding, seconds)
                if seconds > MOST_SECONDS:
                    self.late.append((name, content))
            elif name in skipped:
                self.came.tally.files += 1
                self.came.tally.verdicts["not media"] += 1
            else:
                self.came.unanswered += 1

    def end(self) -> None:
        """End it as systemd does."""
        self._process.terminate()
        self.came.restarts += self._process.wait(60) != 0
        # A spare process may or may not be there: the first folder is no measure of it.
        if len(self.held) > 2:
            before = map(max, self.held[0], self.held[1])
            after = map(min, self.held[-2], self.held[-1])
            grown = [now - then for then, now in zip(before, after, strict=True)]
            grown[-1] //= MOST_MEGABYTES
            self.came.tally.leaks = sum(each > 0 for each in grown)


def _has_result(place: Path, name: str) -> bool:
    return (place / f"{name}{RESULT}").exists()


def _held(process: Daemon) -> tuple[int, int, int, int]:
    """The least of some moments: the inbox may be looked at in one of them."""
    moments = []
    for _ in range(10):
        moments.append(_held_now(process))
        time.sleep(0.3)
    first, second, third, fourth = (min(each) for each in zip(*moments, strict=True))
    return first, second, third, fourth


def _held_now(process: Daemon) -> tuple[int, int, int, int]:
    there = Path(f"/proc/{process.pid}")
    pages = int((there / "statm").read_text().split()[1])
    return (
        len(list((there / "fd").iterdir())),
        (there / "maps").read_text().count("memfd:frames"),
        len(children_of(process.pid)),
        pages * os.sysconf("SC_PAGE_SIZE") // 1024**2,
    )


def judge_in_box(
    valid: dict[str, bytes], count: int, first: int, seed: int, where: Forks | None = None
) -> Came:
    """Judge files in one daemon, and print from time to time what came of them."""
    with tempfile.TemporaryDirectory() as folder:
        box = Box(Path(folder), where)
        box.start()
        for number, together in enumerate(_folders(corpus(valid, count, seed, first))):
            box.judge(together, number)
            sys.stdout.write(f"{box.came}; held {box.held[-1:]}\n")
            sys.stdout.flush()
        box.end()
    box.came.tally.judge_late(box.late)
    return box.came


def judge_in_boxes(folder: Path, count: int, forked: bool) -> None:
    """Judge a corpus in one daemon after the other, and keep what came of it."""
    with tempfile.TemporaryDirectory() as place:
        valid = valid_files(Path(place))
    with forks() if forked else nullcontext() as where:

        def step(name: str) -> Came:
            first = int(name)
            return judge_in_box(valid, min(count, first + IN_A_LIFE), first, SEED, where)

        do(folder, PART, numbers(count, IN_A_LIFE), Came, step)


def total(folder: Path) -> Came:
    """What came of all steps."""
    all_came = done(folder, PART, Came)
    tally = sum_of([came.tally for came in all_came])
    restarts = sum(came.restarts for came in all_came)
    return Came(tally, restarts, sum(came.unanswered for came in all_came))


def _folders(files: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    while together := list(islice(files, AT_ONCE)):
        yield together
