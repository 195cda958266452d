"""A progress bar a clip, on stderr, where that is a terminal; elsewhere nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from edge.text import clock, one_line, path_text, shortened

if TYPE_CHECKING:
    from edge.scan.progress import Progress, ProgressListener

_STAGE, _NUMBERS = 7, 21
"""Columns of "opening" and of "1234/1234 · 0:12 left"."""


def open_terminal() -> TextIO | None:
    """Stderr by a descriptor of its own, if it is a terminal.

    Descriptor 2 is not always the terminal: libraries that are being loaded are kept from it.
    """
    if not sys.stderr.isatty():
        return None
    return os.fdopen(
        os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="replace"
    )


@contextmanager
def progress_bar(
    terminal: TextIO | None, path: Path, number: int, total: int
) -> Iterator[ProgressListener | None]:
    """Show how far clip `number` of `total` is; the bar is gone when the clip is done."""
    if terminal is None:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(file=terminal, highlight=False, emoji=False)
    wide = console.width >= 70
    columns = [TextColumn("{task.description}", style="bold", markup=False)]
    columns += [TextColumn(f"{{task.fields[stage]:{_STAGE}}}", style="dim", markup=False)] * wide
    numbers = TextColumn(f"{{task.fields[numbers]:{_NUMBERS * wide}}}", markup=False)
    place = f"{number}/{total} " if total > 1 else ""
    room = console.width - len(place) - (_STAGE + _NUMBERS + 16 if wide else 26)
    name = shortened(one_line(path_text(Path(path.name))), max(8, room))
    bar = Bar(
        *columns,
        BarColumn(None if wide else 8, "bright_black", "cyan", "cyan", "cyan"),
        numbers,
        console=console,
        transient=True,
        expand=wide,
    )
    with bar:
        task = bar.add_task(place + name, total=None, stage="opening", numbers="")

        def listen(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.frames_done,
                total=progress.frames_expected or None,
                stage=progress.stage,
                numbers=_numbers(progress),
            )

        yield listen


def _numbers(progress: Progress) -> str:
    """Frames and time left: "48/96 · 0:03 left"."""
    if not progress.frames_expected:
        return ""
    frames = f"{progress.frames_done}/{progress.frames_expected}"
    left = progress.seconds_left
    return frames if left is None else f"{frames} · {clock(left + 0.5)} left"
