"""Ten thousand tiny clips at once: by the real daemon from its inbox or a stick, or as a scan.

    PYTHONPATH=tests:. python -m hostile.many [--count 10000] [--judged 9900] [--stick | --scan]

Prints, every so many clips, what the program took of memory and of the processor, how large the
state is that a page gets meanwhile, and at last what the report and the history have. Decoder
processes are forked. With `--judged`, the history (and the inbox) are as if the daemon had been
killed after so many.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from bundles import write_bundle
from clips import write_clip
from hostile.box import REPORT, RESULT, Life
from hostile.forked import ForkedDaemon, forks
from redpale import PALE, RED, photograph, tinted

from edge.history.database import FILE
from edge.history.writer import History
from edge.scan.scanner import Scanner, ScanResult
from edge.settings import Settings

SIDE = 96
FACES, VIDEOS = 20, 100
"""Every so many clips one is a face, or a video."""


def write_many(folder: Path, count: int) -> None:
    """Write so many clips, no two of which are alike."""
    folder.mkdir()
    faces = [cv2.resize(tinted(photograph("obama"), tint), (160, 200)) for tint in (RED, PALE)]
    grey = np.full((SIDE, SIDE, 3), 110, np.uint8)
    video = write_clip(folder / "video.mp4", 4).read_bytes()
    (folder / "video.mp4").unlink()
    for number in range(count):
        if number % VIDEOS == 1:
            (folder / f"{number:05}.mp4").write_bytes(video)
            continue
        picture = grey.copy() if number % FACES else faces[number // FACES % 2].copy()
        picture[:8, :8] = (number % 256, number // 256, 0)
        cv2.imwrite(str(folder / f"{number:05}.jpg"), picture[:, :, ::-1])


def used(process: int) -> str:
    """Memory and processor time of a process, and of the children that it has waited for."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    seconds = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15]]
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    memory = {line.split()[0]: int(line.split()[1]) // 1024 for line in status if "Vm" in line[:3]}
    return (
        f"{memory['VmRSS:']} MB, at most {memory['VmHWM:']}; "
        f"processor {sum(seconds[:2]):.0f} s, its children {sum(seconds[2:]):.0f} s"
    )


def watch(
    process: int,
    judged: Callable[[], int],
    is_over: Callable[[], bool],
    every: int,
    more: Callable[[], str] | None = None,
) -> None:
    """Print what the process took, every so many clips, until it is over."""
    start, following = time.monotonic(), every
    while not is_over():
        time.sleep(2.0)
        if (number := judged()) >= following:
            following = number - number % every + every
            rest = f"; {more()}" if more else ""
            say(f"{number} after {time.monotonic() - start:.0f} s: {used(process)}{rest}")
    say(f"over after {time.monotonic() - start:.0f} s")


def say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass
class Place:
    """Where the daemon finds the clips: its inbox, or a stick that root has mounted."""

    life: Life
    stick: bool

    def __post_init__(self) -> None:
        run = self.life.apart / "run"
        self.sticks, self.box = run / "sticks", run / "reports" / "sda1"
        self.socket = run / "web" / "box.sock"
        for folder in (self.sticks, self.box.parent, self.socket.parent):
            folder.mkdir(parents=True)
        self.clips = self.sticks / "sda1" if self.stick else self.life.inbox / "many"
        self.report = (self.box if self.stick else self.life.inbox) / REPORT

    def fill(self, made: Path) -> None:
        """Put the clips there."""
        made.rename(self.clips)

    def plug(self) -> None:
        """Say that there is a stick, as root does."""
        facts = {"name": "MANY", "device": "/dev/sda1", "filesystem": "vfat", "plugged": 1}
        part = self.sticks / "sda1.part"
        part.write_text(json.dumps(facts | {"error": None, "remedy": None}))
        part.rename(self.sticks / "sda1.json")

    def judged(self) -> int:
        """How many findings the history has."""
        if not (self.life.store / FILE).exists():
            return 0
        with closing(self.life.history()) as database, suppress(sqlite3.OperationalError):
            return int(database.execute("SELECT count(*) FROM entries").fetchone()[0])
        return 0

    def is_reported(self) -> bool:
        """Whether the report is there; one for a stick is then taken, as root does."""
        if not (self.box / "ready" if self.stick else self.report).exists():
            return False
        if self.stick:
            shutil.copy(self.report, self.sticks)
            self.report = self.sticks / REPORT
            (self.box / "result").write_text("written\nThe report is on the stick.")
        return True

    def state(self) -> str:
        """How large the state is that a page gets, and how long it takes to come."""
        start = time.monotonic()
        with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
            asking.connect(str(self.socket))
            asking.sendall(b'{"ask": "state", "about": {}}\n')
            with asking.makefile("rb") as lines:
                size = len(lines.readline())
            return f"state of {size} bytes after {time.monotonic() - start:.2f} s"
        return "no state"

    def pretend(self, bundle: Path, clips: list[Path]) -> None:
        """Give these clips findings, in the history and beside them; of each kind one is judged."""
        scanner = Scanner(Settings().changed("this attack", {"model.bundle": str(bundle)}))
        kinds: dict[int, ScanResult] = {}
        with scanner, History(self.life.store, 10_000, 1000) as history:
            scanner.wait()
            where = ("stick", "MANY") if self.stick else ("inbox", "Inbox")
            visit = history.open_visit(*where)
            for clip in clips:
                status = clip.stat()
                if status.st_size // 500 not in kinds:
                    kinds[status.st_size // 500] = scanner.scan_with_pictures(clip)
                result = kinds[status.st_size // 500]
                own = {
                    "path": str(clip),
                    "sha256": hashlib.sha256(clip.read_bytes()).hexdigest(),
                    "size": status.st_size,
                    "modified_ns": status.st_mtime_ns,
                }
                finding = result.finding.model_copy(update=own)
                history.add(visit, finding, result.portraits)
                if not self.stick:
                    clip.with_name(clip.name + RESULT).write_text(finding.model_dump_json())
        say(f"{len(clips)} were judged before, {len(kinds)} kinds of them")


def through_daemon(folder: Path, count: int, every: int, before: int, stick: bool) -> None:
    """Have the daemon find them, and wait for the report."""
    write_many(folder / "many", count)
    with forks() as where:
        bundle = write_bundle(folder / "red")
        life = Life(folder / "disk", folder / "apart", [], bundle, forks=where)
        place = Place(life, stick)
        if before:
            place.fill(folder / "many")
            place.pretend(bundle, sorted(place.clips.iterdir())[:before])
        process = life.start()
        if not before:
            place.fill(folder / "many")
        if stick:
            place.plug()
        is_over = lambda: process.poll() is not None or place.is_reported()  # noqa: E731
        watch(process.pid, place.judged, is_over, every, place.state)
        say(f"{used(process.pid)}; {place.state()}")
        process.terminate()
        say(f"ended with {process.wait(60)}")
    named = place.report.read_text()
    kept = life.names("SELECT finding FROM entries")
    results = sum(path.name.endswith(RESULT) for path in place.clips.iterdir())
    say(f"{results} results, {len(kept)} clips in the history ({kept.total()} findings)")
    say(f"report of {len(named) / 1e6:.1f} MB, {named.count('.jpg') + named.count('.mp4')} names")
    say(life.log_text()[-1000:])


def by_scan(folder: Path, count: int, every: int) -> None:
    """Name their folder to `truelight scan`."""
    write_many(folder / "many", count)
    bundle, output = write_bundle(folder / "red"), folder / "output"
    with forks() as where:
        run = ("scan", "--json", "--bundle", bundle, folder / "many")
        process = ForkedDaemon(where, run, output, os.environ, {})

        def judged() -> int:
            return output.read_bytes().count(b'{"schema_version"')

        watch(process.pid, judged, lambda: process.poll() is not None, every)
        say(f"ended with {process.wait(60)}")
    say(f"{judged()} findings in {output.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    """Judge them, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=1000)
    parser.add_argument("--judged", type=int, default=0, help="so many were judged before")
    parser.add_argument("--stick", action="store_true", help="from a stick")
    parser.add_argument("--scan", action="store_true", help="by `truelight scan`")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if chosen.scan:
            by_scan(Path(name), chosen.count, chosen.every)
        else:
            more = (chosen.judged, chosen.stick)
            through_daemon(Path(name), chosen.count, chosen.every, *more)


if __name__ == "__main__":
    main()
