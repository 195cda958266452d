"""Disks that are full, fail or cannot be written, and a wrong clock: the box goes on.

    sudo PYTHONPATH=tests:. python -m hostile.disks [SITUATION...] [--folder FOLDER]

In each situation the real daemon judges an inbox and shows every clip. When the disk is well again,
the history has what was shown, and each clip its result. For root; failing disks need the packages
of the `fuzz` group.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hostile.box import Daemon, Ends, Life, wait_for
from hostile.kept import add_folder, do, folder_of
from hostile.kills import clips_and_bundle, finish
from hostile.losing_disk import LosingDisk

PART = "disks"
ROOMS = (0, 4, 12, 28, 60, 124, 252, 508)
"""kB that are free on the disk."""
YEARS = (-56, 14, 0)
"""How wrong the clock is, start by start."""
_YEAR = 365 * 24 * 3600


@contextmanager
def small_disk(place: Path, megabytes: int = 24) -> Iterator[Path]:
    """A file system of its own, in memory. For root."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def remount(place: Path, how: str) -> None:
    """Mount it again, `ro` or `rw`. For root."""
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


def hear(life: Life, process: Daemon, count: int) -> None:
    """Until this run has shown so many findings."""
    wait_for(process, lambda: life.heard() >= count)


def stop(life: Life, process: Daemon) -> None:
    """End the daemon as systemd does; that it had ended by itself is a failure."""
    life.damage.failed += process.poll() is not None
    process.terminate()
    process.wait(60)


def judge_all(life: Life, meanwhile: Callable[[], object]) -> None:
    """Have all clips shown; then, after `meanwhile`, one more; end the daemon as systemd does."""
    process = life.start()
    hear(life, process, len(life.clips))
    life.damage.failed += process.poll() is not None
    meanwhile()
    more = life.inbox / f"{life.rounds:04}-more.jpg"
    shutil.copyfile(life.clips[0], more.with_suffix(".part"))
    more.with_suffix(".part").rename(more)
    life.clips = [*life.clips, more]
    hear(life, process, len(life.clips))
    stop(life, process)
    life.listen(life.log_text())
    finish(life)


def full(folder: Path, clips: list[Path], bundle: Path) -> Iterator[Life]:
    """The disk has room for so many kB, and later for everything."""
    for room in ROOMS:
        with small_disk(folder / f"full-{room}") as disk:
            life = Life(disk, folder / f"apart-{room}", clips, bundle)
            with (disk / "filler").open("wb") as filler:
                free = os.statvfs(disk)
                filler.write(bytes(free.f_bavail * free.f_frsize - room * 1024))
            judge_all(life, (disk / "filler").unlink)
            yield life


def read_only(folder: Path, clips: list[Path], bundle: Path) -> Iterator[Life]:
    """The disk is mounted read-only at the start, and can be written later."""
    with small_disk(folder / "read-only") as disk:
        life = Life(disk, folder / "apart-read-only", clips, bundle)
        remount(disk, "ro")
        judge_all(life, lambda: remount(disk, "rw"))
        yield life


def failing(folder: Path, clips: list[Path], bundle: Path) -> Iterator[Life]:
    """Every write ends with EIO once so many clips were judged; after a restart it is well.

    What was shown before is kept. What is shown afterwards is judged again.
    """
    for after in range(len(clips)):
        place = folder / f"failing-{after}"
        place.mkdir()
        with closing(LosingDisk(place)) as disk:
            life = Life(disk.place, place / "apart", clips, bundle)
            process = life.start()
            hear(life, process, after)
            life.listen(life.log_text())
            disk.fail()
            hear(life, process, len(life.clips))
            stop(life, process)
            disk.revive()
            finish(life)
            disk.check()
            yield life


def wrong_clock(folder: Path, clips: list[Path], bundle: Path) -> Iterator[Life]:
    """The clock stands in 1970, then in 2040, then it is right: nothing is deleted for its age."""
    shim = folder / "wrong_clock.so"
    source = Path(__file__).with_suffix("").with_name("wrong_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, source], check=True)
    life = Life(folder / "clock", folder / "apart-clock", clips, bundle)
    for years in YEARS:
        life.environment = {"LD_PRELOAD": str(shim), "CLOCK_OFFSET": str(years * _YEAR)}
        finish(life)
        life.rounds += 1
        life.fill()
    life.rounds -= 1
    yield life


SITUATIONS: dict[str, Callable[[Path, list[Path], Path], Iterator[Life]]] = {
    "full disk": full,
    "disk that is read-only": read_only,
    "disk that fails": failing,
    "wrong clock": wrong_clock,
}


def tried(name: str, folder: Path, clips: list[Path], bundle: Path, most: int = 1000) -> Ends:
    """What came of a situation."""
    found = Ends()
    for life in SITUATIONS[name](folder, clips, bundle):
        found += Ends(1, sum(life.said.values()), life.damage)
        if found.count == most:
            break
    return found


def main() -> None:
    """Try them, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *SITUATIONS])
    add_folder(parser)
    chosen = parser.parse_args()
    with clips_and_bundle() as (clips, bundle), folder_of(chosen) as keep:

        def step(name: str) -> Ends:
            with tempfile.TemporaryDirectory() as folder:
                return tried(name, Path(folder), clips, bundle)

        do(keep, PART, chosen.names or SITUATIONS, Ends, step)


if __name__ == "__main__":
    main()
