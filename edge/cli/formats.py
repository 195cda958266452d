"""`truelight scan --formats`: the kinds of files that are read."""

from __future__ import annotations

import argparse

from edge.scan.media.formats import READ
from edge.scan.media.unsupported import UNSUPPORTED


def run(_: argparse.Namespace) -> int:
    """Print the table of formats."""
    for title, rows in (("Read:", READ), ("Recognised, and not read:", UNSUPPORTED)):
        print(title)
        for row in rows:
            print(f"  {row.name[0].upper()}{row.name[1:]}: {', '.join(row.endings) or 'any name'}")
    return 0
