"""The terminal that commands print to, or the pipe or file in its stead."""

from __future__ import annotations

import io
import sys

from rich.console import Console

UNBOUNDED = 10_000


def open_console() -> Console:
    """Stdout, with colours and an edge to wrap at if it is a terminal.

    A pipe or a file gets the same words without a control code, in lines as long as they are.
    """
    # What a terminal's character set lacks becomes a question mark, not an error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if sys.stdout.isatty():
        return Console(highlight=False, emoji=False, markup=False)
    return Console(
        file=sys.stdout,
        width=UNBOUNDED,
        color_system=None,
        highlight=False,
        emoji=False,
        markup=False,
    )
