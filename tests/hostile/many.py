"""Ten thousand tiny clips at once: through the inbox of the real daemon, or by `truelight scan`.

    PYTHONPATH=tests:. python -m hostile.many [--count 10000] [--judged 9900] [--scan]

Prints, every so many clips, what the program took of memory and of the processor, and at last what
the report and the history have. Decoder processes are forked. With `--judged`, the inbox and the
history are as if the daemon had been killed after so many.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from bundles import write_bundle
from clips import write_clip
from frontdoor import ROOT, command
from hostile.box import REPORT, RESULT, Life
from hostile.forked import forks
from redpale import PALE, RED, photograph, tinted

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


def watch(process: int, judged: Callable[[], int], is_over: Callable[[], bool], every: int) -> None:
    """Print what the process took, every so many clips, until it is over."""
    start, following = time.monotonic(), every
    while not is_over():
        time.sleep(2.0)
        if (number := judged()) >= following:
            following = number - number % every + every
            say(f"{number} after {time.monotonic() - start:.0f} s: {used(process)}")
    say(f"over after {time.monotonic() - start:.0f} s")


def say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def pretend(life: Life, bundle: Path, clips: list[Path]) -> None:
    """Give these clips findings, in the history and beside them: of each kind one is judged."""
    scanner = Scanner(Settings().changed("this attack", {"model.bundle": str(bundle)}))
    kinds: dict[int, ScanResult] = {}
    with scanner, History(life.store, 10_000, 1000) as history:
        scanner.wait()
        visit = history.open_visit("inbox", "Inbox")
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
            clip.with_name(clip.name + RESULT).write_text(finding.model_dump_json(indent=2))
    say(f"{len(clips)} were judged before, {len(kinds)} kinds of them")


def through_inbox(folder: Path, count: int, every: int, judged_before: int) -> None:
    """Drop them into the inbox of the daemon, and wait for the report."""
    write_many(folder / "many", count)
    with forks() as where:
        bundle = write_bundle(folder / "red")
        life = Life(folder / "disk", folder / "apart", [], bundle, forks=where)
        if judged_before:
            (folder / "many").rename(life.inbox / "many")
            pretend(life, bundle, sorted((life.inbox / "many").iterdir())[:judged_before])
        process = life.start()
        if not judged_before:
            (folder / "many").rename(life.inbox / "many")
        report = life.inbox / REPORT

        def judged() -> int:
            return sum(path.name.endswith(RESULT) for path in (life.inbox / "many").iterdir())

        def is_over() -> bool:
            return process.poll() is not None or report.exists()

        watch(process.pid, judged, is_over, every)
        say(used(process.pid))
        process.terminate()
        say(f"ended with {process.wait(60)}")
    named = report.read_text()
    kept = life.names("SELECT finding FROM entries")
    say(f"{judged()} results, {len(kept)} clips in the history ({kept.total()} findings)")
    say(f"report of {len(named) / 1e6:.1f} MB, {named.count('.jpg') + named.count('.mp4')} names")
    say(life.log_text()[-1000:])
    shutil.copy(report, folder.parent / "many.html")


def by_scan(folder: Path, count: int, every: int) -> None:
    """Name their folder to `truelight scan`."""
    write_many(folder / "many", count)
    bundle = write_bundle(folder / "red")
    output = folder / "output"
    with output.open("wb") as lines:
        run = command("scan", "--json", "--bundle", bundle, folder / "many")
        process = subprocess.Popen(run, cwd=ROOT, stdout=lines)

    def judged() -> int:
        return output.read_bytes().count(b"\n")

    watch(process.pid, judged, lambda: process.poll() is not None, every)
    say(f"{judged()} findings, ended with {process.wait(60)}")


def main() -> None:
    """Judge them, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=1000)
    parser.add_argument("--judged", type=int, default=0, help="so many were judged before")
    parser.add_argument("--scan", action="store_true", help="by `truelight scan`")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if chosen.scan:
            by_scan(Path(name), chosen.count, chosen.every)
        else:
            through_inbox(Path(name), chosen.count, chosen.every, chosen.judged)


if __name__ == "__main__":
    main()
