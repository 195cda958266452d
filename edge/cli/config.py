"""`truelight config`: checks the settings, and shows each with its value and where it is set."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping

from rich.text import Text

from edge.cli.output import grid, open_console, show
from edge.settings import MACHINE, SHIPPED, Settings, load_settings, read_layer
from edge.text import count, one_line, path_text


def run_check(chosen: argparse.Namespace) -> int:
    """Print one line if the settings are valid; `main` reports the error otherwise."""
    load_settings(chosen.file)
    file = chosen.file or MACHINE
    name = one_line(path_text(file))
    if file.is_file():
        print(f"OK: {name} sets {count(len(read_layer(file)), 'value')}.")
    else:
        print(f"OK: all defaults, since {name} does not exist.")
    return 0


def run_show(chosen: argparse.Namespace) -> int:
    """Print the settings in force."""
    entries = dict(_entries(load_settings(chosen.config)))
    if chosen.json:
        print(json.dumps(entries, ensure_ascii=False, indent=2))
    else:
        _print_table(entries)
    return 0


def _entries(settings: Settings) -> Iterator[tuple[str, dict[str, object]]]:
    """Every setting by its path, in the order of the shipped file."""
    values, defaults = settings.model_dump(), type(settings)().model_dump()
    for section, names in values.items():
        for name, value in names.items():
            path, default = f"{section}.{name}", defaults[section][name]
            keys = {"value": value, "default": default, "changed": value != default}
            yield path, keys | {"origin": settings.origin(path)}


def _print_table(entries: Mapping[str, Mapping[str, object]]) -> None:
    """Print a mark, the path, the value, the default if it differs, and where it is set."""
    table = grid("left", "left")
    table.add_row("", *(Text(word, "dim") for word in ("setting", "value", "default", "set in")))
    section = ""
    for path, entry in entries.items():
        if section != (section := path.split(".")[0]):
            table.add_row()
        changed, origin = entry["changed"], str(entry["origin"])
        style = "bold yellow" if changed else ""
        table.add_row(
            Text("*" if changed else "", style),
            Text(path, style or "dim", no_wrap=True),
            Text(one_line(_yaml(path, entry["value"])), style),
            Text(_yaml(path, entry["default"]) if changed else "", "dim"),
            Text("" if origin.startswith(f"{SHIPPED}, ") else one_line(origin)),
        )
    show(open_console(), table)


def _yaml(path: str, value: object) -> str:
    """A value as the settings' file has it."""
    if path == "display.address":
        return f"{value:#x}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)
