"""`truelight scan`: judges files and folders.

What takes long to import is imported in steps, while the parts that are ready work: the decoder
process starts first, then gets the first clip, then this process imports the scanner.
"""

from __future__ import annotations

import argparse
import gc
import sys
from typing import TYPE_CHECKING

from edge.errors import TruelightError
from edge.scan.media.decoders import Decoders

if TYPE_CHECKING:
    from edge.scan.collect import Collection

UNREADABLE = 1


def run(chosen: argparse.Namespace) -> int:
    """Judge the clips; 1 if something could not be read, else 0."""
    if not chosen.paths:
        raise TruelightError("PATH is missing.", "Name a file or a folder.")
    gc.disable()  # until the first clip is judged: see `main`
    with Decoders(spare=True) as decoders:
        decoders.renew()
        return _judge(chosen, decoders)


def _judge(chosen: argparse.Namespace, decoders: Decoders) -> int:
    from edge.cli import with_options
    from edge.scan.begin import begin
    from edge.scan.collect import collect
    from edge.settings import load_settings

    settings = with_options(
        load_settings(chosen.config),
        {
            "--bundle": {"model.bundle": chosen.bundle},
            "--windows": {"scan.windows": chosen.windows},
            "--first": {"scan.first": chosen.first},
            "--second": {"second_opinion.ask": chosen.second},
        },
    )
    collection = collect(chosen.paths)
    status = _report_skipped(collection)
    if collection.clips:
        begin(decoders, settings, collection.clips[0])
        from edge.cli.scan_clips import scan_clips

        if not scan_clips(collection.clips, settings, decoders, json=chosen.json):
            status = UNREADABLE
    if chosen.json:
        from edge.cli.json_lines import print_skipped

        print_skipped(collection.skipped)
    return status


def _report_skipped(collection: Collection) -> int:
    """Name on stderr what is not judged, and why; the exit status for that alone."""
    from edge.text import one_line, path_text

    for folder in collection.closed:
        print(f"{one_line(path_text(folder))}: cannot read this folder.", file=sys.stderr)
    for folder in collection.empty:
        print(f"{one_line(path_text(folder))}: no videos or pictures here.", file=sys.stderr)
    for sentence in collection.skipped.sentences():
        print(f"Not judged: {sentence}", file=sys.stderr)
    return UNREADABLE if collection.closed else 0


def run_formats(_: argparse.Namespace) -> int:
    """Print the table of formats: `truelight scan --formats`."""
    from edge.scan.media.formats import READ
    from edge.scan.media.unsupported import UNSUPPORTED

    for title, rows in (("Read:", READ), ("Recognised, and not read:", UNSUPPORTED)):
        print(title)
        for row in rows:
            print(f"  {row.name[0].upper()}{row.name[1:]}: {', '.join(row.endings) or 'any name'}")
    return 0
