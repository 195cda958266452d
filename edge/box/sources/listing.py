"""Which files of somebody else's folder are judged.

As `edge.scan.collect` does it for a person who names a folder, with less trust: no link is
followed, no other file system is entered, nothing but plain files is opened, and what systems
keep for themselves is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge.scan.collect import CLIP_NAMES, looks_like_a_clip

MOST_CLIPS = 10_000
"""More clips than this are not listed: nobody waits for them."""

_DEEPEST = 32
_OF_SYSTEMS = frozenset(
    (
        *("system volume information", "$recycle.bin", "recycler", "recycled"),
        *("lost+found", "lost.dir"),
    )
)
_OF_REPAIRS = "found."  # found.000: pieces that Windows saved


def clips_within(folder: Path) -> tuple[Path, ...]:
    """The clips in a folder and beneath it, in the order of names.

    Folders within it that cannot be read are passed over. Raises OSError if it cannot itself.
    """
    clips: list[Path] = []
    for clip in _walk(folder, folder.stat().st_dev, _DEEPEST, sorted_entries(folder)):
        clips.append(clip)
        if len(clips) == MOST_CLIPS:
            break
    return tuple(clips)


def sorted_entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, without what is hidden, in the order of names."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: entry.name)


def _walk(folder: Path, device: int, depth: int, entries: list[os.DirEntry[str]]) -> Iterator[Path]:
    for entry in entries:
        path = folder / entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth and not _is_kept_by_a_system(entry.name) and _is_on(entry, device):
                    yield from _walk(path, device, depth - 1, sorted_entries(path))
            elif entry.is_file(follow_symlinks=False) and _is_clip(path):
                yield path
        except OSError:
            continue


def _is_clip(file: Path) -> bool:
    return file.suffix.lower() in CLIP_NAMES or looks_like_a_clip(file)


def _is_kept_by_a_system(name: str) -> bool:
    name = name.lower()
    return name in _OF_SYSTEMS or name.startswith(_OF_REPAIRS)


def _is_on(entry: os.DirEntry[str], device: int) -> bool:
    return entry.stat(follow_symlinks=False).st_dev == device
