"""Attacks the program in every way, and prints the table of `docs/threat-model.md`.

    PYTHONPATH=tests:. python -m hostile.figures [--folder FOLDER] [--files 20000 --kills 1000]

This takes hours. With a folder it goes on where it was stopped, and so does each part, which has a
command of its own; several may work at once. `--table` prints what was done so far. Cuts of the
power and disks need root and the packages of the `fuzz` group.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from frontdoor import ROOT
from hostile import bundles, corpus, corpus_box, costs, disks, kills, liars, power, renames
from hostile.box import Ends
from hostile.corpus import Tally
from hostile.corpus_box import Came
from hostile.costs import Cost
from hostile.disks import SITUATIONS
from hostile.kept import add_folder, do, done, folder_of
from hostile.liars import Answer

sys.path.insert(0, str(ROOT / "tests" / "scan"))
from takeover import ATTEMPTS, SUCCESS  # (beside the tests that make each attempt)
from test_sandbox import confined

HEAD = ("| what | tried | result |", "| --- | --- | --- |")
TAKEOVER = "takeover"


def files_row(tally: Tally) -> str:
    """Of bad files."""
    return f"| bad files, `hostile.corpus` | {tally.files:,} | {tally}; {tally.leaks} leaks |"


def box_row(came: Came) -> str:
    """Of bad files in the daemon."""
    what = "the same in the daemon, `hostile.corpus --daemon`"
    return f"| {what} | {came.tally.files:,} | {str(came).partition(': ')[2]} |"


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
    return f"| files swapped while judged, `hostile.renames` | {tried} | {renames.said(found)} |"


def situation(name: str) -> str:
    """What a row of `hostile.disks` is called."""
    return f"{name}, `hostile.disks`"


def life_row(what: str, ends: Ends) -> str:
    """Of ends of the daemon."""
    return f"| {what} | {ends.count:,} | {ends} |"


def takeover_row(refused: Sequence[bool]) -> str:
    """Of what a decoder that was taken over tries."""
    what = "attempts of a decoder that was taken over"
    return f"| {what} | {len(refused)} | {sum(refused)} refused |"


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


def refused(name: str) -> bool:
    """Whether an attempt is refused, and leaves nothing."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        victim = Path(folder, "victim")
        victim.write_bytes(b"untouched")
        with victim.open("rb") as clip:
            port = server.getsockname()[1]
            done = confined(ATTEMPTS[name], victim, port, clip=clip.fileno())
        return SUCCESS not in done.stdout and victim.read_bytes() == b"untouched"


def rows(folder: Path) -> Iterator[str]:
    """The table of what was done so far."""
    yield from HEAD
    yield files_row(corpus.total(folder))
    yield box_row(corpus_box.total(folder))
    yield liars_row(done(folder, liars.PART, liars.Answer))
    yield renames_row(renames.total(folder))
    yield life_row("kills of the daemon, `hostile.kills`", kills.total(folder, kills.PART))
    for name in SITUATIONS:
        for ends in done(folder, disks.PART, Ends, [name]):
            yield life_row(situation(name), ends)
    yield life_row("power cuts, `hostile.power`", power.total(folder))
    yield takeover_row(done(folder, TAKEOVER, bool))
    yield bundles.row(done(folder, bundles.PART, bundles.Answer))
    yield from map(cost_row, done(folder, costs.PART, costs.Cost, costs.EXPENSIVE))


def main() -> None:
    """Do what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--table", action="store_true", help="print what was done, do nothing")
    add_folder(parser)
    chosen = parser.parse_args()
    with folder_of(chosen) as folder:
        if not chosen.table:
            for part in parts(chosen):
                run = [sys.executable, "-m", *part, "--folder", str(folder)]
                subprocess.run(run, check=False)
            do(folder, TAKEOVER, ATTEMPTS, bool, refused)
        for row in rows(folder):
            sys.stdout.write(f"{row}\n")


def parts(chosen: argparse.Namespace) -> list[list[str]]:
    """The commands of the parts, but for their folder."""
    files, ends = str(chosen.files), str(chosen.kills)
    commands = [
        ["hostile.corpus", "--forked", "--count", files],
        ["hostile.corpus", "--forked", "--daemon", "--count", files],
        ["hostile.liars"],
        ["hostile.bundles"],
        ["hostile.renames", "--count", str(chosen.swaps)],
        ["hostile.kills", "--count", ends],
    ]
    if os.getuid() == 0 and find_spec("mfusepy") is not None:
        commands += [["hostile.disks"], ["hostile.power", "--count", str(chosen.cuts)]]
    return [*commands, ["hostile.costs"]]


if __name__ == "__main__":
    main()
