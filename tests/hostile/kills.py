"""Kills the real daemon at random moments: nothing that was shown may be lost.

    PYTHONPATH=tests:. python -m hostile.kills --count 1000 [--folder FOLDER] [--longest 6]

The same clips are judged again and again, under other names; each start goes on where the last one
was killed. Of three daemons one is started as people start it, the others are forked.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bundles import write_bundle
from hostile.box import Ends, Life, run_for_a_while
from hostile.forked import Forks, forks
from hostile.kept import add_folder, do, done, folder_of, numbers
from redpale import write_clips

PART = "kills"
AT_ONCE = 25
"""Ends in a step: a box of its own."""
LONGEST_SECONDS = 6.0


def kills(life: Life, count: int, seed: int, longest: float, forks: Forks | None = None) -> Ends:
    """Start the daemon and kill it, so many times; then let it end a round in peace."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        life.forks = forks if number % 3 else None
        process = life.start()
        run_for_a_while(life, process, chance, longest, number)
        if process.poll() is not None:
            life.damage.failed += 1
            sys.stdout.write(f"It ended by itself: {life.log.read_text()[-2000:]}\n")
        life.damage.left += life.kill(process)
        life.listen(life.log_text())
        if life.is_over():
            life.look()
            life.rounds += 1
            life.fill()
    finish(life)
    return Ends(count, sum(life.said.values()), life.damage)


def finish(life: Life, seconds: float = 300.0) -> None:
    """Let the daemon judge what is left, and end it as systemd does."""
    process = life.start()
    deadline = time.monotonic() + seconds
    while not life.is_over() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    life.damage.failed += not life.is_over()
    life.damage.unreported += len(life.unreported())
    process.terminate()
    process.wait(60)
    life.listen(life.log_text())
    life.look()


def kill_boxes(keep: Path, count: int, longest: float) -> None:
    """Kill the daemon of one box after the other, and keep what came of it."""
    with clips_and_bundle() as (clips, bundle), forks() as where:

        def step(name: str) -> Ends:
            with tempfile.TemporaryDirectory() as place:
                life = Life(Path(place) / "disk", Path(place) / "apart", clips, bundle)
                return kills(life, min(AT_ONCE, count - int(name)), int(name), longest, where)

        do(keep, PART, numbers(count, AT_ONCE), Ends, step)


@contextmanager
def clips_and_bundle() -> Iterator[tuple[list[Path], Path]]:
    """Clips with faces, and a bundle for them."""
    with tempfile.TemporaryDirectory() as place:
        clips = Path(place, "clips")
        clips.mkdir()
        yield sorted(write_clips(clips).iterdir()), write_bundle(Path(place) / "red")


def total(folder: Path, part: str) -> Ends:
    """What came of all steps."""
    found = Ends()
    for ends in done(folder, part, Ends):
        found += ends
    return found


def chosen_ends(description: str) -> argparse.Namespace:
    """How many ends, and when, from the command line: `count`, `folder` and `longest`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=1000)
    add_folder(parser)
    parser.add_argument("--longest", type=float, default=LONGEST_SECONDS, help="seconds of work")
    return parser.parse_args()


def main() -> None:
    """Kill it, and print what came of it."""
    chosen = chosen_ends(__doc__)
    with folder_of(chosen) as folder:
        kill_boxes(folder, chosen.count, chosen.longest)
        found = total(folder, PART)
    sys.stdout.write(f"{found.count} kills, {found}\n")


if __name__ == "__main__":
    main()
