"""Which files are judged, when files and folders are named.

A file that is named is judged, whatever it is. In a folder, all that is a clip by its content is
judged, and so is all that is called one: a text file named `.mp4` deserves its `UNREADABLE`. The
rest is passed over. Hidden files are left alone, symlinks are followed once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edge.scan.media.protocol import Fault, RefusedError
from edge.scan.media.sniff import HEAD_BYTES, sniff

CLIP_NAMES = frozenset(
    (
        *(".3g2", ".3gp", ".asf", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4"),
        *(".mpeg", ".mpg", ".webm", ".wmv"),
        *(".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
    )
)
"""What clips are called. Not `.ts`: that is also a language, and the content tells."""


@dataclass
class Collection:
    """What was found in the places that were named."""

    clips: list[Path] = field(default_factory=list)
    passed_over: int = 0
    """Files in folders that are no clips."""
    empty: list[Path] = field(default_factory=list)
    """Folders, as they were named, without a single clip."""
    closed: list[Path] = field(default_factory=list)
    """Folders that could not be read."""


def collect(places: Iterable[Path]) -> Collection:
    """The clips among files, and in folders and all that is beneath them, in the order of names."""
    collection = Collection()
    for place in places:
        if not place.is_dir():
            collection.clips.append(place)
            continue
        before = len(collection.clips) + len(collection.closed)
        _walk(place, collection, seen=set())
        if len(collection.clips) + len(collection.closed) == before:
            collection.empty.append(place)
    return collection


def _walk(folder: Path, collection: Collection, seen: set[tuple[int, int]]) -> None:
    """Collect from a folder; `seen` are the folders that were entered, by device and inode."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        collection.closed.append(folder)
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith("."):
            continue
        if path.is_dir():
            _walk(path, collection, seen)
        elif path.suffix.lower() in CLIP_NAMES or looks_like_a_clip(path):
            collection.clips.append(path)
        else:
            collection.passed_over += 1


def looks_like_a_clip(path: Path) -> bool:
    """Whether a regular file begins as clips do. Only its first bytes are read."""
    try:
        # Opening a FIFO would wait for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            sniff(file.read(HEAD_BYTES))
    except OSError:
        return False
    except RefusedError as refused:
        # Someone's photographs: better to say that this kind is not read than to say nothing.
        return refused.fault is Fault.STILL_FORMAT
    return True
