"""`truelight-export evaluate`: a bundle's figures; `reference`: its reference findings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import TruelightError
from export.cli.arguments import counts, shown_command, ways_of

if TYPE_CHECKING:
    from edge.scan.scanner import Scanner
    from edge.settings import Settings
    from export.evaluate.frame_counts import MeasuringScanner
    from export.evaluate.measure import Conditions
    from export.evaluate.records import Prediction

FRAMES = "10,20,40,60,80,100"
"""Numbers of frames for which published systems report their accuracy."""


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to `truelight-export`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a bundle on labelled clips or crops",
        description="Scan the clips that a folder's labels.tsv names (file, label, source; method, "
        "dataset and pair if there are) and measure the bundle, with 95 % intervals over sources. "
        "docs/evaluation.md explains every figure.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument("clips", type=Path, nargs="?", metavar="CLIPS",
        help="folder of clips with labels.tsv")  # fmt: skip
    add = parser.add_argument_group("measure on, instead of clips").add_argument
    add("--crops", type=Path, metavar="FOLDER", help="folder of face crops, taken as they are")
    add("--held-out", type=float, default=1.0, metavar="SHARE",
        help="with --crops: only the sources that train holds out (its share: 0.06)")  # fmt: skip
    add("--from", dest="tables", type=Path, nargs="+", metavar="FILE",
        help="scores that --scores wrote; nothing is scanned")  # fmt: skip
    add = parser.add_argument_group("measure as well").add_argument
    add("--compressions", default="", metavar="LIST",
        help="of crf23,crf32,crf40,half,smooth,refilmed, or all; crops: jpeg40")  # fmt: skip
    add("--cache", type=Path, metavar="FOLDER", help="keep recompressed clips here for reuse")
    add("--frames", type=counts, nargs="?", const=counts(FRAMES), default=(), metavar="LIST",
        help=f"only the first frames ({FRAMES})")  # fmt: skip
    add("--spread", action="store_true", help="with --frames: windows over the whole clip instead")
    add("--second", type=Path, nargs="?", const=True, metavar="BUNDLE",
        help="a second opinion, by this bundle or that of the settings")  # fmt: skip
    add = parser.add_argument_group("output").add_argument
    add("--json", action="store_true", help="one JSON object on stdout")
    add("--html", type=Path, metavar="FILE", help="write a page with plots")
    add(
        "--scores",
        type=Path,
        metavar="FILE",
        help="write a row for each score; a run that was stopped goes on from there",
    )
    add("--record", metavar="DATA",
        help="write the main figures into the bundle and its card, as of DATA, and those with a "
        "second opinion into that of --second")  # fmt: skip
    parser.set_defaults(run=run, parser=parser)

    parser = subparsers.add_parser(
        "reference",
        help="write a bundle's reference findings",
        description="Scan the clips in a folder and write their verdicts and probabilities to "
        "reference.json in the bundle. Fails unless there are clips on both sides of each "
        "threshold. With --check, compare with the table instead.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument("clips", type=Path, metavar="CLIPS", help="folder of clips")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.set_defaults(run=run_reference, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Measure and show."""
    from rich.console import Console

    from export.evaluate.card_figures import card_figures, second_figures
    from export.evaluate.records import read_scores
    from export.evaluate.summary import figures

    if sum(given is not None for given in (args.clips, args.crops, args.tables)) != 1:
        raise TruelightError("One of CLIPS, --crops FOLDER and --from FILE is needed.")
    predictions = read_scores(args.tables) if args.tables else _measure(args)
    measured = figures(predictions)
    if args.record:
        from export.convert.bundle import amend

        made_by = shown_command(args)
        amend(args.bundle, figures=card_figures(measured, args.record, made_by))
        if isinstance(args.second, Path):
            amend(args.second, figures=second_figures(measured, args.record, made_by))
    if args.html:
        from edge.scan.model.bundle_info import read_bundle
        from export.evaluate.page import write_page

        manifest = read_bundle(args.bundle).manifest
        write_page(args.html, manifest, measured, predictions, shown_command(args))
    if args.json:
        print(measured.model_dump_json())
    else:
        from export.cli.output import show

        show(Console(), measured)
    return 0


