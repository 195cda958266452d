"""Model bundles that a stranger made to harm who uses them: each by `truelight scan --bundle`.

    PYTHONPATH=tests:. python -m hostile.bundles [--count 200] [--folder FOLDER] [KIND...]

Every one is refused with one sentence, costs the clip one, or judges it; none keeps the program
busy for long, fills its memory, shows another file, or leaves a process. The same number is the
same bundle.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import bundles
import cv2
from frontdoor import ROOT, command
from hostile.box import children_of, outlived
from hostile.bundle_arrays import ARRAYS
from hostile.bundle_files import FILE_KINDS, MANIFESTS, SECRET, Kind
from hostile.bundle_graphs import GRAPHS
from hostile.kept import add_folder, do, done, folder_of
from redpale import RED, photograph, tinted

PART = "bundles"
KINDS: dict[str, Kind] = MANIFESTS | FILE_KINDS | GRAPHS | ARRAYS
SEED = 7
MOST_SECONDS = 120.0
"""To load (45 s), for two batches (20 s each), and to start and end on a busy machine."""
MOST_MEGABYTES = 1000
"""Of the program, not of the model's process, which may take 4 GB."""
MOST_WORDS = 2500
REFUSED = 2
"""The exit status of `truelight` that says why."""
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Answer:
    """What came of a bundle."""

    name: str
    came: str
    """A verdict, or `refused`."""
    text: str
    seconds: float
    megabytes: int
    """That the program took at most."""
    wrong: str
    """What must not happen; empty if nothing did."""

    def __str__(self) -> str:
        note = f", WRONG: {self.wrong}" if self.wrong else ""
        took = f"{self.seconds:.1f} s, {self.megabytes} MB{note}"
        return f"{self.name}: {self.came} after {took}: {self.text}"


def write(folder: Path, number: int, seed: int = SEED) -> tuple[str, Path]:
    """Write the bundle of this number into an empty folder: its kind, and where it is."""
    name = list(KINDS)[number % len(KINDS)]
    (folder / "secret.bin").write_text(SECRET)
    bundle = bundles.write_bundle(folder / "evil")
    KINDS[name](bundle, random.Random(f"{seed} {number}"))
    return name, bundle


def write_face(file: Path) -> Path:
    """A picture of a red face, which the valid bundle calls FAKE."""
    cv2.imwrite(str(file), tinted(photograph("obama"), RED)[:, :, ::-1])
    return file


def answer(number: int) -> Answer:
    """Have a clip judged by the bundle of this number."""
    with tempfile.TemporaryDirectory() as name, adopting():
        folder = Path(name)
        face = write_face(folder / "face.jpg")
        kind, bundle = write(folder, number)
        return used(kind, bundle, face)


def used(kind: str, bundle: Path, clip: Path) -> Answer:
    """What `truelight scan` says by this bundle."""
    before, start = children_of(os.getpid()), time.monotonic()
    output, errors = bundle.with_name("output"), bundle.with_name("errors")
    with output.open("wb") as out, errors.open("wb") as err:
        run = command("scan", "--json", "--bundle", bundle, clip)
        process = subprocess.Popen(run, cwd=ROOT, stdout=out, stderr=err)
        megabytes = most_memory(process, start + MOST_SECONDS)
        status = process.wait()
    seconds, wrong = time.monotonic() - start, []
    left = outlived([child for child in children_of(os.getpid()) if child not in before])
    lines, said = output.read_text().splitlines(), errors.read_text(errors="backslashreplace")
    came, text = understood(status, lines, said)
    if not came:
        wrong.append(f"status {status}")
    if not text.isprintable() or len(text) > MOST_WORDS or "Traceback" in said:
        wrong.append("not one sentence")
    if SECRET in said + "".join(lines) or "root:" in said:
        wrong.append("another file was shown")
    if seconds > MOST_SECONDS:
        wrong.append("too long")
    if megabytes > MOST_MEGABYTES:
        wrong.append("too much memory")
    if left:
        wrong.append(f"{left} processes left")
    shown = text.replace(f"{bundle.parent}/", "")[:300]
    return Answer(kind, came, shown, seconds, megabytes, ", ".join(wrong))


def most_memory(process: subprocess.Popen[bytes], deadline: float) -> int:
    """The most MB that this process took until it ended; killed when its time is over."""
    most = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        most = max([most, *(int(line.split()[1]) for line in status if "VmHWM:" in line)])
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.05)
    return most // 1024


def understood(status: int, lines: Sequence[str], said: str) -> tuple[str, str]:
    """What came of it, if it is something that may come, and the sentence or reason."""
    errors = said.splitlines()
    if status == REFUSED and not lines and len(errors) == 2:
        return "refused", errors[0].removeprefix("truelight: ")
    if status in (0, 1) and len(lines) == 1 and not errors:
        finding = json.loads(lines[0])
        if finding["model"]["shipped"] is False:
            return finding["verdict"], finding["reasons"][0]["text"]
    return "", " ".join(errors[-3:])


@contextmanager
def adopting() -> Iterator[None]:
    """Within this, processes whose parent has ended become children of this one; then they end."""
    libc = ctypes.CDLL(None)
    before = children_of(os.getpid())
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for child in set(children_of(os.getpid())).difference(before):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def row(answers: Sequence[Answer]) -> str:
    """The row of the table of figures."""
    judged = sum(each.came not in ("refused", "UNREADABLE", "") for each in answers)
    refused = sum(each.came == "refused" for each in answers)
    cost = sum(each.came == "UNREADABLE" for each in answers)
    wrong = sum(bool(each.wrong) for each in answers)
    slowest = max((each.seconds for each in answers), default=0.0)
    largest = max((each.megabytes for each in answers), default=0)
    result = (
        f"{refused} refused in a sentence, {cost} cost the clip, {judged} judged, {wrong} wrong; "
        f"slowest {slowest:.1f} s, program at most {largest} MB"
    )
    what = f"bundles of {len(KINDS)} kinds, `hostile.bundles`"
    return f"| {what} | {len(answers)} | {result} |"


def main() -> None:
    """Try them, and print what came; the status is 1 if something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help="only these kinds")
    parser.add_argument("--count", type=int, default=2 * len(KINDS))
    add_folder(parser)
    chosen = parser.parse_args()
    with folder_of(chosen) as folder:
        names = list(KINDS)
        if unknown := set(chosen.kinds) - set(names):
            parser.error(f"no such kinds: {', '.join(unknown)}; there are: {'; '.join(names)}")
        wanted = list(range(chosen.count))
        if chosen.kinds:
            wanted = [number for number in wanted if names[number % len(names)] in chosen.kinds]
        steps = [f"{number:04}" for number in wanted]
        do(folder, PART, steps, Answer, lambda step: answer(int(step)))
        answers = done(folder, PART, Answer, steps)
        sys.stdout.write(f"{row(answers)}\n")
        sys.exit(any(each.wrong for each in answers))


if __name__ == "__main__":
    main()
