"""`truelight scan`: judges files and folders. `truelight schema`: the JSON Schema of its output."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge.cli import Commands, add_command, add_config_option, with_options
from edge.errors import TruelightError

if TYPE_CHECKING:
    from edge.scan.collect import Collection
    from edge.scan.media.decoders import Decoders
    from edge.skipped import Skipped

UNREADABLE = 1

EPILOG = """\
exit status:
  0  every clip was judged, or there was none
  1  some clips could not be read
  2  wrong usage, wrong settings, or a model that cannot be used
"""


def add_parser(commands: Commands) -> None:
    """Describe `scan`."""
    command = add_command(
        commands,
        "scan",
        run,
        "judge videos and pictures: files and folders, recursively",
        epilog=EPILOG,
    )
    command.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a file or a folder")
    command.add_argument(
        "--formats", action="store_true", help="list the kinds of files that are read, and end"
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per clip and line, and a last one of files not judged, if any",
    )
    command.add_argument("--bundle", metavar="NAME|DIR", help="use another model bundle")
    command.add_argument(
        "--windows", type=int, metavar="N", help="score at most N windows, spread over the clip"
    )
    command.add_argument(
        "--first",
        type=int,
        metavar="N",
        help="score the first N frames instead, as published systems do",
    )
    command.add_argument(
        "--second",
        metavar="WHEN",
        help="ask a second model: never, unsure (where the first is unsure) or always",
    )
    add_config_option(command)


def add_schema_parser(commands: Commands) -> None:
    """Describe `schema`."""
    add_command(commands, "schema", run_schema, "print the JSON Schema of a line of scan --json")


def run(chosen: argparse.Namespace) -> int:
    """Judge the clips; 1 if something could not be read, else 0."""
    if chosen.formats:
        return run_formats()
    if not chosen.paths:
        raise TruelightError("PATH is missing.", "Name a file or a folder.")
    from edge.scan.media.decoders import Decoders

    with Decoders(spare=True) as decoders:
        decoders.renew()  # it starts while this process imports the rest
        return _judge(chosen, decoders)


def _judge(chosen: argparse.Namespace, decoders: Decoders) -> int:
    from edge.cli.output import TextOutput, open_console, open_terminal, print_json, progress_bar
    from edge.finding import Verdict
    from edge.scan.collect import collect
    from edge.scan.scanner import Scanner
    from edge.settings import load_settings

    settings = with_options(
        load_settings(chosen.config),
        {
            "--bundle": {"model.bundle": chosen.bundle},
            "--windows": {"scan.windows": chosen.windows},
            "--first": {"scan.first": chosen.first},
            "--second": {"second_opinion.ask": chosen.second},
        },
    )
    collection = collect(chosen.paths)
    status = _report_skipped(collection)
    if not collection.clips:
        if chosen.json:
            _print_skipped(collection.skipped)
        return status
    terminal = open_terminal()
    with Scanner(settings, decoders) as scanner:
        text = TextOutput(open_console())
        for number, path in enumerate(collection.clips, start=1):
            decoders.spare = number < len(collection.clips)
            with progress_bar(terminal, path, number, len(collection.clips)) as listener:
                finding = scanner.scan(path, listener)
            if chosen.json:
                print_json(finding.model_dump_json())
            else:
                text.finding(finding)
            if finding.verdict is Verdict.UNREADABLE:
                status = UNREADABLE
        text.end()
    if chosen.json:
        _print_skipped(collection.skipped)
    return status


def run_formats() -> int:
    """Print the table of formats."""
    from edge.scan.media.formats import READ
    from edge.scan.media.unsupported import UNSUPPORTED

    for title, rows in (("Read:", READ), ("Recognised, and not read:", UNSUPPORTED)):
        print(title)
        for row in rows:
            print(f"  {row.name[0].upper()}{row.name[1:]}: {', '.join(row.endings) or 'any name'}")
    return 0


def run_schema(_: argparse.Namespace) -> int:
    """Print the schema, made from the types."""
    from edge.finding import Finding

    schema = Finding.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    print(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0


def _report_skipped(collection: Collection) -> int:
    """Name on stderr what is not judged, and why; the exit status for that alone."""
    from edge.text import one_line, path_text

    for folder in collection.closed:
        print(f"{one_line(path_text(folder))}: cannot read this folder.", file=sys.stderr)
    for folder in collection.empty:
        print(f"{one_line(path_text(folder))}: no videos or pictures here.", file=sys.stderr)
    for sentence in collection.skipped.sentences():
        print(f"Not judged: {sentence}", file=sys.stderr)
    return UNREADABLE if collection.closed else 0


def _print_skipped(skipped: Skipped) -> None:
    """Print what is not judged as the last line of JSON."""
    from edge.cli.output import print_json
    from edge.skipped import SkippedLine

    if skipped.total:
        print_json(SkippedLine(counts=skipped.counts, files=skipped.files).model_dump_json())
