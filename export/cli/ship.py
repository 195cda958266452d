"""`truelight-export ship`: notes bundles as Truelight's own."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.errors import TruelightError


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "ship",
        help="note bundles as Truelight's own, by their hashes",
        description="Load and verify bundles, and add the hashes of their bundle.json to the list "
        "in the program. Findings of bundles that are not in it say that they are not from "
        "Truelight. Run it last, when nothing in the bundle changes any more.",
    )
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="their folders")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Verify the bundles and add their hashes."""
    from edge.atomic_write import atomic_write
    from edge.scan.model import bundle_info
    from edge.scan.model.bundle import load_bundle

    lines = bundle_info.SHIPPED_FILE.read_text(encoding="utf-8").splitlines()
    for folder in args.bundles:
        info = bundle_info.read_bundle(folder)
        if not info.lacks_weights:
            load_bundle(info)
        if info.sha256 in bundle_info.shipped_hashes():
            print(f"{folder} is in the list already.")
            continue
        lines.append(f"{info.sha256}  {info.manifest.name} {info.manifest.version}")
        print(f"{folder} added: {lines[-1]}")
    try:
        atomic_write(bundle_info.SHIPPED_FILE, "\n".join(lines) + "\n")
    except OSError as failure:
        message = f"{bundle_info.SHIPPED_FILE} cannot be written: {failure.strerror}."
        raise TruelightError(message) from None
    return 0
