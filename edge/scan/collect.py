"""Which files are judged when files and folders are named.

A file that is named is judged, whatever it is. In a folder, a file is judged if it is a clip by its
content or its name: a text file named `.mp4` deserves its `UNREADABLE`. Pictures and videos that
are not read are noted with their kind. Others are skipped, and so are hidden files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from edge.scan.media.clip_file import DescriptorFile, open_regular
from edge.scan.media.formats import READ_ENDINGS, UNREAD_ENDINGS, recognise
from edge.scan.media.protocol import ClipError, Fault
from edge.scan.media.unsupported import UNSUPPORTED
from edge.text import one_line, path_text

MOST_CLIPS = 10_000
"""No more clips than this are listed of a stick or the inbox."""

_MOST_DEEP = 64
_MOST_NAMED = 5
_CLIP = ""
_SYSTEM_FOLDERS = frozenset(
    (
        *("system volume information", "$recycle.bin", "recycler", "recycled"),
        *("lost+found", "lost.dir"),
    )
)
_RECOVERED = "found."  # found.000: fragments that Windows saved


class UnreadFile(NamedTuple):
    """A picture or video of a kind that is not read."""

    path: Path
    kind: str
    """For people."""


@dataclass
class Collection:
    """What was found in the places that were named."""

    clips: list[Path] = field(default_factory=list)
    unread: list[UnreadFile] = field(default_factory=list)
    """Pictures and videos in folders that are of no kind that is read."""
    skipped: int = 0
    """Number of files in folders that are not clips."""
    empty: list[Path] = field(default_factory=list)
    """Folders, as they were named, without a single video or picture."""
    closed: list[Path] = field(default_factory=list)
    """Folders that could not be read."""

    @property
    def found(self) -> int:
        """Number of clips, of files that are not read, and of folders that could not be read."""
        return len(self.clips) + len(self.unread) + len(self.closed)


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
        before = collection.found
        collection.clips.extend(_Walk(collection).clips(place))
        if collection.found == before:
            collection.empty.append(place)
    return collection


def clips_within(folder: Path) -> tuple[Path, ...]:
    """The clips in a folder that others may write to, recursively, in the order of names.

    Pictures and videos of kinds that are not read are among them: each gets its `UNREADABLE`.
    No link is followed, no other file system is entered, only regular files are opened; folders of
    operating systems and those that cannot be read are skipped. Raises OSError if `folder` itself
    cannot be read.
    """
    found = media_within(folder)
    media = [*found.clips, *(file.path for file in found.unread)]
    # In the order of the walk: files and folders by name.
    return tuple(sorted(media, key=lambda path: path.relative_to(folder).parts))[:MOST_CLIPS]


def media_within(folder: Path) -> Collection:
    """The clips in a folder that others may write to, and apart from them what is not read."""
    os.scandir(folder).close()
    collection = Collection()
    walk = _Walk(collection, follow_links=False, device=folder.stat().st_dev)
    collection.clips.extend(islice(walk.clips(folder), MOST_CLIPS))
    return collection


def unread_summary(unread: Sequence[UnreadFile]) -> str:
    """One sentence that names the files that are not read; empty without any."""
    if not unread:
        return ""
    named = [
        f"{one_line(path_text(Path(file.path.name)))} ({file.kind})"
        for file in unread[:_MOST_NAMED]
    ]
    more = len(unread) - len(named)
    rest = f", and {more} more" if more else ""
    many = "1 file is" if len(unread) == 1 else f"{len(unread)} files are"
    return f"{many} of a kind that is not read: {', '.join(named)}{rest}."


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
            elif (kind := self._kind_of(path)) is None:
                self.collection.skipped += 1
            elif kind == _CLIP:
                yield path
            else:
                self.collection.unread.append(UnreadFile(path, kind))

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

    def _kind_of(self, path: Path) -> str | None:
        """`_CLIP`, the kind of a picture or video that is not read, or None for other files."""
        ending = path.suffix.lower()
        if ending in READ_ENDINGS:
            return _CLIP if self.follow_links or path.is_file() else None
        try:
            with os.fdopen(open_regular(path), "rb", buffering=0) as file:
                form = recognise(DescriptorFile(file.fileno()))
        except OSError:
            return None
        except ClipError as refused:
            if refused.fault is Fault.UNSUPPORTED:
                return UNSUPPORTED[refused.numbers[0]].name
            if refused.fault is Fault.FRAGMENT:
                return "piece of a streamed video"
            regular = refused.fault not in {Fault.NOT_A_FILE, Fault.MISSING}
            return UNREAD_ENDINGS.get(ending) if regular else None
        # Camera raw files are built as TIFF.
        return UNREAD_ENDINGS.get(ending, _CLIP) if form.container == "tiff" else _CLIP


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the path is too long
        return False


def _is_system_folder(name: str) -> bool:
    name = name.lower()
    return name in _SYSTEM_FOLDERS or name.startswith(_RECOVERED)
