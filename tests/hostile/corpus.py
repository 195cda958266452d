"""A corpus of bad files: the same for the same seed.

    PYTHONPATH=tests:. python -m hostile.corpus --count 20000 [--folder FOLDER]

judges them in this process, and prints those that were slow or failed. `--forked` takes a third of
the time; `--daemon` drops the files into the inbox of the real daemon instead, 250 at a time.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from clips import card, cards, write_animated_webp, write_clip, write_image
from hostile.crafted import crafted
from hostile.damage import DAMAGES
from hostile.forked import forked
from hostile.kept import add_folder, do, done, folder_of, numbers
from spent import processor_seconds

from edge.finding import Finding
from edge.scan import child_process

PART = "files"
AT_ONCE = 1000
"""Files in a step."""
SLOW_SECONDS = 10.0
MOST_SECONDS = 30.0
SEED = 7


def valid_files(folder: Path) -> dict[str, bytes]:
    """A small file of each kind that can be written here, by name; written in this folder."""
    for name, codec in (
        *(("h264.mp4", "libx264"), ("hevc.mp4", "libx265"), ("mpeg4.avi", "mpeg4")),
        *(("vp8.mkv", "libvpx"), ("ffv1.mkv", "ffv1"), ("mpeg2.ts", "mpeg2video")),
        *(("flv1.flv", "flv"), ("mpeg1.mpg", "mpeg1video"), ("mpeg4.mov", "mpeg4")),
    ):
        write_clip(folder / name, cards(12, 160, 128), codec=codec)
    for name in ("still.jpg", "still.png", "still.webp", "still.bmp", "still.tiff"):
        write_image(folder / name, card(160, 128))
    write_animated_webp(folder / "moving.webp", list(cards(4, 160, 128)))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def corpus(
    valid: dict[str, bytes], count: int, seed: int, first: int = 0
) -> Iterator[tuple[str, bytes]]:
    """Names and contents, from number `first` on: crafted files, then `valid` ones with a damage.

    Whatever is left out before, a number is the same file.
    """
    made = crafted(valid["still.jpg"], valid["h264.mp4"], seed)
    yield from list(made.items())[first:count]
    names = sorted(valid)
    for number in range(max(0, first - len(made)), count - len(made)):
        chance = random.Random(f"{seed} {number}")
        name = names[number % len(names)]
        damage = DAMAGES[number // len(names) % len(DAMAGES)]
        content = damage(valid[name], name.rpartition(".")[2], chance)
        yield f"{number:05}-{damage.__name__}-{name}", content


def held() -> tuple[int, int, int]:
    """Descriptors, pieces of shared memory, and processes of this process: none may grow."""
    here = Path("/proc/self")
    tasks = (here / "task").iterdir()
    return (
        len(list((here / "fd").iterdir())),
        (here / "maps").read_text().count("memfd:frames"),
        sum(len((task / "children").read_text().split()) for task in tasks),
    )


@dataclass
class Tally:
    """What came of files."""

    verdicts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_name: str = ""
    late: int = 0
    """Files that took over 30 s, which on a busy machine says little."""
    most_processor: float = 0.0
    """Seconds of the processor that one of these took, judged alone."""
    files: int = 0
    leaks: int = 0

    def add(self, name: str, finding: Finding, seconds: float) -> None:
        self.files += 1
        self.verdicts[finding.verdict] += 1
        self.verdicts["program failed"] += "program failed" in finding.reasons[0].text
        if seconds > self.slowest:
            self.slowest, self.slowest_name = seconds, name

    def judge_late(self, files: list[tuple[str, bytes]]) -> None:
        """Judge these alone, as they took over 30 s: that is so on a busy machine."""
        self.late += len(files)
        for name, content in files:
            self.most_processor = max(self.most_processor, processor_time(name, content))

    def __iadd__(self, other: "Tally") -> "Tally":
        self.files += other.files
        self.late += other.late
        self.most_processor = max(self.most_processor, other.most_processor)
        self.leaks += other.leaks
        self.verdicts.update(other.verdicts)
        if other.slowest > self.slowest:
            self.slowest, self.slowest_name = other.slowest, other.slowest_name
        return self

    def __str__(self) -> str:
        found = ", ".join(f"{count:,} {name}" for name, count in sorted(self.verdicts.items()))
        late = f"{self.late} over 30 s with at most {self.most_processor:.1f} s of processor time"
        return f"{found}; slowest {self.slowest:.1f} s ({self.slowest_name}), {late}"


def processor_time(name: str, content: bytes) -> float:
    """Seconds of the processor that a file takes, in both processes."""
    from edge.scan.scanner import Scanner
    from edge.settings import load_settings

    with tempfile.TemporaryDirectory() as folder, Scanner(load_settings()) as scanner:
        scanner.wait()
        path = Path(folder, name)
        path.write_bytes(content)
        with mock.patch.object(child_process, "UNITS", Path("/nowhere")):
            before = processor_seconds()
            scanner.scan(path)
            seconds = processor_seconds() - before
    sys.stdout.write(f"{name} took {seconds:.1f} s of processor time\n")
    return seconds


def judge(valid: dict[str, bytes], count: int, first: int, seed: int = SEED) -> Tally:
    """Judge files in this process, and print what is slow, fails, or is held afterwards."""
    from edge.scan.scanner import Scanner
    from edge.settings import load_settings

    tally, late = Tally(), []
    with tempfile.TemporaryDirectory() as folder, Scanner(load_settings()) as scanner:
        scanner.wait()
        before = held()
        for name, content in corpus(valid, count, seed, first):
            path = Path(folder, name)
            path.write_bytes(content)
            start = time.monotonic()
            finding = scanner.scan(path)
            seconds = time.monotonic() - start
            tally.add(name, finding, seconds)
            if seconds > SLOW_SECONDS or "program failed" in finding.reasons[0].text:
                sys.stdout.write(f"{seconds:6.1f} s  {name}  {finding.reasons[0].text}\n")
            if seconds > MOST_SECONDS:
                late.append((name, content))
            path.unlink(missing_ok=True)
        tally.leaks = sum(now > then for now, then in zip(held(), before, strict=True))
    tally.judge_late(late)
    return tally


def judge_in_steps(folder: Path, count: int) -> None:
    """Judge a corpus in this process, and keep what came of it."""

    def step(name: str) -> Tally:
        first = int(name)
        return judge(valid, min(count, first + AT_ONCE), first)

    with tempfile.TemporaryDirectory() as place:
        valid = valid_files(Path(place))
    do(folder, PART, numbers(count, AT_ONCE), Tally, step)


def total(folder: Path) -> Tally:
    """What came of all steps."""
    return sum_of(done(folder, PART, Tally))


def sum_of(tallies: list[Tally]) -> Tally:
    """One of them all."""
    found = Tally()
    for tally in tallies:
        found += tally
    return found


def main() -> None:
    """Judge a corpus, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    add_folder(parser)
    parser.add_argument("--forked", action="store_true", help="start decoder processes faster")
    parser.add_argument("--daemon", action="store_true", help="through the daemon and its inbox")
    chosen = parser.parse_args()
    with folder_of(chosen) as folder:
        if chosen.daemon:
            from hostile import corpus_box

            corpus_box.judge_in_boxes(folder, chosen.count, chosen.forked)
            sys.stdout.write(f"{corpus_box.total(folder)}\n")
            return
        with forked() if chosen.forked else nullcontext():
            judge_in_steps(folder, chosen.count)
        tally = total(folder)
    sys.stdout.write(f"{tally.files:,} files: {tally}; {tally.leaks} leaks\n")


if __name__ == "__main__":
    main()
