"""Atomic writes: a file appears complete or not at all, even if the power fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".half-"
"""Prefix of unfinished files: hidden."""


@contextmanager
def unfinished_file(path: Path) -> Iterator[Path]:
    """A new hidden file beside `path`, with the same suffix, to write to.

    It is deleted at the end unless `publish` was called. Raises OSError.
    """
    number, name = tempfile.mkstemp(prefix=PREFIX, suffix=path.suffix, dir=path.parent)
    try:
        os.fchmod(number, 0o644)
    finally:
        os.close(number)
    unfinished = Path(name)
    try:
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def publish(unfinished: Path, path: Path) -> None:
    """Sync a written file to the disk and rename it to `path`, which is replaced."""
    _sync(unfinished)
    unfinished.replace(path)
    _sync(path.parent)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write a file; text in UTF-8. A symlink at `path` is replaced, not followed."""
    with unfinished_file(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
        publish(unfinished, path)


def delete_unfinished(folder: Path) -> None:
    """Delete the unfinished files that a power failure left in a folder."""
    for unfinished in folder.glob(f"{PREFIX}*"):
        unfinished.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
