"""`truelight-export opinion`: makes the model for second opinions."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from export.cli.arguments import (
    add_card_options,
    add_tower,
    at_least,
    between,
    encoder_of,
    shown_command,
    text_of,
    ways_of,
)


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "opinion",
        help="make the model for second opinions",
        description="Fit a head on cached features of labelled crops, scan labelled clips with it "
        "and with the bundle that will ask it, fit the rule that joins both, and write it all as a "
        "bundle.",
    )
    add = parser.add_argument
    add("features", type=Path, nargs="*", metavar="FEATURES", help="folders that teach wrote")
    add("--crops", dest="pictures", type=Path, action="append", default=[], metavar="FOLDER",
        help="crops with labels.tsv that the features are of; may be repeated")  # fmt: skip
    add("--tuned", type=Path, metavar="FILE", help="the file that tune wrote, instead of features")
    add("--clips", type=Path, required=True, metavar="CLIPS", help="clips with labels.tsv")
    add("--beside", dest="first", type=Path, required=True, metavar="BUNDLE",
        help="the bundle that asks")  # fmt: skip
    add("--out", type=Path, required=True, help="folder to make, as models/thorough")
    add("--replace", action="store_true", help="replace the bundle at --out")
    add_tower(parser)
    add("--ask", dest="crops", type=at_least(1), default=6, metavar="N",
        help="crops of a face to ask about (6)")  # fmt: skip
    add("--error", type=between(0, 0.5), default=0.05, help="highest rate of each error (0.05)")
    add("--compressions", default="", metavar="LIST",
        help="hold them for recompressed clips as well: crf32,crf40,half,... or all")  # fmt: skip
    add("--held-out", type=float, default=0.06, metavar="SHARE",
        help="of the sources the head never sees, as train (0.06)")  # fmt: skip
    add("--data", default="clips", help="the clips' name in the card")
    add_card_options(parser, "head's weights")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Make it, and show its figures."""
    from rich.console import Console

    from export.cli.output import StepBar
    from export.data.recompress import RECOMPRESSIONS
    from export.evaluate.second_opinion import (
        SUMMARY,
        SecondOpinionRequest,
        make_second_opinion,
    )

    known = {field.name for field in fields(SecondOpinionRequest)}
    given = {name: value for name, value in vars(args).items() if name in known}
    given["tower"] = encoder_of(args)
    given["compressions"] = ways_of(args.compressions, RECOMPRESSIONS)
    given["about"] = text_of(args.about)
    given["summary"] = args.summary or SUMMARY
    request = SecondOpinionRequest(**given, command=shown_command(args))
    console = Console()
    with StepBar(Console(stderr=True), "second opinion") as bar:
        manifest = make_second_opinion(request, bar.stage)
    for figure in manifest.figures:
        within = "" if figure.low is None else f" ({figure.low:.3f} to {figure.high:.3f})"
        line = f"{figure.name}: {figure.value:.3f}{within}, {figure.data}"
        console.print(line, highlight=False, soft_wrap=True)
    rule = manifest.beside
    assert rule is not None, "a second opinion has a rule"
    console.print(
        f"Both: logit = {rule.first:.4g} * first {rule.second:+.4g} * second {rule.offset:+.4g}; "
        f"REAL up to {rule.thresholds.real:.2f}, FAKE from {rule.thresholds.fake:.2f}.\n"
        f"Written to {args.out}.",
        highlight=False,
        soft_wrap=True,
    )
    return 0
