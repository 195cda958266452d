"""Which files are judged when files and folders are named.

A file that is named is judged, whatever it is. In a folder, a file is judged if it is a clip by its
content or its name: a text file named `.mp4` deserves its `UNREADABLE`. Others are skipped, and so
are hidden files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from edge.scan.media.clip_file import HEAD_BYTES, open_regular, sniff
from edge.scan.media.protocol import ClipError, Fault

CLIP_NAMES = frozenset(
    (
        *(".3g2", ".3gp", ".asf", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4"),
        *(".mpeg", ".mpg", ".webm", ".wmv"),
        *(".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
    )
)
"""Name endings of clips. Not `.ts`: that is also a language, and the content decides."""
MOST_CLIPS = 10_000
"""No more clips than this are listed of a stick or the inbox."""

_MOST_DEEP = 64
_SYSTEM_FOLDERS = frozenset(
    (
        *("system volume information", "$recycle.bin", "recycler", "recycled"),
        *("lost+found", "lost.dir"),
    )
)
_RECOVERED = "found."  # found.000: fragments that Windows saved


@dataclass
class Collection:
    """What was found in the places that were named."""

    clips: list[Path] = field(default_factory=list)
    skipped: int = 0
    """Number of files in folders that are not clips."""
    empty: list[Path] = field(default_factory=list)
    """Folders, as they were named, without a single clip."""
    closed: list[Path] = field(default_factory=list)
    """Folders that could not be read."""


def collect(places: Iterable[Path]) -> Collection:
    """The clips among files and in folders, recursively, in the order of names.

    Links to files are followed. Links to folders are not, beneath a folder that was named: they
    may lead anywhere.
    """
    collection = Collection()
    for place in places:
        if not place.is_dir():
            collection.clips.append(place)
            continue
        before = len(collection.clips) + len(collection.closed)
        collection.clips.extend(_Walk(collection).clips(place))
        if len(collection.clips) + len(collection.closed) == before:
            collection.empty.append(place)
    return collection


def clips_within(folder: Path) -> tuple[Path, ...]:
    """The clips in a folder that others may write to, recursively, in the order of names.

    No link is followed, no other file system is entered, only regular files are opened; folders of
    operating systems and those that cannot be read are skipped. Raises OSError if `folder` itself
    cannot be read.
    """
    os.scandir(folder).close()
    walk = _Walk(Collection(), follow_links=False, device=folder.stat().st_dev)
    return tuple(islice(walk.clips(folder), MOST_CLIPS))


@dataclass
class _Walk:
    """Finds the clips in a folder; notes in `collection` what is not one."""

    collection: Collection
    follow_links: bool = True
    device: int | None = None
    """If set: the only file system to enter, without the folders of operating systems."""
    entered: set[tuple[int, int]] = field(default_factory=set)
    """Device and inode of each folder."""

    def clips(self, folder: Path, depth: int = 0) -> Iterator[Path]:
        """The clips in a folder and below it."""
        try:
            entries = self._entries(folder)
        except OSError:
            self.collection.closed.append(folder)
            return
        for entry in entries:
            path = folder / entry.name
            if entry.is_symlink() and not self.follow_links:
                continue
            if _is_folder(path):
                if entry.is_symlink():
                    self.collection.skipped += 1
                elif depth == _MOST_DEEP:
                    self.collection.closed.append(path)
                elif self.device is None or not _is_system_folder(entry.name):
                    yield from self.clips(path, depth + 1)
            elif self._is_clip(path):
                yield path
            else:
                self.collection.skipped += 1

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What is in a folder and not hidden, by name; nothing if it may not be entered."""
        status = folder.stat()
        identity = status.st_dev, status.st_ino
        if identity in self.entered or self.device not in (None, status.st_dev):
            return []
        self.entered.add(identity)
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
        return sorted(shown, key=lambda entry: entry.name)

    def _is_clip(self, path: Path) -> bool:
        if path.suffix.lower() in CLIP_NAMES:
            return self.follow_links or path.is_file()
        return looks_like_a_clip(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the path is too long
        return False


def _is_system_folder(name: str) -> bool:
    name = name.lower()
    return name in _SYSTEM_FOLDERS or name.startswith(_RECOVERED)


def looks_like_a_clip(path: Path) -> bool:
    """Whether a regular file begins as clips do. Only its first bytes are read."""
    try:
        with os.fdopen(open_regular(path), "rb", buffering=0) as file:
            sniff(file.read(HEAD_BYTES))
    except OSError:
        return False
    except ClipError as refused:
        # Someone's photographs: better to say that this kind is not read than to say nothing.
        return refused.fault is Fault.STILL_FORMAT
    return True
