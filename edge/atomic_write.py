"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HALF = ".half-"
"""How the names of files begin that are not whole yet: hidden."""


@contextmanager
def half_file(path: Path) -> Iterator[Path]:
    """A new file beside `path`, hidden and of the same kind of name, to write to.

    It is deleted at the end unless `make_whole` was called. Never an existing file, nor what a
    symlink points to. OSError as for any file.
    """
    number, name = tempfile.mkstemp(prefix=HALF, suffix=path.suffix, dir=path.parent)
    try:
        os.fchmod(number, 0o644)
    finally:
        os.close(number)
    half = Path(name)
    try:
        yield half
    finally:
        half.unlink(missing_ok=True)


def make_whole(half: Path, path: Path) -> None:
    """Put what is written on the disk, then give it its name; what had that name is gone."""
    _sync(half)
    half.replace(path)
    _sync(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file; text in UTF-8."""
    with half_file(path) as half:
        half.write_bytes(content.encode() if isinstance(content, str) else content)
        make_whole(half, path)


def sweep(folder: Path) -> None:
    """Delete what was left half written in a folder when the power went."""
    for half in folder.glob(f"{HALF}*"):
        half.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
