"""`truelight-export bundle`: a checkpoint -> a bundle; `recover`: back; `card`: a new card."""

from __future__ import annotations

import argparse
import contextlib
import io
import shlex
from contextlib import redirect_stderr
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import TruelightError
from export.cli.arguments import add_card_options, at_least, counts, shown_command, text_of

if TYPE_CHECKING:
    from edge.scan.model.manifest import MeasuredFigure

RENAMED = {
    "false alarms (FAKE said of a real)": "false positive rate (real clips called FAKE)",
    "missed (REAL said of a fake)": "false negative rate (fake clips called REAL)",
    "FAKE said of a fake": "fake clips called FAKE",
    "REAL said of a real": "real clips called REAL",
    "false alarms, ": "false positive rate, ",
    "missed, ": "false negative rate, ",
    "fakes found at 1 % false alarms": "fakes found at a false positive rate of 1 %",
    "fakes found at 5 % false alarms": "fakes found at a false positive rate of 5 %",
    "memory in MB at most, ": "peak memory in MB, ",
    "sources judged by a head": "sources scored by a head",
}
"""Names of figures in bundles of format 1, by their beginning or part."""


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to `truelight-export`."""
    parser = subparsers.add_parser(
        "bundle",
        help="export a checkpoint to a bundle",
        description="Export a checkpoint, our own or a published one, to a folder that the box can "
        "load, and prove that it gives the same answers.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT")
    add("--out", type=Path, required=True, help="folder to make, as models/NAME")
    add("--replace", action="store_true", help="replace the bundle at --out")
    add("--calibrate", type=Path, metavar="FOLDER", help="clips or crops to calibrate int8 on "
        "(default: float32)")  # fmt: skip
    add("--check", type=Path, metavar="FOLDER", help="other clips or crops to compare int8 on")
    add("--crops", type=at_least(1), default=256, metavar="N", help="crops of each folder (256)")
    add("--readout", choices=("mean", "last"), help="of a published checkpoint's LSTM")
    add("--frames", type=int, metavar="N", help="crops in a window")
    add("--rate", type=float, metavar="HZ", help="frames a second in a window")
    add("--group-factors", type=counts, metavar="A,B,C,D", help="by which to merge the groups of "
        "each stage's 3x3 convolutions (default: measured on this machine)")  # fmt: skip
    add_card_options(parser, "weights")
    parser.set_defaults(run=run, parser=parser)

    parser = subparsers.add_parser(
        "recover",
        help="turn a bundle back into a checkpoint",
        description="Turn the int8 graphs of a bundle of our network into a checkpoint that train "
        "can start from, and compare both on crops; or a second opinion into the file of its layer "
        "norms and head that teach, heads and opinion take.",
    )
    add = parser.add_argument
    add("bundle", type=Path, metavar="BUNDLE")
    add("--crops", dest="folder", type=Path, metavar="FOLDER",
        help="clips or crops to measure the norms' statistics on, of our network")  # fmt: skip
    add("--count", type=at_least(8), default=512, metavar="N", help="crops of the folder (512)")
    add("--out", type=Path, required=True, metavar="FILE", help="checkpoint to write")
    parser.set_defaults(run=run_recover, parser=parser)

    parser = subparsers.add_parser(
        "card",
        help="rewrite a bundle's card in the newest format",
        description="Write a bundle again in the newest format, with its card made from its "
        "figures, and maybe with another text about the model.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--about", type=Path, metavar="FILE", help="Markdown for the card")
    parser.set_defaults(run=run_card, parser=parser)

    parser = subparsers.add_parser(
        "ship",
        help="note bundles as Truelight's own, by their hashes",
        description="Load and verify bundles, and add the hashes of their bundle.json to the list "
        "in the program. Findings of bundles that are not in it say that they are not from "
        "Truelight. Run it last, when nothing in the bundle changes any more.",
    )
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="their folders")
    parser.set_defaults(run=run_ship, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Export and show the proofs."""
    from rich.console import Console
    from rich.table import Table

    from export.cli.output import StepBar
    from export.convert.bundle import make_bundle
    from export.convert.plan import BundleRequest

    given = {f.name: getattr(args, f.name) for f in fields(BundleRequest) if hasattr(args, f.name)}
    given |= {"about": text_of(args.about), "command": shown_command(args)}
    request = BundleRequest(**given)
    console = Console()
    with StepBar(Console(stderr=True), "exporting") as bar:
        manifest = make_bundle(request, bar.stage)
    table = Table("proof", "value", "on", box=None, header_style="dim")
    for figure in manifest.figures:
        table.add_row(figure.name, f"{figure.value:.3g}", figure.data)
    console.print(table)
    quantization = manifest.graphs.quantization
    console.print(f"{args.out}: {manifest.name} {manifest.version}, {quantization}.")
    return 0


def run_recover(args: argparse.Namespace) -> int:
    """Recover and show how far the checkpoint is from the bundle."""
    from rich.console import Console

    from edge.scan.model.bundle_info import read_bundle
    from export.cli.output import StepBar
    from export.clip.adapter import bundle_adapter, write_adapter
    from export.convert.recover import recover

    if read_bundle(args.bundle).manifest.kind == "tower":
        write_adapter(args.out, bundle_adapter(args.bundle), steps=0)
        print(f"{args.out} was written.")
        return 0
    if not args.folder:
        args.parser.error("--crops is needed to recover our network")
    with StepBar(Console(stderr=True), "recovering") as bar:
        found = recover(
            args.bundle,
            args.folder,
            args.count,
            args.out,
            bar.stage,
        )
    print(
        f"{args.out} was written.\n"
        f"Logits on {found.crops} other crops differ from the bundle's by {found.mean:.3f} on "
        f"average and {found.largest:.3f} at most; their standard deviation is {found.spread:.2f}."
    )
    return 0


def run_card(args: argparse.Namespace) -> int:
    """Rewrite the bundle."""
    from export.convert.bundle import amend

    amend(args.bundle, about=text_of(args.about) or None, revise=_revised)
    print(f"{args.bundle}: bundle.json, figures.json and CARD.md were written.")
    return 0


def _revised(figure: MeasuredFigure) -> MeasuredFigure:
    """A figure with today's name, and its command without local file names."""
    from export.cli.main import build_parser

    name = figure.name
    for old, new in RENAMED.items():
        name = name.replace(old, new)
    data = figure.data.replace("each source judged by", "each source scored by")
    command = figure.command
    # A command that no longer exists stays as it was.
    with contextlib.suppress(SystemExit, ValueError), redirect_stderr(io.StringIO()):
        if words := shlex.split(command)[1:]:
            command = shown_command(build_parser().parse_args(words))
    return figure.model_copy(update={"name": name, "data": data, "command": command})


def run_ship(args: argparse.Namespace) -> int:
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
