"""Kills the real daemon at random moments: nothing that was shown may be lost.

    PYTHONPATH=tests:. python -m hostile.kills --count 1000 [--seed 5] [--longest 6]

The same clips are judged again and again, under other names; each start goes on where the last one
was killed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from bundles import write_bundle
from hostile.box import Life, kill, outlived, run_for_a_while
from redpale import write_clips

TELL_EVERY = 25


def kills(life: Life, count: int, seed: int, longest: float) -> None:
    """Start the daemon and kill it, so many times; then let it end a round in peace."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        process = life.start()
        run_for_a_while(life, process, chance, longest, number)
        if process.poll() is not None:
            life.damage.failed += 1
            sys.stdout.write(f"It ended by itself: {life.log.read_text()[-2000:]}\n")
        life.damage.left += outlived(kill(process))
        life.listen()
        if life.is_over():
            life.look()
            life.rounds += 1
            life.fill()
        if number % TELL_EVERY == 0:
            life.look()
            shown = sum(life.said.values())
            sys.stdout.write(
                f"{number} kills, {shown} shown, {life.rounds} rounds: {life.damage}\n"
            )
            sys.stdout.flush()
    finish(life)


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
    life.listen()
    life.look()


def chosen_ends(description: str) -> argparse.Namespace:
    """How many ends, and when, from the command line: `count`, `seed` and `longest`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--longest", type=float, default=6.0, help="seconds of work, at most")
    return parser.parse_args()


def main() -> None:
    """Kill it, and print what came of it."""
    chosen = chosen_ends(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clips").mkdir()
        clips = sorted(write_clips(folder / "clips").iterdir())
        life = Life(folder / "disk", folder / "apart", clips, write_bundle(folder / "red"))
        kills(life, chosen.count, chosen.seed, chosen.longest)
        shown = sum(life.said.values())
        sys.stdout.write(f"{chosen.count} kills, {shown} findings shown: {life.damage}\n")


if __name__ == "__main__":
    main()
