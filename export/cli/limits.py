"""`truelight-export limits`: measure how good a face must be for a bundle to judge it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from export.cli.arguments import typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from edge.scan.model.manifest import QualityLimits
    from export.evaluate.limits import Row


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "limits",
        help="measure how small, dark, blurred or brief a face may be",
        description="Make the faces of labelled clips smaller, darker, more blurred and briefer "
        "step by step, measure how far the bundle's answers move away from those to the same faces "
        "as they were, and set its quality limits where they still hold.",
    )
    parser.add_argument("bundle", type=Path, help="folder of the bundle; it is changed")
    parser.add_argument("clips", type=Path, help="folder of clips with labels.tsv")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.25,
        help="how far the logit may move: mean square, as a share of that between unrelated clips",
    )
    parser.add_argument("--data", default="clips", help="what the card calls the clips")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it: .png, .svg or .pdf")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--dry-run", action="store_true", help="show, change nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Worsen, ask, show, write."""
    from rich.console import Console

    from edge.errors import TruelightError
    from edge.scan.faces.search import FacePipeline
    from edge.scan.model.bundle import load_bundle
    from edge.settings import load_settings
    from export.cli.output import StepBar
    from export.convert.bundle import amend
    from export.data.folders import read_folder
    from export.evaluate.limits import limits, recorded, table
    from export.evaluate.robustness import try_clips

    clips = read_folder(args.clips)
    bundle = load_bundle(args.bundle)
    eyes = FacePipeline(load_settings().faces, bundle.manifest)
    with StepBar(Console(stderr=True), "worsening") as bar:
        rows = table(try_clips(bundle, eyes, clips, bar.at), bundle.manifest)
    if not rows:
        raise TruelightError(
            f"{args.clips} has too few good faces to tell.", "Some dozen clips are needed."
        )
    found = limits(rows, bundle.manifest.quality, args.tolerance)
    if args.plot:
        from export.evaluate.limits import draw

        draw(rows, found, args.tolerance, args.plot)
    if args.json:
        print(_json(rows, found))
    else:
        _show(rows, found, bundle.manifest.quality)
    if not args.dry_run:
        figures = recorded(rows, f"{args.data}, faces made worse", typed(sys.argv[1:]))
        amend(args.bundle, quality=found, figures=figures)
    return 0


def _show(rows: Sequence[Row], found: QualityLimits, now: QualityLimits) -> None:
    from rich.console import Console

    console = Console()
    console.print(_table(rows, found))
    for name, unit in (
        ("face_px", " px"), ("light", " of 255"), ("sharpness", ""), ("seconds", " s")
    ):  # fmt: skip
        before = f"{getattr(now, name):g}{unit}"
        console.print(f"{name}: at least {getattr(found, name):g}{unit} (was {before})")


def _table(rows: Sequence[Row], found: QualityLimits) -> Table:
    from rich.table import Table

    table = Table(
        "measure", "step", "faces", "sources", "change", "95 %", "AUC before", "after",
        "other verdict", "FAKE of reals", "REAL of fakes", "", box=None, header_style="dim",
    )  # fmt: skip
    for row in rows:
        low, high = row.change_interval
        table.add_row(
            row.measure, f"{row.step:g}", str(row.faces), str(row.sources), f"{row.change:.3f}",
            f"{low:.3f} to {high:.3f}", f"{row.auc_before:.3f}", f"{row.auc_after:.3f}",
            f"{row.changed:.0%}", f"{row.false_alarms:.0%}", f"{row.missed:.0%}",
            "limit" if getattr(found, row.measure) == row.step else "",
        )  # fmt: skip
    return table


def _json(rows: Sequence[Row], found: QualityLimits) -> str:
    import json
    import math
    from dataclasses import asdict

    listed = [
        {key: None if isinstance(value, float) and math.isnan(value) else value
         for key, value in asdict(row).items()}
        for row in rows
    ]  # fmt: skip
    return json.dumps({"quality": found.model_dump(), "steps": listed})
