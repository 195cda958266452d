"""Files that are swapped while they are judged: verdict and hash of a finding are of one file.

PYTHONPATH=tests:. python -m hostile.renames [--count 200] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bundles import write_bundle
from hostile.kept import add_folder, do, done, folder_of
from redpale import write_clips

from edge.finding import Verdict
from edge.scan.scanner import Scanner
from edge.settings import Settings

PART = "swaps"
_AT_WORKING_FOLDER, _RENAME_EXCHANGE = -100, 2


def _replace(clip: Path, other: Path, contents: list[bytes]) -> None:
    other.write_bytes(random.choice(contents))
    other.replace(clip)


def _exchange(clip: Path, other: Path, contents: list[bytes]) -> None:
    """At no moment is there no file of the name."""
    other.write_bytes(random.choice(contents))
    names = os.fsencode(clip), os.fsencode(other)
    libc = ctypes.CDLL(None, use_errno=True)
    places = (_AT_WORKING_FOLDER, names[0], _AT_WORKING_FOLDER, names[1])
    assert libc.renameat2(*places, _RENAME_EXCHANGE) == 0, os.strerror(ctypes.get_errno())


def _link(clip: Path, other: Path, contents: list[bytes]) -> None:
    """A link to a file outside the folder, and back."""
    other.unlink(missing_ok=True)
    other.symlink_to(clip.parent.parent / "secret.mp4")
    other.replace(clip)
    _replace(clip, other, contents)


def _overwrite(clip: Path, other: Path, contents: list[bytes]) -> None:
    """The same file gets another content, and its old time."""
    status = clip.stat()
    clip.write_bytes(random.choice(contents))
    os.utime(clip, ns=(status.st_atime_ns, status.st_mtime_ns))


def _cut(clip: Path, other: Path, contents: list[bytes]) -> None:
    os.truncate(clip, 1000)
    clip.write_bytes(random.choice(contents))


def _remove(clip: Path, other: Path, contents: list[bytes]) -> None:
    clip.unlink()
    clip.write_bytes(random.choice(contents))


WAYS: dict[str, Callable[[Path, Path, list[bytes]], None]] = {
    "replaced": _replace,
    "exchanged": _exchange,
    "swapped for a link": _link,
    "overwritten": _overwrite,
    "cut": _cut,
    "removed": _remove,
}


def swapped(way: str, count: int, folder: Path, clips: Path, bundle: Path) -> Counter[str]:
    """Judge a file so often while it is swapped: how many findings are right, none, and wrong.

    Right: the verdict is that of the content whose hash the finding has.
    """
    files = {name: (clips / name).read_bytes() for name in ("red.mp4", "nobody.mp4")}
    expected = {
        hashlib.sha256(files["red.mp4"]).hexdigest(): Verdict.FAKE,
        hashlib.sha256(files["nobody.mp4"]).hexdigest(): Verdict.NO_FACE,
    }
    stick, ended = folder / "stick", threading.Event()
    stick.mkdir(parents=True)
    (folder / "secret.mp4").write_bytes((clips / "two.mp4").read_bytes())
    clip, contents = stick / "clip.mp4", list(files.values())
    clip.write_bytes(contents[0])

    longest = 0.0

    def swap() -> None:
        while not ended.wait(random.uniform(0, longest)):
            WAYS[way](clip, stick / "other", contents)

    changes = {"model.bundle": str(bundle), "second_opinion.ask": "never"}
    found: Counter[str] = Counter(right=0, wrong=0, refused=0)
    with Scanner(Settings().changed("this attack", changes)) as scanner:
        scanner.wait()
        start = time.monotonic()
        scanner.scan(clip)
        # Some scans are to be over before the next swap, however long they take here.
        longest = 4 * (time.monotonic() - start)
        swapping = threading.Thread(target=swap)
        swapping.start()
        try:
            for _ in range(count):
                finding = scanner.scan_with_pictures(clip, beneath=stick).finding
                if finding.sha256 is None:
                    found["refused"] += 1
                else:
                    is_right = expected.get(finding.sha256) is finding.verdict
                    found["right" if is_right else "wrong"] += 1
        finally:
            ended.set()
            swapping.join()
    return found


def renames(keep: Path, count: int) -> None:
    """Each way, `count` times in all, and keep what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clips").mkdir()
        clips, bundle = write_clips(folder / "clips"), write_bundle(folder / "red")

        def step(way: str) -> Counter[str]:
            return swapped(way, count // len(WAYS), folder / way, clips, bundle)

        do(keep, PART, WAYS, Counter[str], step)


def total(folder: Path) -> Counter[str]:
    """What came of all ways."""
    return sum(done(folder, PART, Counter[str]), Counter[str]())


def said(found: Counter[str]) -> str:
    """How many findings are right, and so on."""
    return ", ".join(f"{found[kind]} {kind}" for kind in ("right", "refused", "wrong"))


def main() -> None:
    """Swap files, and print what came of it; the status is 1 if a finding is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    add_folder(parser)
    chosen = parser.parse_args()
    with folder_of(chosen) as folder:
        renames(folder, chosen.count)
        found = total(folder)
    sys.stdout.write(f"{found.total()} files swapped: {said(found)}\n")
    sys.exit(bool(found["wrong"]))


if __name__ == "__main__":
    main()
