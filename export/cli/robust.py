"""`truelight-export robust`: a head that answers alike on a clip, recompressed or smoothed."""

from __future__ import annotations

import argparse
from pathlib import Path

from export.cli.arguments import add_tower, between, encoder_of, ways_of

WAYS = "crf32,crf40,half,smooth"


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "robust",
        help="make a head answer alike on recompressed and smoothed clips",
        description="Scan the real clips that labels.tsv names as they are, recompressed and "
        "smoothed, and change a head so that its answer moves little. Other faces' answers "
        "change as little as possible, by the covariance of cached features.",
    )
    add = parser.add_argument
    add("features", type=Path, nargs="+", metavar="FEATURES", help="folders that teach wrote")
    add("--tuned", type=Path, required=True, metavar="FILE", help="the head to change")
    add("--clips", type=Path, required=True, metavar="CLIPS", help="clips with labels.tsv")
    add("--beside", type=Path, required=True, metavar="FIRST", help="the bundle that asks")
    add("--compressions", default=WAYS, metavar="LIST", help=f"crf23, ... or all ({WAYS})")
    add("--strength", type=between(0, 1e6), default=1.0, help="of the change (1)")
    add("--out", type=Path, required=True, metavar="FILE", help="the new head, for opinion")
    add_tower(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Scan, solve, show, write."""
    from rich.console import Console

    from export.cli.output import StepBar
    from export.clip.adapter import read_adapter, write_adapter
    from export.clip.teacher import load_features
    from export.data.recompress import RECOMPRESSIONS
    from export.evaluate.robust import covariance_of, measure_changes, robust_head
    from export.evaluate.second_opinion import SecondOpinionRequest

    ways, tower = ways_of(args.compressions, RECOMPRESSIONS), encoder_of(args)
    before = read_adapter(args.tuned, tower)
    covariance = covariance_of([load_features(folder) for folder in args.features], before)
    request = SecondOpinionRequest(
        features=(),
        pictures=(),
        tuned=args.tuned,
        clips=args.clips,
        first=args.beside,
        tower=tower,
        out=args.out,
    )
    with StepBar(Console(stderr=True), "scanning") as bar:
        measured = measure_changes(request, ways, bar.at)
    after = robust_head(before, covariance, measured, args.strength)
    moved = [float((measured.changes @ head.weight).mean()) for head in (before, after)]
    print(
        f"{len(measured.changes)} recompressed real clips: the logit rises by {moved[0]:+.2f} on "
        f"average, by {moved[1]:+.2f} with the new head."
    )
    write_adapter(args.out, after, steps=0)
    print(f"{args.out} was written.")
    return 0
