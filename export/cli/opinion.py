"""`truelight-export opinion`: make the model for second opinions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from export.cli.arguments import typed
from export.cli.teach import add_tower

if TYPE_CHECKING:
    from export.evaluate.second_opinion import Outcome


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "opinion",
        help="make the model for second opinions",
        description="Fit a head on cached features of labelled crops, scan labelled clips with it "
        "and with the bundle that will ask it, fit the rule that joins both, and write it all as a "
        "bundle.",
    )
    add = parser.add_argument
    add("features", type=Path, nargs="*", help="folders that teach wrote")
    add("--crops", type=Path, action="append", default=[], metavar="FOLDER",
        help="crops with labels.tsv that the features are of; may be given again")  # fmt: skip
    add("--tuned", type=Path, metavar="FILE", help="what tune wrote, instead of features")
    add("--clips", type=Path, required=True, help="folder of clips with labels.tsv")
    add("--beside", type=Path, required=True, metavar="BUNDLE", help="the bundle that asks")
    add("--out", type=Path, required=True, help="folder to make, as models/thorough")
    add("--replace", action="store_true", help="replace the bundle at --out")
    add_tower(parser)
    add("--ask", type=int, default=6, metavar="N", help="crops of a face that are asked about (6)")
    add("--error", type=float, default=0.05, help="share of wrong REAL, wrong FAKE")
    add("--held-out", type=float, default=0.06, metavar="SHARE",
        help="of the sources the head never sees, as train (0.06)")  # fmt: skip
    add("--name", default="", help="of the bundle; that of the folder if not given")
    add("--version", default="1")
    add("--licence", default="not stated", help="of the head's weights")
    add("--summary", default="", help="one sentence")
    add("--about", type=Path, metavar="FILE", help="Markdown for the card")
    add("--data", default="clips", help="what the card calls the clips")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make it, and say what came of it."""
    from rich.console import Console

    from export.cli.output import StepBar
    from export.clip.graph import PACKAGED, read_tower
    from export.evaluate.second_opinion import SUMMARY, Wish, make_opinion

    wish = Wish(
        features=args.features,
        pictures=args.crops,
        tuned=args.tuned,
        clips=args.clips,
        first=args.beside,
        tower=read_tower(args.tower, args.sha256 or PACKAGED),
        out=args.out,
        crops=args.ask,
        error=args.error,
        held_out=args.held_out,
        name=args.name,
        version=args.version,
        licence=args.licence,
        summary=args.summary or SUMMARY,
        about=args.about.read_text(encoding="utf-8") if args.about else "",
        data=args.data,
        command=typed(sys.argv[1:]),
        replace=args.replace,
    )
    console = Console()
    with StepBar(Console(stderr=True), "second opinion") as bar:
        outcome = make_opinion(wish, lambda stage, done, total: bar.at(done, total, stage))
    console.print(_told(outcome), highlight=False)
    console.print(f"Written to {args.out}.", soft_wrap=True)
    return 0


def _told(outcome: Outcome) -> str:
    """What came of it, a line a fact."""
    beside = outcome.manifest.beside
    assert beside is not None, "an opinion has a rule"
    lines = []
    for figure in outcome.manifest.figures:
        within = "" if figure.low is None else f" ({figure.low:.3f} to {figure.high:.3f})"
        lines.append(f"{figure.name}: {figure.value:.3f}{within}, {figure.data}")
    lines.append(
        f"Both: logit = {beside.first:.4g} * first {beside.second:+.4g} * second "
        f"{beside.offset:+.4g}; REAL up to {beside.thresholds.real:.2f}, "
        f"FAKE from {beside.thresholds.fake:.2f}."
    )
    return "\n".join(lines)
