"""Judges the clips of `truelight scan` one after another, and prints their findings."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO

from edge.cli import open_terminal
from edge.cli.json_lines import print_json
from edge.finding import Verdict
from edge.scan.media.decoders import Decoders
from edge.scan.progress import ProgressListener
from edge.scan.scanner import Scanner
from edge.settings import Settings


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
    from edge.cli.progress_bar import progress_bar

    return progress_bar(terminal, path, number, total)
