"""`truelight config`: are the settings right, which hold now, and where does each come from?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.settings import Settings

_WIDEST = 28
"""Columns of the values; a longer one, a path most often, pushes what stands behind it."""

EPILOG = """\
exit status:
  0  the settings are right
  2  they are not: the sentence says which, where it stands and what is allowed
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser(
        "config", help="check and show the settings", description="Checks and shows the settings."
    )
    actions = command.add_subparsers(title="actions", metavar="check|show", required=True)
    check = actions.add_parser(
        "check",
        help="are they right?",
        description="Checks this machine's settings, or FILE laid over them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="another file to check")
    check.set_defaults(run=run_check)
    show = actions.add_parser(
        "show",
        help="which hold, and why?",
        description="Shows every setting as it holds now, where it was set if it was, and its "
        "default where it differs from that (marked with *).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("--json", action="store_true", help="as one JSON object, on stdout")
    show.add_argument("--config", type=Path, metavar="FILE", help="lay this file over them")
    show.set_defaults(run=run_show)


def run_check(chosen: argparse.Namespace) -> int:
    """Say in a line that the settings are right; what is not raises, and is said by `main`."""
    from edge.settings import MACHINE, load_settings, read_layer
    from edge.text import one_line, path_text

    load_settings(chosen.file)
    file = chosen.file or MACHINE
    if not file.is_file():
        print(f"OK: all is as shipped, there is no {one_line(path_text(file))}.")
        return 0
    number = len(read_layer(file))
    settings = f"{number or 'no'} setting{'s' * (number != 1)}"
    print(f"OK: {one_line(path_text(file))} holds {settings}.")
    return 0


def run_show(chosen: argparse.Namespace) -> int:
    """Print the settings as they hold."""
    from edge.settings import load_settings

    held = list(_held(load_settings(chosen.config)))
    if chosen.json:
        print(json.dumps({each.path: each.entry() for each in held}, ensure_ascii=False, indent=2))
    else:
        _print_table(held)
    return 0


@dataclass(frozen=True)
class Held:
    """A setting as it holds: its path as in `scan.windows`, its value, who set it."""

    path: str
    value: object
    default: object
    origin: str

    @property
    def changed(self) -> bool:
        """Whether it is not what ships."""
        return self.value != self.default

    def entry(self) -> dict[str, object]:
        """What `--json` says of it."""
        keys = {"value": self.value, "default": self.default, "changed": self.changed}
        return keys | {"origin": self.origin}


def _held(settings: Settings) -> Iterator[Held]:
    """Every setting, in the order of the shipped file."""
    values, defaults = settings.model_dump(), type(settings)().model_dump()
    for section, names in values.items():
        for name, value in names.items():
            path = f"{section}.{name}"
            yield Held(path, value, defaults[section][name], settings.origin(path))


def _print_table(held: list[Held]) -> None:
    """Columns: a mark, the path, the value, and of what was set here its place and default."""
    from rich.text import Text

    from edge.cli.output import open_console
    from edge.settings import SHIPPED
    from edge.text import columns, one_line

    console = open_console()
    paths = max(len(each.path) for each in held)
    said = [one_line(_said(each.path, each.value)) for each in held]
    widest = max(wide for wide in map(columns, said) if wide <= _WIDEST)
    section = held[0].path.split(".")[0]
    for each, value in zip(held, said, strict=True):
        if section != (section := each.path.split(".")[0]):
            console.print()
        mark, style = ("* ", "bold yellow") if each.changed else ("  ", "")
        line = Text.assemble((mark, style), (each.path.ljust(paths), style or "dim"), "  ")
        line.append(value, style)
        if not each.origin.startswith(f"{SHIPPED}, "):
            line.append(" " * (widest - columns(value)))
            line.append(f"  {one_line(each.origin)}")
        if each.changed:
            line.append(f"  (default: {_said(each.path, each.default)})", "dim")
        console.print(line, soft_wrap=True)


def _said(path: str, value: object) -> str:
    """A value as it is written in the file."""
    if path == "display.address":
        return f"{value:#x}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)
