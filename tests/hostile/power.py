"""Cuts the power of the real daemon's disk at random moments: nothing that was shown may be lost.

    sudo PYTHONPATH=tests:. python -m hostile.power --count 1000 [--seed 5] [--longest 6]

The disk loses what was not synced (`losing_disk.py`); each start is another boot of the machine.
For root, with the packages of the `fuzz` group.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from bundles import write_bundle
from hostile.box import Life, children_of, kill, outlived, run_for_a_while
from hostile.kills import TELL_EVERY, chosen_ends, finish
from hostile.losing_disk import LosingDisk
from redpale import write_clips


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


def cuts(life: Life, disk: LosingDisk, count: int, seed: int, longest: float) -> int:
    """Start the daemon and cut the power, so many times; the sectors that were not flushed."""
    chance, sectors = random.Random(seed), 0
    for number in range(1, count + 1):
        process = life.start(boot=f"{number:08}-0000-4000-8000-000000000000")
        run_for_a_while(life, process, chance, longest, number)
        life.damage.failed += process.poll() is not None
        # Nothing may be shown between the cut and the end.
        os.kill(process.pid, signal.SIGSTOP)
        _wait_until_stopped(process.pid)
        sectors += disk.cut(chance.randrange(1 << 30))
        life.damage.left += outlived([*children_of(process), *kill(process)])
        disk.revive()
        life.listen()
        life.look()
        if life.is_over():
            life.rounds += 1
            life.fill()
        if number % TELL_EVERY == 0:
            disk.check()
            shown = sum(life.said.values())
            sys.stdout.write(
                f"{number} cuts, {sectors} sectors not flushed, {shown} shown, "
                f"{life.rounds} rounds: {life.damage}\n"
            )
            sys.stdout.flush()
    finish(life)
    return sectors


def _wait_until_stopped(process: int) -> None:
    """Until no thread of it runs: those that wait for the disk stop when they have it."""
    tasks = Path(f"/proc/{process}/task")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        states = [
            (task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()
        ]
        if all(state in "TtDZX" for state in states):
            return


def main() -> None:
    """Cut it, and print what came of it."""
    chosen = chosen_ends(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clips").mkdir()
        clips = sorted(write_clips(folder / "clips").iterdir())
        with closing(LosingDisk(folder)) as disk:
            loses(disk)
            life = Life(disk.place, folder / "apart", clips, write_bundle(folder / "red"))
            sectors = cuts(life, disk, chosen.count, chosen.seed, chosen.longest)
        shown = sum(life.said.values())
        sys.stdout.write(
            f"{chosen.count} cuts, {sectors} sectors not flushed, {shown} findings shown: "
            f"{life.damage}\n"
        )


if __name__ == "__main__":
    main()
