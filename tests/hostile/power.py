"""Cuts the power of the real daemon's disk at random moments: nothing that was shown may be lost.

    sudo PYTHONPATH=tests:. python -m hostile.power --count 1000 [--folder FOLDER] [--longest 6]

The disk loses what was not synced (`losing_disk.py`); each start is another boot of the machine.
For root, with the packages of the `fuzz` group.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hostile.box import Ends, Life, run_for_a_while
from hostile.forked import forks
from hostile.kept import do, done, folder_of, numbers
from hostile.kills import AT_ONCE, chosen_ends, clips_and_bundle, finish
from hostile.losing_disk import LosingDisk

PART = "cuts"


@dataclass
class Cuts(Ends):
    """Ends by cuts of the power."""

    sectors: int = 0
    """Those that were written and not flushed."""


def loses(disk: LosingDisk) -> None:
    """Fails unless the disk loses what was not synced, and keeps what was."""
    for name in ("synced", "not-synced"):
        with (disk.place / name).open("wb") as file:
            file.write(b"x" * 100_000)
            if name == "synced":
                file.flush()
                os.fsync(file.fileno())
    number = os.open(disk.place, os.O_RDONLY)
    os.fsync(number)
    os.close(number)
    (disk.place / "later").write_bytes(b"x" * 100_000)
    disk.cut(seed=1)
    disk.revive()
    assert (disk.place / "synced").read_bytes() == b"x" * 100_000
    later = disk.place / "later"
    assert not later.exists() or later.read_bytes() != b"x" * 100_000, "this disk loses nothing"


def cuts(life: Life, disk: LosingDisk, count: int, seed: int, longest: float) -> Cuts:
    """Start the daemon and cut the power, so many times."""
    chance, sectors = random.Random(seed), 0
    for number in range(1, count + 1):
        process = life.start(boot=f"{number:08}-0000-4000-8000-000000000000")
        run_for_a_while(life, process, chance, longest, number)
        life.damage.failed += process.poll() is not None
        shown = life.log_text()  # and nothing that comes after the cut
        sectors += disk.cut(chance.randrange(1 << 30))
        life.damage.left += life.kill(process)
        disk.revive()
        life.listen(shown)
        life.look()
        if life.is_over():
            life.rounds += 1
            life.fill()
    disk.check()
    finish(life)
    return Cuts(count, sum(life.said.values()), life.damage, sectors)


def cut_boxes(keep: Path, count: int, longest: float) -> None:
    """Cut the power of one box after the other, and keep what came of it."""

    def step(name: str) -> Cuts:
        with tempfile.TemporaryDirectory() as place, closing(LosingDisk(Path(place))) as disk:
            loses(disk)
            with forks() as where:
                life = Life(disk.place, Path(place) / "apart", clips, bundle, forks=where)
                return cuts(life, disk, min(AT_ONCE, count - int(name)), int(name), longest)

    with clips_and_bundle() as (clips, bundle):
        do(keep, PART, numbers(count, AT_ONCE), Cuts, step)


def total(folder: Path) -> Cuts:
    """What came of all steps."""
    found = Cuts()
    for each in done(folder, PART, Cuts):
        found += each
        found.sectors += each.sectors
    return found


def main() -> None:
    """Cut it, and print what came of it."""
    chosen = chosen_ends(__doc__)
    with folder_of(chosen) as folder:
        cut_boxes(folder, chosen.count, chosen.longest)
        found = total(folder)
    sys.stdout.write(f"{found.count} cuts, {found.sectors} sectors not flushed, {found}\n")


if __name__ == "__main__":
    main()
