"""A corpus of bad files: the same for the same seed.

    PYTHONPATH=tests:. python -m hostile.corpus --count 20000 [--skip N] [--keep FOLDER]

judges them in this process, prints those that were slow, and from time to time what came of them.
`--skip` goes on where a run was stopped.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from clips import card, cards, write_animated_webp, write_clip, write_image
from hostile.crafted import crafted
from hostile.damage import DAMAGES

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


def held() -> dict[str, int]:
    """What this process has: nothing of it may grow."""
    here = Path("/proc/self")
    return {
        "descriptors": len(list((here / "fd").iterdir())),
        "shared memory": (here / "maps").read_text().count("memfd:frames"),
        "processes": sum(
            len((task / "children").read_text().split()) for task in (here / "task").iterdir()
        ),
    }


class Tally:
    """What came of the files so far."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.slowest, self.slowest_name, self.files = 0.0, "", 0

    def add(self, name: str, finding: Finding, seconds: float) -> None:
        self.files += 1
        self.verdicts[finding.verdict] += 1
        self.verdicts["program failed"] += "program failed" in finding.reasons[0].text
        if seconds > self.slowest:
            self.slowest, self.slowest_name = seconds, name

    def __str__(self) -> str:
        found = ", ".join(f"{name} {count}" for name, count in sorted(self.verdicts.items()))
        return f"{self.files} files: {found}; slowest {self.slowest:.1f} s ({self.slowest_name})"


def main() -> None:
    """Judge a corpus, and print what came of it."""
    from edge.scan.scanner import Scanner
    from edge.settings import load_settings

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--skip", type=int, default=0, help="files that were judged before")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="write the slow ones into this folder")
    chosen = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        valid = valid_files(Path(folder))
    with tempfile.TemporaryDirectory() as folder, Scanner(load_settings()) as scanner:
        scanner.wait()
        before = held()
        for name, content in islice(corpus(valid, chosen.count, chosen.seed), chosen.skip, None):
            path = Path(folder, name)
            path.write_bytes(content)
            start = time.monotonic()
            finding = scanner.scan(path)
            seconds = time.monotonic() - start
            tally.add(name, finding, seconds)
            if seconds > SLOW_SECONDS or "program failed" in finding.reasons[0].text:
                sys.stdout.write(f"{seconds:6.1f} s  {name}  {finding.verdict} {finding.reasons}\n")
                if chosen.keep:
                    (chosen.keep / name).write_bytes(content)
            path.unlink(missing_ok=True)
            if tally.files % TELL_EVERY == 0:
                sys.stdout.write(f"{tally}\n")
                sys.stdout.flush()
        grown = {name: count - before[name] for name, count in held().items()}
    sys.stdout.write(f"{tally}; held more than before: {grown}\n")


if __name__ == "__main__":
    main()
