"""The progress of a scan in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, RenderableColumn, TextColumn
from rich.progress import Progress as Bar

from edge.cli.output import Shortened
from edge.scan.progress import Progress, ProgressListener
from edge.text import path_text


@contextmanager
def progress_bar(
    terminal: TextIO, path: Path, number: int, total: int
) -> Iterator[ProgressListener]:
    """Show the progress of clip `number` of `total`; the bar disappears when the clip is done."""
    console = Console(file=terminal, highlight=False, emoji=False)
    place = f"{number}/{total} " if total > 1 else ""
    name = RenderableColumn(Shortened(f"{place}{path_text(Path(path.name))}", "bold"))
    stage = TextColumn("{task.fields[stage]:7}", style="dim", markup=False)
    line = BarColumn(None, "bright_black", "cyan", "cyan", "cyan")
    numbers = TextColumn("{task.fields[numbers]}", markup=False)
    columns = (name, stage, line, numbers) if console.width >= 70 else (name, line, numbers)
    with Bar(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("", total=None, stage="opening", numbers="")

        def listen(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.expected or None,
                stage=progress.stage,
                numbers=progress.numbers,
            )

        yield listen
