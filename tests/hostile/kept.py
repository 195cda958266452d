"""Long runs in steps: what a step gave is kept in a folder, and a run that was stopped goes on.

Several runs may share a folder, one after the other or at once: each step is done by one of them.
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

Result = TypeVar("Result")


def do(
    folder: Path, part: str, steps: Iterable[str], kind: type[Result], step: Callable[[str], Result]
) -> None:
    """Do those steps of a part that no run has done or is at; print and keep what each gives."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in steps:
        with (folder / f"{part}-{name}.json").open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if _read(folder / f"{part}-{name}.json", kind):
                continue
            result = step(name)
            file.truncate(0)
            file.write(TypeAdapter(kind).dump_json(result))
        sys.stdout.write(f"{part} {name}: {result}\n")
        sys.stdout.flush()


def done(
    folder: Path, part: str, kind: type[Result], steps: Iterable[str] | None = None
) -> list[Result]:
    """What the steps that are over gave: these, in their order, or all of the part."""
    if steps is None:
        paths = sorted(folder.glob(f"{part}-*.json"))
    else:
        paths = [folder / f"{part}-{name}.json" for name in steps]
    return [result for path in paths for result in _read(path, kind)]


def _read(path: Path, kind: type[Result]) -> list[Result]:
    """The result in a file; none if the step was stopped."""
    try:
        return [TypeAdapter(kind).validate_json(path.read_bytes())]
    except (ValidationError, FileNotFoundError):
        return []


def numbers(count: int, size: int) -> list[str]:
    """The names of the steps of so many things, `size` a step: the number of the first of each."""
    return [f"{first:06}" for first in range(0, count, size)]


def add_folder(parser: argparse.ArgumentParser) -> None:
    """The option that names the folder."""
    parser.add_argument("--folder", type=Path, help="keep there what was done, and go on with it")


@contextmanager
def folder_of(chosen: argparse.Namespace) -> Iterator[Path]:
    """The folder that was named; else one that is deleted afterwards.

    From now on SIGTERM, too, ends this process with everything that it has started and mounted.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as other:
        yield chosen.folder or Path(other)
