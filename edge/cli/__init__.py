"""The commands, one module each: call, show. The only package that prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from edge.settings import Settings


def with_options(settings: Settings, options: Mapping[str, Mapping[str, object]]) -> Settings:
    """Lay options over settings: each `--name` sets keys; a value of None sets nothing."""
    for option, values in options.items():
        given = {key: value for key, value in values.items() if value is not None}
        settings = settings.changed(option, given) if given else settings
    return settings


def absolute(path: Path | None) -> str | None:
    """A path for the settings, independent of the working folder."""
    return None if path is None else str(path.absolute())


def open_terminal() -> TextIO | None:
    """Stderr by a descriptor of its own, if it is a terminal.

    Descriptor 2 is not always the terminal: libraries that are being loaded are kept from it.
    """
    if not sys.stderr.isatty():
        return None
    encoding = sys.stderr.encoding
    return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=encoding, errors="replace")