def run_reference(args: argparse.Namespace) -> int:
    """Scan and write the table, or compare with it."""
    from rich.console import Console

    from edge.scan.collect import collect
    from export.cli.output import StepBar
    from export.evaluate.measure import ALONE
    from export.evaluate.reference import (
        differences,
        make_reference,
        read_reference,
        write_reference,
    )

    clips = collect([args.clips]).clips
    with (
        StepBar(Console(stderr=True), "scanning") as bar,
        scanner_of(args.bundle, ALONE) as scanner,
    ):
        if args.check:
            found = differences(read_reference(args.bundle), map(scanner.scan, clips))
            if found:
                raise TruelightError("\n".join(found))
            print(f"{args.bundle} gives its reference findings.")
        else:
            write_reference(args.bundle, make_reference(scanner, clips, bar.at))
            print(f"{len(clips)} findings were written to {args.bundle / 'reference.json'}.")
    return 0


def scanner_of(bundle: Path, changes: Mapping[str, object]) -> Scanner:
    """The deployed scanner with another bundle, and some settings changed."""
    from edge.scan.scanner import Scanner

    return Scanner(_settings(bundle, changes))


def measuring_scanner_of(bundle: Path, changes: Mapping[str, object]) -> MeasuringScanner:
    """The same, which gives the answers under several conditions."""
    from export.evaluate.frame_counts import MeasuringScanner

    return MeasuringScanner(_settings(bundle, changes))


def _settings(bundle: Path, changes: Mapping[str, object]) -> Settings:
    from edge.settings import load_settings

    values = {"model.bundle": str(bundle.resolve()), **changes}
    return load_settings().changed("the command line", values)


def _measure(args: argparse.Namespace) -> list[Prediction]:
    """Run the bundle on everything; scores are written after each clip."""
    from rich.console import Console

    from export.cli.output import StepBar
    from export.evaluate.measure import measure_clips, measure_crops
    from export.evaluate.records import read_scores, write_scores

    def keep(predictions: Sequence[Prediction]) -> None:
        if args.scores:
            write_scores(args.scores, predictions)

    conditions = _conditions(args)
    with StepBar(Console(stderr=True), "evaluating") as bar:
        if args.crops is None:
            opener = partial(measuring_scanner_of, args.bundle)
            known = read_scores([args.scores]) if args.scores and args.scores.is_file() else []
            return measure_clips(opener, args.clips, conditions, bar.stage, keep, known)
        from edge.scan.model.bundle import load_bundle

        bundle = load_bundle(args.bundle)
        return measure_crops(bundle, args.crops, args.held_out, conditions, bar.stage, keep)


def _conditions(args: argparse.Namespace) -> Conditions:
    """What is asked for, checked before anything is scanned."""
    from export.data.recompress import JPEGS, RECOMPRESSIONS
    from export.evaluate.measure import Conditions

    if args.crops is not None and (args.frames or args.second is not None):
        raise TruelightError(
            "Crops have no frames and no second opinion.", "Give a folder of clips."
        )
    asked = ways_of(args.compressions, JPEGS if args.crops is not None else RECOMPRESSIONS)
    second = None if args.second is None else _second(args.bundle, args.second)
    return Conditions(asked, args.frames, args.spread, second, args.cache)


def _second(bundle: Path, named: Path | bool) -> Mapping[str, object]:
    """Settings by which a second opinion is asked for; refused if there is none."""
    from edge.scan.model.bundle_info import read_bundle
    from edge.scan.model.second_opinion import NoSecondModel, find_second

    changes: dict[str, object] = {
        "second_opinion.ask": "unsure",
        "second_opinion.least_memory": 256,
        "second_opinion.seconds": 3600.0,
    }
    if isinstance(named, Path):
        changes["second_opinion.bundle"] = str(named.resolve())
    asked = find_second(_settings(bundle, changes), read_bundle(bundle).manifest)
    if isinstance(asked, NoSecondModel):
        raise TruelightError(asked.sentence, asked.remedy)
    return changes
