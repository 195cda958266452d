"""The corpus of bad files through the real daemon: by its inbox, a folder of files at a time."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from hostile.box import RESULT, Life, children_of
from hostile.corpus import Tally, corpus, valid_files

from edge.finding import Finding
from edge.history.database import FILE

AT_ONCE = 250
"""Files that come together."""
MOST_SECONDS = 600.0
"""Without any result: the daemon stands still."""


@dataclass
class Box:
    """The daemon, started again whenever it ends; its results, folder by folder."""

    folder: Path
    tally: Tally
    restarts: int = 0
    unanswered: int = 0
    """Files that have no result, and are not among those that were not judged."""
    held: list[tuple[int, int, int]] = field(default_factory=list)
    """Descriptors, pieces of shared memory and processes of the daemon, after each folder."""

    def start(self) -> None:
        """Start the daemon."""
        self._life = Life(self.folder / "disk", self.folder / "apart", [])
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
        self._count(place, names)
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
                self.restarts += 1
                self._process = self._life.start()
            open_visits, skipped = self._visits()
            now = sum(not _has_result(place, name) and name not in skipped for name in names)
            if not now and not open_visits:
                return
            if now < left:
                left, since = now, time.monotonic()
            if time.monotonic() - since > MOST_SECONDS:
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

    def _count(self, place: Path, names: list[str]) -> None:
        _, skipped = self._visits()
        for name in names:
            if _has_result(place, name):
                finding = Finding.model_validate_json((place / f"{name}{RESULT}").read_bytes())
                self.tally.add(name, finding, finding.seconds.get("total", 0.0))
            elif name in skipped:
                self.tally.files += 1
                self.tally.verdicts["not media"] += 1
            else:
                self.unanswered += 1

    def end(self) -> None:
        """End it as systemd does."""
        self._process.terminate()
        self.restarts += self._process.wait(60) != 0


def _has_result(place: Path, name: str) -> bool:
    return (place / f"{name}{RESULT}").exists()


def _held(process: subprocess.Popen[bytes]) -> tuple[int, int, int]:
    there = Path(f"/proc/{process.pid}")
    return (
        len(list((there / "fd").iterdir())),
        (there / "maps").read_text().count("memfd:frames"),
        len(children_of(process)),
    )


def judge_in_box(count: int, seed: int = 7, skip: int = 0) -> Box:
    """Judge a corpus in the daemon, and print from time to time what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        valid = valid_files(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        box = Box(Path(folder), Tally())
        box.start()
        files = islice(corpus(valid, count, seed), skip, None)
        for number, together in enumerate(_folders(files)):
            box.judge(together, number)
            sys.stdout.write(f"{said(box)}\n")
            sys.stdout.flush()
        box.end()
        # A spare process may or may not be there: the first folder is no measure of it.
        if len(box.held) > 2:
            before = map(max, box.held[0], box.held[1])
            after = map(min, box.held[-2], box.held[-1])
            box.tally.leaks = sum(now > then for then, now in zip(before, after, strict=True))
    return box


def _folders(files: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    while together := list(islice(files, AT_ONCE)):
        yield together


def said(box: Box) -> str:
    """What came of it so far, in a line."""
    ends = f"{box.restarts} restarts, {box.unanswered} unanswered"
    return f"{box.tally.files:,} files: {box.tally}; {box.tally.leaks} leaks, {ends}"
