"""Which files are judged when files and folders are named.

A file that is named is judged, whatever it is. In a folder, a file is judged if it is a clip by its
content or its name: a text file named `.mp4` deserves its `UNREADABLE`. Pictures and videos that
are not read are noted with their kind. Every other file is noted with the reason why it is not
judged; so are folders that are not entered.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from edge.atomic_write import PREFIX
from edge.scan.media.clip_file import DescriptorFile, open_regular
from edge.scan.media.formats import READ_ENDINGS, UNREAD_ENDINGS, recognise
from edge.scan.media.protocol import ClipError, Fault
from edge.scan.media.unsupported import UNSUPPORTED
from edge.skipped import NOTHING_SKIPPED, SkipList, Skipped, SkipReason

MOST_CLIPS = 10_000
"""No more clips than this are judged together: of a stick, those beyond are not."""
MOST_ENTRIES = 200_000
"""No more files and folders than this are looked at there; the others are counted."""

_OUR_FILES = ("TRUELIGHT-REPORT", "truelight-report", "TRUELIGHT-IN-PROGRESS", PREFIX)
"""Beginnings of the names of what the box itself writes; such files are not noted."""
_MOST_DEEP = 64
_CLIP = ""
_SYSTEM_FOLDERS = frozenset(
    (
        *("system volume information", "$recycle.bin", "recycler", "recycled"),
        *("lost+found", "lost.dir"),
    )
)
_RECOVERED = "found."  # found.000: fragments that Windows saved
_OUR_RESULT = ".truelight.json"


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
    other: SkipList = field(default_factory=SkipList)
    """What else is not judged of folders."""
    empty: list[Path] = field(default_factory=list)
    """Folders, as they were named, without a single video or picture."""
    closed: list[Path] = field(default_factory=list)
    """Folders that could not be read; they are in `other`, too."""

    @property
    def found(self) -> int:
        """Number of clips, of files that are not read, and of folders that could not be read."""
        return len(self.clips) + len(self.unread) + len(self.closed)

    @property
    def skipped(self) -> Skipped:
        """Everything that is not judged."""
        files = SkipList(self.other.result())
        for file in self.unread:
            files.add(file.path, SkipReason.UNSUPPORTED, file.kind)
        return files.result()


class Media(NamedTuple):
    """What is judged of a folder that others may write to, and what is not."""

    clips: tuple[Path, ...]
    """In the order of names; pictures and videos of unread kinds get their `UNREADABLE`."""
    skipped: Skipped = NOTHING_SKIPPED


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


def media_within(folder: Path, most_clips: float | None = None) -> Media:
    """What is to be judged in a folder that others may write to, recursively, and what is not.

    Of the clips, at most `most_clips`; None: `MOST_CLIPS`. No link is followed, no other file
    system is entered, only regular files are opened; folders of operating systems and those that
    cannot be read are skipped. Raises OSError if `folder` itself cannot be read.
    """
    os.scandir(folder).close()
    collection = Collection()
    most_clips = MOST_CLIPS if most_clips is None else most_clips
    walk = _Walk(collection, folder.stat().st_dev, most_clips, MOST_ENTRIES)
    collection.clips.extend(walk.clips(folder))
    media = [*collection.clips, *(file.path for file in collection.unread)]
    # In the order of the walk: files and folders by name.
    clips = sorted(media, key=lambda path: path.relative_to(folder).parts)
    return Media(tuple(clips), collection.other.result())


@dataclass
class _Walk:
    """Finds the clips in a folder; notes in `collection` what is not judged."""

    collection: Collection
    device: int | None = None
    """If set, others may write there: this is the only file system to enter, and no link is
    followed."""
    most_clips: float = float("inf")
    most_entries: int | None = None
    entered: set[tuple[int, int]] = field(default_factory=set)
    """Device and inode of each folder."""
    media: int = 0
    entries: int = 0
    """Number of files and folders that were looked at."""

    def clips(self, folder: Path, depth: int = 0) -> Iterator[Path]:
        """The clips in a folder and below it."""
        try:
            entries = self._entries(folder)
        except OSError:
            self.collection.closed.append(folder)
            self._skip(folder, SkipReason.UNREADABLE)
            return
        for entry in entries:
            path = folder / entry.name
            reason = self._not_entered(entry, path, depth)
            if reason:
                self._skip(path, reason)
            elif _is_folder(path):
                yield from self.clips(path, depth + 1)
            elif self._note_file(path):
                yield path

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What is in a folder, by name; nothing if it may not be entered."""
        status = folder.stat()
        identity = status.st_dev, status.st_ino
        if identity in self.entered:
            return []
        if self.device not in (None, status.st_dev):
            self._skip(folder, SkipReason.OTHER_FILE_SYSTEM)
            return []
        self.entered.add(identity)
        left = None if self.most_entries is None else self.most_entries - self.entries
        with os.scandir(folder) as entries:
            seen = list(islice(entries, left))
            beyond = next(entries, None)
            if beyond:
                number = 1 + sum(1 for _ in entries)
                self.collection.other.add(folder / beyond.name, SkipReason.TOO_MANY, number=number)
        self.entries += len(seen)
        return sorted(seen, key=lambda entry: entry.name)

    def _not_entered(self, entry: os.DirEntry[str], path: Path, depth: int) -> SkipReason | None:
        """Why something is neither entered nor opened, by its name and kind alone."""
        reason = None
        if entry.name.startswith("."):
            reason = SkipReason.HIDDEN
        elif entry.is_symlink() and (self.device is not None or _is_folder(path)):
            reason = SkipReason.LINK
        elif _is_folder(path) and depth == _MOST_DEEP:
            self.collection.closed.append(path)
            reason = SkipReason.TOO_DEEP
        elif self.device is not None and _is_folder(path) and _is_system_folder(entry.name):
            reason = SkipReason.SYSTEM_FOLDER
        return reason

    def _note_file(self, path: Path) -> bool:
        """Whether a file is a clip; if not, it is noted."""
        if self.media >= self.most_clips:
            self._skip(path, SkipReason.TOO_MANY)
            return False
        kind = self._kind_of(path)
        if isinstance(kind, SkipReason):
            self._skip(path, kind)
            return False
        self.media += 1
        if kind != _CLIP:
            self.collection.unread.append(UnreadFile(path, kind))
        return kind == _CLIP

    def _skip(self, path: Path, reason: SkipReason) -> None:
        ours = path.name.startswith(_OUR_FILES) or path.name.endswith(_OUR_RESULT)
        if not (ours and reason in (SkipReason.NOT_MEDIA, SkipReason.HIDDEN)):
            self.collection.other.add(path, reason)

    def _kind_of(self, path: Path) -> str | SkipReason:
        """`_CLIP`, the kind of a picture or video that is not read, or why it is none."""
        ending = path.suffix.lower()
        if ending in READ_ENDINGS:
            return _CLIP if self.device is None or path.is_file() else _special(path)
        beneath = None if self.device is None else path.parent
        try:
            with os.fdopen(open_regular(path, beneath), "rb", buffering=0) as file:
                form = recognise(DescriptorFile(file.fileno()), by_middle=False)
        except OSError:
            return SkipReason.UNREADABLE
        except ClipError as refused:
            return _kind_of_refused(refused, path)
        # Camera raw files are built as TIFF.
        return UNREAD_ENDINGS.get(ending, _CLIP) if form.container == "tiff" else _CLIP


def _kind_of_refused(refused: ClipError, path: Path) -> str | SkipReason:
    """The kind of a picture or video that is not read, or why a file is none."""
    match refused.fault:
        case Fault.UNSUPPORTED:
            return UNSUPPORTED[refused.numbers[0]].name
        case Fault.FRAGMENT:
            return "piece of a streamed video"
        case Fault.NOT_A_FILE | Fault.MISSING:
            return _special(path)
        case Fault.FORBIDDEN | Fault.INPUT:
            reason = SkipReason.UNREADABLE
        case _:
            reason = SkipReason.NOT_MEDIA
    return UNREAD_ENDINGS.get(path.suffix.lower(), reason)


def _special(path: Path) -> SkipReason:
    """Why something is not a regular file."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return SkipReason.UNREADABLE
    return SkipReason.UNREADABLE if is_file else SkipReason.NOT_A_FILE


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the path is too long
        return False


def _is_system_folder(name: str) -> bool:
    name = name.lower()
    return name in _SYSTEM_FOLDERS or name.startswith(_RECOVERED)
