"""The arguments of the commands that judge clips: `scan`, `schema`, `archive`, `bench`."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.cli.arguments import Commands, add_command, add_config_option

_SCAN_EPILOG = """\
exit status:
  0  every clip was judged, or there was none
  1  some clips could not be read
  2  wrong usage, wrong settings, or a model that cannot be used
"""


def add_scan(commands: Commands) -> None:
    """Describe `scan`."""
    command = add_command(
        commands,
        "scan",
        "edge.cli.scan:run",
        "judge videos and pictures: files and folders, recursively",
        epilog=_SCAN_EPILOG,
    )
    command.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a file or a folder")
    command.add_argument(
        "--formats",
        action="store_const",
        dest="run",
        const="edge.cli.scan:run_formats",
        help="list the kinds of files that are read, and end",
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


def add_schema(commands: Commands) -> None:
    """Describe `schema`."""
    add_command(
        commands,
        "schema",
        "edge.cli.json_lines:run",
        "print the JSON Schema of a line of scan --json",
    )


_FIRST = ("listed", "recent", "oldest", "small", "large")


_ARCHIVE_EPILOG = """\
examples:
  truelight archive /srv/clips --out findings
  truelight archive s3://bucket/2026 --out findings --hours 6 --first recent
  truelight archive --list clips.txt --out findings --scheduler tcp://10.0.0.5:8786

A run that was ended, or killed, goes on where it stopped if the same command is run again.

exit status:
  0  every clip has a row, or the hours are over
  1  some clips could not be read
  2  wrong usage, a model that cannot be used, a lost cluster, a full disk
"""


def add_archive(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "archive",
        "edge.cli.archive:run",
        "judge thousands of clips on many cores or machines",
        details="Judges clips on a Dask cluster and writes one row a clip and one row a face "
        "to Parquet files. Equal files are judged once.",
        epilog=_ARCHIVE_EPILOG,
    )
    command.add_argument(
        "paths", nargs="*", metavar="PATH", help="a file, a folder, or an address like s3://bucket"
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where the findings are kept"
    )
    command.add_argument(
        "--list", type=Path, metavar="FILE", help="a text file with one path or address a line"
    )
    command.add_argument("--report", action="store_true", help="write report.html into the folder")
    command.add_argument(
        "--first", choices=_FIRST, default="listed", help="which clips are judged first"
    )
    command.add_argument(
        "--hours", type=_positive, metavar="N", help="begin no further clip after N hours"
    )
    command.add_argument(
        "--again", action="store_true", help="try clips again that could not be read before"
    )
    cluster = command.add_argument_group("cluster")
    cluster.add_argument("--workers", type=int, metavar="N", help="local workers, one core each")
    cluster.add_argument(
        "--memory", type=_positive, metavar="GB", help="limit of each local worker (default 1.5)"
    )
    cluster.add_argument(
        "--spool", type=Path, metavar="FOLDER", help="where local workers put fetched clips"
    )
    cluster.add_argument(
        "--scheduler",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="use the workers of this Dask scheduler; without ADDRESS, of Dask's configuration",
    )
    cluster.add_argument(
        "--clip-seconds",
        type=_positive,
        default=600.0,
        metavar="N",
        help="a worker that takes longer for a clip is ended (default 600)",
    )
    command.add_argument("--bundle", metavar="NAME|DIR", help="use another model bundle")
    command.add_argument(
        "--second", metavar="WHEN", help="ask a second model: never, unsure or always"
    )
    command.add_argument("--heat", action="store_true", help="keep heat maps of suspicious faces")
    add_config_option(command)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def add_bench(commands: Commands) -> None:
    """Describe `bench`."""
    command = add_command(
        commands,
        "bench",
        "edge.cli.bench:run",
        "measure how fast this machine judges a clip",
        details=(
            "Judges a clip several times and shows where the time goes, beside what this machine "
            "can do at best. docs/performance.md has a table of machines: add yours."
        ),
    )
    command.add_argument("clip", nargs="?", type=Path, metavar="CLIP", help="default: a sample")
    command.add_argument("--runs", type=int, default=5, metavar="N", help="scans (default: 5)")
    command.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    command.add_argument(
        "--second", metavar="WHEN", help="ask a second model: never, unsure or always"
    )
    add_config_option(command)
