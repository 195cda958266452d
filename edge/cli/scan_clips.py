"""Judges the clips of `truelight scan` one after another, and prints their findings."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, RenderableColumn, TextColumn
from rich.progress import Progress as Bar

from edge.cli import open_terminal
from edge.cli.json_lines import print_json
from edge.cli.output import Shortened
from edge.finding import Verdict
from edge.scan.media.decoders import Decoders
from edge.scan.progress import Progress, ProgressListener
from edge.scan.scanner import Scanner
from edge.settings import Settings
from edge.text import path_text


def scan_clips(
    clips: Sequence[Path], settings: Settings, decoders: Decoders, *, json: bool
) -> bool:
    """Judge the clips; whether all could be read."""
    terminal, text, readable = open_terminal(), None, True
    with Scanner(settings, decoders) as scanner:
        # After the thread that loads the models has begun: this takes as long as its imports.
        if not json:
            from edge.cli.output import TextOutput, open_console

            text = TextOutput(open_console())
        for number, path in enumerate(clips, start=1):
            decoders.spare = number < len(clips)
            with _progress(terminal, path, number, len(clips)) as listener:
                finding = scanner.scan(path, listener)
            if not gc.isenabled():
                gc.freeze()
                gc.enable()
            if text is None:
                print_json(finding.model_dump_json())
            else:
                text.finding(finding)
            readable = readable and finding.verdict is not Verdict.UNREADABLE
        if text is not None:
            text.end()
    return readable


def _progress(
    terminal: TextIO | None, path: Path, number: int, total: int
) -> AbstractContextManager[ProgressListener | None]:
    if terminal is None:
        return nullcontext()
    from edge.cli.scan_clips import progress_bar

    return progress_bar(terminal, path, number, total)


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
                completed=progress.frames_done,
                total=progress.frames_expected or None,
                stage=progress.stage,
                numbers=progress.numbers,
            )

        yield listen
