"""A corpus of bad files: the same for the same seed.

    PYTHONPATH=tests:. python -m hostile.corpus --count 20000 [--seed 7] [--keep FOLDER]

judges that many in this process, and prints what came of them and those that were slow.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from clips import card, cards, write_animated_webp, write_clip, write_image
from hostile.crafted import crafted
from hostile.damage import DAMAGES

SLOW_SECONDS = 10.0


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


def main() -> None:
    """Judge a corpus, and print the table."""
    from edge.scan.scanner import Scanner
    from edge.settings import load_settings

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="write the slow ones into this folder")
    chosen = parser.parse_args()
    verdicts: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        valid = valid_files(Path(folder))
    with tempfile.TemporaryDirectory() as folder, Scanner(load_settings()) as scanner:
        scanner.wait()
        for name, content in corpus(valid, chosen.count, chosen.seed):
            path = Path(folder, name)
            path.write_bytes(content)
            start = time.monotonic()
            finding = scanner.scan(path)
            seconds = time.monotonic() - start
            verdicts[finding.verdict] += 1
            verdicts["program failed"] += "program failed" in finding.reasons[0].text
            slowest = max(slowest, seconds)
            if seconds > SLOW_SECONDS:
                sys.stdout.write(f"{seconds:6.1f} s  {name}  {finding.verdict}\n")
                if chosen.keep:
                    path.replace(chosen.keep / name)
            path.unlink(missing_ok=True)
    sys.stdout.write(f"{dict(verdicts)}; the slowest took {slowest:.1f} s\n")


if __name__ == "__main__":
    main()
