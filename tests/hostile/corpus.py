"""A corpus of bad files: the same for the same seed.

    PYTHONPATH=tests:. python -m hostile.corpus --count 20000 [--skip N] [--keep FOLDER]

judges them in this process, prints those that were slow, and from time to time what came of them.
`--skip` goes on where a run was stopped; `--forked` takes a third of the time; `--daemon` drops the
files into the inbox of the real daemon instead, 250 at a time.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

from clips import card, cards, write_animated_webp, write_clip, write_image
from hostile.crafted import crafted
from hostile.damage import DAMAGES
from hostile.forked import forked

from edge.finding import Finding

SLOW_SECONDS = 10.0
TELL_EVERY = 500


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


def corpus(valid: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents: crafted files, then `valid` ones with a damage each."""
    made = crafted(valid["still.jpg"], valid["h264.mp4"], seed)
    yield from list(made.items())[:count]
    names = sorted(valid)
    for number in range(count - len(made)):
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


class Tally:
    """What came of the files so far."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.slowest, self.slowest_name, self.files, self.leaks = 0.0, "", 0, 0

    def add(self, name: str, finding: Finding, seconds: float) -> None:
        self.files += 1
        self.verdicts[finding.verdict] += 1
        self.verdicts["program failed"] += "program failed" in finding.reasons[0].text
        if seconds > self.slowest:
            self.slowest, self.slowest_name = seconds, name

    def __str__(self) -> str:
        found = ", ".join(f"{count:,} {name}" for name, count in sorted(self.verdicts.items()))
        return f"{found}; slowest {self.slowest:.1f} s ({self.slowest_name})"


def judge(count: int, seed: int = 7, skip: int = 0, keep: Path | None = None) -> Tally:
    """Judge a corpus in this process, and print what is slow, fails, or is held afterwards."""
    from edge.scan.scanner import Scanner
    from edge.settings import load_settings

    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        valid = valid_files(Path(folder))
    with tempfile.TemporaryDirectory() as folder, Scanner(load_settings()) as scanner:
        scanner.wait()
        before = held()
        for name, content in islice(corpus(valid, count, seed), skip, None):
            path = Path(folder, name)
            path.write_bytes(content)
            start = time.monotonic()
            finding = scanner.scan(path)
            seconds = time.monotonic() - start
            tally.add(name, finding, seconds)
            if seconds > SLOW_SECONDS or "program failed" in finding.reasons[0].text:
                sys.stdout.write(f"{seconds:6.1f} s  {name}  {finding.reasons[0].text}\n")
                if keep:
                    (keep / name).write_bytes(content)
            path.unlink(missing_ok=True)
            if tally.files % TELL_EVERY == 0:
                sys.stdout.write(f"{tally.files:,} files: {tally}\n")
                sys.stdout.flush()
        tally.leaks = sum(now > then for now, then in zip(held(), before, strict=True))
    return tally


def main() -> None:
    """Judge a corpus, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--skip", type=int, default=0, help="files that were judged before")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="write the slow ones into this folder")
    parser.add_argument("--forked", action="store_true", help="start decoder processes faster")
    parser.add_argument("--daemon", action="store_true", help="through the daemon and its inbox")
    chosen = parser.parse_args()
    if chosen.daemon:
        from hostile.corpus_box import judge_in_box, said

        sys.stdout.write(f"{said(judge_in_box(chosen.count, chosen.seed, chosen.skip))}\n")
        return
    with forked() if chosen.forked else nullcontext():
        tally = judge(chosen.count, chosen.seed, chosen.skip, chosen.keep)
    sys.stdout.write(f"{tally.files:,} files: {tally}; {tally.leaks} leaks\n")


if __name__ == "__main__":
    main()
