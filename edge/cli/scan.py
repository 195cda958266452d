"""`truelight scan`: judges files and folders."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.scan.collect import Collection
    from edge.settings import Settings

UNREADABLE = 1

EPILOG = """\
exit status:
  0  every clip was judged (also if there was none)
  1  some could not be read
  2  wrong usage, wrong settings, or a model that cannot be used
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser(
        "scan",
        help="judge files and folders",
        description="Judges videos and pictures, and folders of them with all that is beneath.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or a folder")
    command.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line for each clip, and nothing else, on stdout",
    )
    command.add_argument("--bundle", metavar="NAME|DIR", help="judge with another model bundle")
    command.add_argument(
        "--windows", type=int, metavar="N", help="at most N windows, spread over the clip"
    )
    command.add_argument(
        "--first",
        type=int,
        metavar="N",
        help="the first N frames instead, as published systems do",
    )
    command.add_argument(
        "--second",
        metavar="WHEN",
        help="whether a second model is asked where the first is unsure: auto, always or never",
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="settings for this run")
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Judge what was named; 1 if something could not be read, else 0."""
    from edge.cli.progress import open_terminal, progress_bar
    from edge.finding import Verdict
    from edge.scan.collect import collect
    from edge.scan.scanner import Scanner

    settings = _settings(chosen)
    collection = collect(chosen.paths)
    status = _remark(collection)
    if not collection.clips:
        return status
    terminal = open_terminal()
    with Scanner(settings) as scanner:
        # Imported while the model is being loaded.
        from edge.cli.output import open_show

        show = open_show(chosen.json)
        for number, path in enumerate(collection.clips, start=1):
            with progress_bar(terminal, path, number, len(collection.clips)) as listener:
                finding = scanner.scan(path, listener)
            show.finding(finding)
            if finding.verdict is Verdict.UNREADABLE:
                status = UNREADABLE
        show.end()
    return status


def _remark(collection: Collection) -> int:
    """Say on stderr what is not judged, and why; the status that this alone would give."""
    from edge.text import one_line, path_text

    for folder in collection.closed:
        print(f"{one_line(path_text(folder))}: this folder cannot be read.", file=sys.stderr)
    for folder in collection.empty:
        print(f"{one_line(path_text(folder))}: no clips in this folder.", file=sys.stderr)
    if collection.skipped:
        files = "file that is" if collection.skipped == 1 else "files that are"
        print(f"Skipped {collection.skipped} {files} not media.", file=sys.stderr)
    return UNREADABLE if collection.closed else 0


def _settings(chosen: argparse.Namespace) -> Settings:
    """The machine's settings with the options laid over them."""
    from edge.settings import load_settings

    settings = load_settings(chosen.config)
    options = {
        "--bundle": ("model.bundle", chosen.bundle),
        "--windows": ("scan.windows", chosen.windows),
        "--first": ("scan.first", chosen.first),
        "--second": ("second_opinion.ask", chosen.second),
    }
    for option, (key, value) in options.items():
        if value is not None:
            settings = settings.changed(option, {key: value})
    return settings
