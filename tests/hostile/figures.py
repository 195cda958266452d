"""Attacks the program in every way, and prints the table of `docs/threat-model.md`.

    PYTHONPATH=tests:. python -m hostile.figures [--files 20000 --kills 1000 --cuts 1000]

This takes hours; each part has a command of its own as well. Cuts of the power and disks need root
and the packages of the `fuzz` group.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from bundles import write_bundle
from frontdoor import ROOT
from hostile.box import Life
from hostile.corpus import Tally, judge
from hostile.corpus_box import Box, judge_in_box, said
from hostile.costs import EXPENSIVE, Cost, costs
from hostile.disks import SITUATIONS, tried
from hostile.kills import kills
from hostile.liars import QUICK, SLOW, Answer, answers
from hostile.losing_disk import LosingDisk
from hostile.power import cuts, loses
from hostile.renames import renames
from hostile.renames import said as renames_said
from redpale import write_clips

sys.path.insert(0, str(ROOT / "tests" / "scan"))
from takeover import ATTEMPTS, SUCCESS  # (beside the tests that make each attempt)
from test_sandbox import confined

HEAD = ("| what | tried | result |", "| --- | --- | --- |")
SEED = 5
LONGEST_SECONDS = 6.0


def files_row(tally: Tally) -> str:
    """Of bad files."""
    return f"| bad files, `hostile.corpus` | {tally.files:,} | {tally}; {tally.leaks} leaks |"


def box_row(box: Box) -> str:
    """Of bad files in the daemon."""
    what = "the same in the daemon, `hostile.corpus --daemon`"
    return f"| {what} | {box.tally.files:,} | {said(box).partition(': ')[2]} |"


def liars_row(answers: Sequence[Answer]) -> str:
    """Of decoder processes that lie."""
    right = sum(answer.is_right for answer in answers)
    slowest = max((answer.seconds for answer in answers), default=0.0)
    left = sum(bool(answer.left) for answer in answers)
    result = f"{right} answered as they should, {left} left anything; slowest {slowest:.1f} s"
    return f"| decoder processes that lie, `hostile.liars` | {len(answers)} | {result} |"


def renames_row(found: Counter[str]) -> str:
    """Of files that are swapped."""
    tried = found.total()
    return f"| files swapped while judged, `hostile.renames` | {tried} | {renames_said(found)} |"


def situation(name: str) -> str:
    """What a row of `hostile.disks` is called."""
    return f"{name}, `hostile.disks`"


def life_row(what: str, count: int, shown: int, damage: object) -> str:
    """Of ends of the daemon."""
    return f"| {what} | {count:,} | {shown:,} findings shown: {damage} |"


def takeover_row(refused: int) -> str:
    """Of what a decoder that was taken over tries."""
    return f"| attempts of a decoder that was taken over | {len(ATTEMPTS)} | {refused} refused |"


def cost_row(cost: Cost) -> str:
    """Of a clip that costs as much as it can."""
    result = f"{cost.verdict}; {cost.wall:.1f} s, processor {cost.decoder + cost.program:.1f} s"
    return f"| `{cost.name}`, `hostile.costs` | 1 | {result} |"


def shape(row: str) -> str:
    """A row without its figures and verdicts."""
    row = re.sub(r"\d[\d,.]*", "0", row.replace("`", ""))
    row = re.sub(r"\b(REAL|FAKE|UNSURE|NO_FACE|UNREADABLE), [a-z-]+", "VERDICT", row)
    row = re.sub(r"0 (REAL|FAKE|UNSURE|NO_FACE|UNREADABLE|not media|program failed), |", "", row)
    return re.sub(r"\(\S+\)", "(file)", row)


def takeover() -> int:
    """How many attempts are refused."""
    refused = 0
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        for attempt in ATTEMPTS.values():
            victim = Path(folder, "victim")
            victim.write_bytes(b"untouched")
            with victim.open("rb") as clip:
                port = server.getsockname()[1]
                done = confined(attempt, victim, port, clip=clip.fileno())
            refused += SUCCESS not in done.stdout and victim.read_bytes() == b"untouched"
    return refused


def rows(files: int, ends: int, power: int, swaps: int) -> Iterator[str]:
    """The table, row by row, as it is measured."""
    yield from HEAD
    yield files_row(judge(files))
    yield box_row(judge_in_box(files))
    yield liars_row(list(answers({**QUICK, **SLOW})))
    yield renames_row(renames(swaps))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = sorted(write_clips(folder).iterdir())
        bundle = write_bundle(folder / "red")
        life = Life(folder / "disk", folder / "kills", clips, bundle)
        kills(life, ends, SEED, LONGEST_SECONDS)
        what = "kills of the daemon, `hostile.kills`"
        yield life_row(what, ends, sum(life.said.values()), life.damage)
        has_disks = os.getuid() == 0 and find_spec("mfusepy") is not None
        for number, each in enumerate(SITUATIONS if has_disks else ()):
            place = folder / f"situation-{number}"
            place.mkdir()
            yield life_row(situation(each), *tried(each, place, clips, bundle))
        if power and has_disks:
            with closing(LosingDisk(folder)) as disk:
                loses(disk)
                life = Life(disk.place, folder / "cuts", clips, bundle)
                cuts(life, disk, power, SEED, LONGEST_SECONDS)
            what = "power cuts, `hostile.power`"
            yield life_row(what, power, sum(life.said.values()), life.damage)
    yield takeover_row(takeover())
    yield from map(cost_row, costs(list(EXPENSIVE)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--swaps", type=int, default=200)
    chosen = parser.parse_args()
    for row in rows(chosen.files, chosen.kills, chosen.cuts, chosen.swaps):
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
