"""The commands, one module each: parse, call, show. The only package that prints."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from edge.settings import Settings

Commands = Any  # argparse's collection of subcommands, whose type is private
Run = Callable[[argparse.Namespace], int]


def add_command(
    commands: Commands,
    name: str,
    run: Run,
    summary: str,
    *,
    details: str = "",
    epilog: str = "",
    argument_default: str | None = None,
) -> argparse.ArgumentParser:
    """Add a command or an action: `summary` for the list above it, `details` for its own help."""
    width = min(shutil.get_terminal_size().columns, 100) - 2
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(details or f"{summary[0].upper()}{summary[1:]}.", width),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=epilog,
        argument_default=argument_default,
    )
    command.set_defaults(run=run)
    return command


def with_options(settings: Settings, options: Mapping[str, Mapping[str, object]]) -> Settings:
    """Lay options over settings: each `--name` sets keys; a value of None sets nothing."""
    for option, values in options.items():
        given = {key: value for key, value in values.items() if value is not None}
        settings = settings.changed(option, given) if given else settings
    return settings


def absolute(path: Path | None) -> str | None:
    """A path for the settings, independent of the working folder."""
    return None if path is None else str(path.absolute())


def add_config_option(command: argparse.ArgumentParser) -> None:
    """Add `--config FILE`, for settings that hold for this run only."""
    command.add_argument("--config", type=Path, metavar="FILE", help="settings for this run")


def open_terminal() -> TextIO | None:
    """Stderr by a descriptor of its own, if it is a terminal.

    Descriptor 2 is not always the terminal: libraries that are being loaded are kept from it.
    """
    if not sys.stderr.isatty():
        return None
    encoding = sys.stderr.encoding
    return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=encoding, errors="replace")
