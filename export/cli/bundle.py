"""`truelight-export bundle`: a checkpoint -> a bundle, proven."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from export.cli.arguments import typed

if TYPE_CHECKING:
    from rich.table import Table

    from edge.scan.model.manifest import Manifest


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "bundle",
        help="export a checkpoint to a bundle",
        description="Export a checkpoint, our own or a published one, to a folder that the box can "
        "load, and prove that it answers alike.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT")
    add("--out", type=Path, required=True, help="folder to make, as models/NAME")
    add("--replace", action="store_true", help="replace the bundle at --out")
    add("--calibrate", type=Path, metavar="FOLDER", help="clips or crops to calibrate int8 on; "
        "without it the graphs stay float32")  # fmt: skip
    add("--check", type=Path, metavar="FOLDER", help="other clips or crops to compare int8 on")
    add("--crops", type=int, default=256, metavar="N", help="crops taken of each folder (256)")
    add("--readout", choices=("mean", "last"), help="of a published checkpoint's LSTM")
    add("--frames", type=int, metavar="N", help="crops in a window")
    add("--rate", type=float, metavar="HZ", help="frames a second in a window")
    add("--group-factors", type=_factors, metavar="A,B,C,D", help="by which to merge the groups of "
        "each stage's 3x3 convolutions; measured on this machine if not given")  # fmt: skip
    add("--name", default="", help="of the bundle; that of the folder if not given")
    add("--version", default="1")
    add("--licence", default="not stated", help="of the weights")
    add("--summary", default="", help="one sentence")
    add("--about", type=Path, metavar="FILE", help="Markdown for the card: what it was trained on, "
        "what it cannot see")  # fmt: skip
    parser.set_defaults(run=run)


def _factors(text: str) -> tuple[int, ...]:
    factors = tuple(int(part) for part in text.split(","))
    if len(factors) != 4 or min(factors) < 1:
        raise ValueError(text)
    return factors


def run(args: argparse.Namespace) -> int:
    """Export; show the proofs."""
    from rich.console import Console

    from export.cli.output import StepBar
    from export.convert.bundle import make_bundle
    from export.convert.plan import Order

    order = Order(
        checkpoint=args.checkpoint,
        out=args.out,
        calibrate=args.calibrate,
        check=args.check,
        crops=args.crops,
        readout=args.readout,
        frames=args.frames,
        rate=args.rate,
        group_factors=args.group_factors,
        name=args.name,
        version=args.version,
        licence=args.licence,
        summary=args.summary,
        about=args.about.read_text(encoding="utf-8") if args.about else "",
        replace=args.replace,
        command=typed(sys.argv[1:]),
    )
    console = Console()
    with StepBar(Console(stderr=True), "exporting") as bar:
        manifest = make_bundle(order, lambda stage, done, total: bar.at(done, total, stage))
    console.print(proofs(manifest))
    console.print(
        f"{args.out}: {manifest.name} {manifest.version}, {manifest.graphs.quantization}."
    )
    return 0


def proofs(manifest: Manifest) -> Table:
    """The proofs as a table."""
    from rich.table import Table

    table = Table("proof", "value", "on", box=None, header_style="dim")
    for figure in manifest.figures:
        table.add_row(figure.name, f"{figure.value:.3g}", figure.data)
    return table
