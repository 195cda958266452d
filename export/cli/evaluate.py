"""`truelight-export evaluate`: a bundle's figures on labelled clips or crops."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export.cli.arguments import typed

if TYPE_CHECKING:
    from edge.scan.scanner import Scanner
    from edge.settings import Settings
    from export.evaluate import Judged
    from export.evaluate.measure import Wish

COLUMNS = "10,20,40,60,80,100"
"""Numbers of frames for which published systems tell their accuracy."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a bundle on labelled clips or crops",
        description="Scan the clips that a folder's labels.tsv names (file, label, source; method, "
        "dataset and pair if there are) and say how good the bundle is, with 95 %% intervals over "
        "sources. docs/evaluation.md explains every figure.",
    )
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("clips", type=Path, nargs="?", help="folder of clips with labels.tsv")
    _add_data(parser)
    _add_wishes(parser)
    _add_results(parser)
    parser.set_defaults(run=run)


def _add_data(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("what is measured on, instead of clips")
    data.add_argument("--crops", type=Path, help="folder of face crops, taken as they are")
    data.add_argument(
        "--held-out",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="with --crops: only the sources that train holds out for validation (its share: 0.06)",
    )
    data.add_argument(
        "--from",
        dest="tables",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="scores that --scores wrote; nothing is scanned",
    )


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    more = parser.add_argument_group("what is measured besides")
    more.add_argument(
        "--compressions",
        default="",
        metavar="LIST",
        help="recompress the clips: crf23,crf32,crf40,half,refilmed or all; crops: jpeg40",
    )
    more.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="keep recompressed clips here, and use them"
    )
    more.add_argument(
        "--frames",
        nargs="?",
        const=COLUMNS,
        default="",
        metavar="LIST",
        help=f"judge the first so many frames only ({COLUMNS})",
    )
    more.add_argument(
        "--spread", action="store_true", help="with --frames: windows over the whole clip instead"
    )
    more.add_argument(
        "--second",
        nargs="?",
        const="",
        metavar="BUNDLE",
        help="with a second opinion, and without it: of the bundle that the settings name, or this",
    )


def _add_results(parser: argparse.ArgumentParser) -> None:
    results = parser.add_argument_group("what is made of it")
    results.add_argument("--json", action="store_true", help="one JSON object on stdout")
    results.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    results.add_argument("--scores", type=Path, metavar="FILE", help="write a row for each score")
    results.add_argument(
        "--record",
        metavar="DATA",
        help="write the main figures into the bundle and its card, as of DATA",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and show."""
    from rich.console import Console

    from edge.errors import TruelightError
    from export.evaluate import figures, read_scores, recorded

    if sum(given is not None for given in (args.clips, args.crops, args.tables)) != 1:
        raise TruelightError("One of CLIPS, --crops FOLDER and --from FILE is needed.")
    judged = read_scores(args.tables) if args.tables else _judge(args)
    measured = figures(judged)
    if args.record:
        from export.convert.bundle import amend

        amend(args.bundle, figures=recorded(measured, args.record, typed(sys.argv[1:])))
    if args.html:
        from edge.scan.model.bundle import read_manifest
        from export.evaluate.page import write_page

        manifest, _ = read_manifest(args.bundle)
        write_page(args.html, manifest, measured, judged, typed(sys.argv[1:]))
    if args.json:
        print(measured.model_dump_json())
    else:
        from export.cli.output import show

        show(Console(), measured)
    return 0


def scanner_of(bundle: Path, changes: Mapping[str, object] | None = None) -> Scanner:
    """A scanner as it is deployed, with another bundle, and maybe other settings."""
    from edge.scan.scanner import Scanner

    return Scanner(settings_of(bundle, changes or {}))


def settings_of(bundle: Path, changes: Mapping[str, object]) -> Settings:
    """This machine's settings but for the bundle, and others."""
    from edge.settings import load_settings

    values = {"model.bundle": str(bundle.resolve()), **changes}
    return load_settings().changed("the command line", values)


def _judge(args: argparse.Namespace) -> list[Judged]:
    """Show everything to the bundle; the scores are written as far as they are known."""
    from rich.console import Console

    from export.cli.output import StepBar
    from export.evaluate import write_scores
    from export.evaluate.measure import measure_clips, measure_crops

    def keep(judged: Sequence[Judged]) -> None:
        if args.scores:
            write_scores(args.scores, judged)

    wish = _wish(args)
    with StepBar(Console(stderr=True), "evaluating") as bar:

        def tell(what: str, at: int, of: int) -> None:
            bar.at(at, of, what)

        if args.crops is None:
            return measure_clips(
                lambda changes: scanner_of(args.bundle, changes), args.clips, wish, tell, keep
            )
        from edge.scan.model.bundle import load_bundle

        bundle = load_bundle(args.bundle)
        return measure_crops(bundle, args.crops, args.held_out, wish, tell, keep)


def _wish(args: argparse.Namespace) -> Wish:
    """What is asked for, checked before anything is scanned."""
    from edge.errors import TruelightError
    from export.data.recompress import JPEGS, WAYS
    from export.evaluate.measure import Wish, chosen

    if args.crops is not None and (args.frames or args.second is not None):
        raise TruelightError(
            "Crops have no frames and no second opinion.", "Give a folder of clips."
        )
    try:
        frames = tuple(int(text) for text in args.frames.split(",") if args.frames)
        if min(frames, default=1) < 1:
            raise ValueError
    except ValueError:
        raise TruelightError(
            f"{args.frames!r} is no list of numbers above 0.", f"As in {COLUMNS}."
        ) from None
    known = JPEGS if args.crops is not None else WAYS
    words = chosen(args.compressions, known) if args.compressions else ()
    second = None if args.second is None else _second(args.bundle, args.second)
    return Wish(words, frames, args.spread, second, args.cache)


def _second(bundle: Path, named: str) -> Mapping[str, object]:
    """Settings by which a second opinion is asked for; refused if there is nobody to ask."""
    from edge.errors import TruelightError
    from edge.scan.model.bundle import read_manifest
    from edge.scan.model.second_opinion import NoSecondModel, find_second

    changes = {"second_opinion.ask": "always"}
    if named:
        changes["second_opinion.bundle"] = str(Path(named).resolve())
    asked = find_second(settings_of(bundle, changes), read_manifest(bundle)[0])
    if isinstance(asked, NoSecondModel):
        raise TruelightError(asked.sentence, asked.remedy)
    return changes
