"""The command line: every command's arguments, and the function that runs it.

A command's own module is imported when it runs. So nothing heavy is imported here, `--help` answers
at once, and the modules of the commands import what they need at their top.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from pathlib import Path
from typing import Any

Commands = Any  # argparse's collection of subcommands, whose type is private


def add_command(
    commands: Commands,
    name: str,
    run: str,
    summary: str,
    *,
    details: str = "",
    epilog: str = "",
    argument_default: str | None = None,
) -> argparse.ArgumentParser:
    """Add a command or an action: `summary` for the list above it, `details` for its own help.

    `run` names the function that runs it, as "module:function"; it gets the arguments and returns
    the exit status.
    """
    width = min(shutil.get_terminal_size().columns, 100) - 2
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(details or f"{summary[0].upper()}{summary[1:]}.", width),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=epilog,
        argument_default=argument_default,
    )
    command.set_defaults(run=run, parser=command)
    return command


def add_config_option(command: argparse.ArgumentParser) -> None:
    """Add `--config FILE`, for settings that hold for this run only."""
    command.add_argument("--config", type=Path, metavar="FILE", help="settings for this run")
