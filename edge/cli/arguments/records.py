"""The arguments of the commands that show what is stored: `history`, `models`, `config`."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from pathlib import Path

from edge.cli.arguments import Commands, add_command, add_config_option

_VERDICTS = ("real", "fake", "unsure", "no-face", "unreadable")
_ORIGINS = ("camera", "stick", "inbox")
_LISTED = 10
"""Visits listed by default."""


_HISTORY_EPILOG = """\
examples:
  truelight history --verdict fake --since 2026-11-01
  truelight history show 41
  truelight history report 12 --out report.html
  truelight history export --csv > findings.csv
"""


def add_history(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "history",
        "edge.cli.history:run_list",
        "list past findings",
        details="Lists past findings by visit, the newest first. A visit is a USB stick, a "
        "recording, or what lay in the inbox.",
        epilog=_HISTORY_EPILOG,
    )
    _add_filters(command)
    command.add_argument(
        "--last", type=int, default=_LISTED, metavar="N", help=f"visits (default {_LISTED}; 0: all)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object per visit")
    _add_place(command)
    command.set_defaults(csv=False)
    actions = command.add_subparsers(title="actions", metavar="show|report|export")
    # An action's option that is not given must not override the same option before the action.
    unset = {"argument_default": argparse.SUPPRESS}
    show = add_command(actions, "show", "edge.cli.history:run_show", "show one finding", **unset)
    show.add_argument("entry", type=int, metavar="ID", help="the finding's number")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    report = add_command(
        actions, "report", "edge.cli.history:run_report", "write a visit's report again", **unset
    )
    report.add_argument("visit_id", type=int, metavar="VISIT", help="the visit's number")
    report.add_argument(
        "--out", type=Path, metavar="FILE", required=True, help="a web page; JSON if named *.json"
    )
    export = add_command(
        actions, "export", "edge.cli.history:run_export", "export findings or reports", **unset
    )
    forms = export.add_mutually_exclusive_group(required=True)
    forms.add_argument(
        "folder", nargs="?", default=None, type=Path, metavar="DIR", help="write all reports here"
    )
    forms.add_argument("--json", action="store_true", help="print one JSON object per finding")
    forms.add_argument("--csv", action="store_true", help="print a table, one line per finding")
    _add_filters(export)
    for action in (show, report, export):
        _add_place(action)


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--store", type=Path, metavar="DIR", help="read the history in this folder"
    )
    add_config_option(command)


def _add_filters(command: argparse.ArgumentParser) -> None:
    command.add_argument("--verdict", choices=_VERDICTS, help="only findings with this verdict")
    command.add_argument("--origin", choices=_ORIGINS, help="only clips from this source")
    command.add_argument(
        "--visit", type=int, metavar="N", help="only this visit, with all findings"
    )
    command.add_argument("--since", type=_day, metavar="DATE", help="only from this day on")
    command.add_argument("--until", type=_last_day, metavar="DATE", help="only up to this day")


def _day(text: str) -> datetime:
    """The beginning of a day, or a moment, in this machine's zone."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2026-11-22") from None


def _last_day(text: str) -> datetime:
    """The end of a day, or a moment."""
    moment = _day(text)
    return moment + timedelta(days=1) if len(text) <= len("2026-11-22") else moment


def add_models(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "models",
        "edge.cli.models:run",
        "list the model bundles and their accuracy",
        details="Lists the model bundles with their headline figures. * marks the one that "
        "judges by default.",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object per bundle")
    command.add_argument("--all", action="store_true", help="print every figure")
    add_config_option(command)
    actions = command.add_subparsers(title="actions", metavar="add|fetch")
    add = add_command(
        actions,
        "add",
        "edge.cli.models:run_add",
        "download third-party weights for a model",
        details="Downloads the weights that a bundle needs but does not contain, verifies their "
        "hash and tests the bundle. It needs a network, or pip's cache.",
        epilog="NAME is thorough, the model for second opinions: about 90 MB on the disk.",
    )
    add.add_argument("name", metavar="NAME", help="a bundle in the folder of models")
    add.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="put the whole bundle into another folder"
    )
    add_config_option(add)
    add_command(
        actions,
        "fetch",
        "edge.cli.models:run_fetch",
        "download the face detector's models",
        details="Downloads the face detector's models and verifies their hashes.",
    )


_CONFIG_EPILOG = """\
exit status:
  0  the settings are valid
  2  a setting is not valid: the message names it, its place and the allowed values
"""


def add_config(commands: Commands) -> None:
    """Describe the command."""
    command = commands.add_parser(
        "config", help="check and show the settings", description="Checks and shows the settings."
    )
    actions = command.add_subparsers(title="actions", metavar="check|show", required=True)
    check = add_command(
        actions,
        "check",
        "edge.cli.config:run_check",
        "check the settings of this machine, or a file",
        details="Checks the settings of this machine, or those in FILE.",
        epilog=_CONFIG_EPILOG,
    )
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="another file to check")
    show = add_command(
        actions,
        "show",
        "edge.cli.config:run_show",
        "show every setting, and where it is set",
        details="Shows every setting with its value. A setting that differs from its default is "
        "marked with * and followed by the place where it is set.",
        epilog=_CONFIG_EPILOG,
    )
    show.add_argument("--json", action="store_true", help="print one JSON object")
    add_config_option(show)
