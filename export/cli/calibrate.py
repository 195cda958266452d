"""`truelight-export calibrate`: fits probability and thresholds; `limits`: the quality limits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import TruelightError
from export.cli.arguments import between, shown_command, ways_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from edge.scan.model.manifest import QualityLimits
    from export.evaluate.calibrate import ConditionRates, Fit, Rates
    from export.evaluate.limits import LimitRow
    from export.evaluate.records import Prediction

UNITS = {"face_px": " px", "light": " of 255", "sharpness": "", "seconds": " s"}


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to `truelight-export`."""
    parser = subparsers.add_parser(
        "calibrate",
        help="fit the probability and the two thresholds on labelled clips",
        description="Scan the clips that labels.tsv names, fit the probability to them and set the "
        "thresholds so that false positive and false negative rate are at most --error when each "
        "source is scored by a fit that never saw it: for the clips as they are and under each of "
        "--compressions by itself.",
    )
    _add_shared(parser)
    add = parser.add_argument
    add("--error", type=between(0, 0.5), default=0.05, help="highest rate of each error (0.05)")
    add("--compressions", default="", metavar="LIST",
        help="hold them for recompressed clips as well: crf32,crf40,half,... or all")  # fmt: skip
    add("--version", default="", help="of the bundle from now on (unchanged)")
    add("--beside", type=Path, metavar="FIRST", help="BUNDLE gives second opinions: fit its rule "
        "beside this first bundle as well")  # fmt: skip
    parser.set_defaults(run=run, parser=parser)

    parser = subparsers.add_parser(
        "limits",
        help="measure how small, dark, blurred or brief a face may be",
        description="Make the faces of labelled clips smaller, darker, more blurred and briefer "
        "step by step, measure how far the logits move, and set the bundle's quality limits where "
        "they still hold.",
    )
    _add_shared(parser)
    add = parser.add_argument
    add("--tolerance", type=float, default=0.25, help="how far the logit may move: mean square, as "
        "a share of that between unrelated clips (0.25)")  # fmt: skip
    add("--plot", type=Path, metavar="FILE", help="plot the steps: .png, .svg or .pdf")
    add("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(run=run_limits, parser=parser)


def _add_shared(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle; it is changed")
    add("clips", type=Path, metavar="CLIPS", help="folder of clips with labels.tsv")
    add("--data", default="clips", help="the clips' name in the card")
    add("--dry-run", action="store_true", help="show, change nothing")


def run(args: argparse.Namespace) -> int:
    """Scan, fit, show, write."""
    from rich.console import Console

    from edge.scan.model.bundle_info import read_bundle
    from edge.scan.model.manifest import Calibration
    from export.cli.output import StepBar
    from export.convert.bundle import amend
    from export.data.recompress import RECOMPRESSIONS
    from export.evaluate.calibrate import fit
    from export.evaluate.card_figures import FITTED, fit_figures
    from export.evaluate.ensemble import fit_alone, fit_joined, scan_beside
    from export.evaluate.generated import moved
    from export.evaluate.samples import samples

    console = Console()
    ways = ways_of(args.compressions, RECOMPRESSIONS)
    joined = None
    before = read_bundle(args.bundle).manifest.beside
    if args.beside is not None:
        if before is None:
            raise TruelightError(f"{args.bundle} gives no second opinions.", "Omit --beside.")
        with StepBar(console, "scanning") as bar:
            clips = scan_beside(args.beside, args.bundle, args.clips, bar.at, ways)
        found, joined = fit_alone(clips, args.error), fit_joined(clips, args.error)
    else:
        found = fit(samples(_scanned(console, args, ways)), args.error)
    _show_fit(console, found)
    if joined is not None:
        console.print("With the first bundle:", highlight=False)
        _show_fit(console, joined)
    if args.dry_run:
        return 0
    data = f"{args.data}, {FITTED}: {found.clips} clips"
    command = shown_command(args)
    figures = fit_figures(found, data, command, models="" if joined is None else "alone")
    rule = None
    if joined is not None:
        assert before is not None, "it was checked"
        generated = before.generated and moved(
            before.generated, before.thresholds, joined.rule.thresholds
        )
        rule = before.model_copy(update={**joined.rule.beside(), "generated": generated})
        figures += fit_figures(joined, data, command, models="both models")
    (scale,), offset = found.rule.weights, found.rule.offset
    amend(
        args.bundle,
        calibration=Calibration(scale=scale, offset=offset),
        thresholds=found.rule.thresholds,
        beside=rule,
        version=args.version,
        figures=figures,
        revise=lambda figure: None if FITTED in figure.data else figure,
    )
    console.print(f"Written to {args.bundle / 'bundle.json'}.", soft_wrap=True)
    return 0


def _scanned(console: Console, args: argparse.Namespace, ways: Sequence[str]) -> list[Prediction]:
    """By the bundle alone: the clips as they are, then recompressed."""
    from export.cli.evaluate import measuring_scanner_of
    from export.cli.output import StepBar
    from export.evaluate.measure import Conditions, measure_clips

    with StepBar(console, "scanning") as bar:
        return measure_clips(
            lambda changes: measuring_scanner_of(args.bundle, changes),
            args.clips,
            Conditions(ways),
            bar.stage,
            lambda _: None,
        )


def _show_fit(console: Console, found: Fit) -> None:
    rule = found.rule
    terms = [
        f"{weight:.4g} * {name}"
        for weight, name in zip(rule.weights, ("first", "second"), strict=False)
    ]
    logit = " + ".join(terms) if len(terms) > 1 else f"{rule.weights[0]:.4g} * logit"
    thresholds = rule.thresholds
    console.print(
        f"{found.clips} clips with a face of {found.sources} sources.\n"
        f"probability = sigmoid({logit} {rule.offset:+.4g}).\n"
        f"REAL: {_threshold(thresholds.real, 0.0, 'up to')}; "
        f"FAKE: {_threshold(thresholds.fake, 1.0, 'from')}.\n"
        "Each source scored by the others' fit, with 95 % intervals by clip:\n"
        f"{_rates(found)}",
        highlight=False,
    )
    for name, rates in found.others.items():
        console.print(f"{rates.clips} clips, {name}:\n{_rates(rates)}", highlight=False)


def _threshold(threshold: float, disabled: float, how: str) -> str:
    if threshold == disabled:
        return "never, these clips do not show where it would be right"
    return f"{how} {threshold:.0%}"


def _rates(found: Fit | ConditionRates) -> str:
    from export.metrics import wilson

    def line(name: str, wrong: str, right: str, rates: Rates) -> str:
        return (
            f"  {name} {_within(rates.wrong, rates.wrong_interval)} of {rates.others} clips"
            f" ({rates.wrong_sources:.1%} with sources weighing the same; this many sources do not"
            f" rule out {rates.wrong_at_most:.0%}): {wrong}. "
            f"{_within(rates.right, rates.right_interval)} of the {right}.\n"
        )

    return (
        line("False positive rate", "reals called FAKE", "fakes are called FAKE", found.fake)
        + line("False negative rate", "fakes called REAL", "reals are called REAL", found.real)
        + f"  {_within(found.unsure, wilson(found.unsure, found.clips))} of the clips are UNSURE."
    )


def _within(share: float, ends: tuple[float, float] | None) -> str:
    """A share with its 95 % interval; nothing is known of no clips."""
    if ends is None:
        return "unknown"
    return f"{share:.1%} ({ends[0]:.1%} to {ends[1]:.1%})"


def run_limits(args: argparse.Namespace) -> int:
    """Corrupt, score, show, write."""
    from rich.console import Console

    from edge.errors import TruelightError
    from edge.scan.model.bundle import load_bundle
    from edge.scan.tracks import FacePipeline
    from edge.settings import load_settings
    from export.cli.output import StepBar
    from export.convert.bundle import amend
    from export.data.folders import read_folder
    from export.evaluate.limits import compare_clips, limit_figures, limits, table

    clips = read_folder(args.clips)
    bundle = load_bundle(args.bundle)
    now = bundle.manifest.quality
    pipeline = FacePipeline(load_settings().faces, bundle.manifest.input.crop_spec)
    with StepBar(Console(stderr=True), "corrupting") as bar:
        rows = table(compare_clips(bundle, pipeline, clips, bar.at), bundle.manifest)
    if not rows:
        raise TruelightError(
            f"{args.clips} has too few good faces.", "Some dozen clips are needed."
        )
    found = limits(rows, now, args.tolerance)
    if args.plot:
        from export.evaluate.plots import limits_plot

        limits_plot(rows, found, args.tolerance, args.plot)
    if args.json:
        print(_json(rows, found))
    else:
        _show(rows, found, now)
    if not args.dry_run:
        figures = limit_figures(rows, f"{args.data}, faces made worse", shown_command(args))
        amend(args.bundle, quality=found, figures=figures)
    return 0


def _show(rows: Sequence[LimitRow], found: QualityLimits, now: QualityLimits) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "measure", "step", "faces", "sources", "change", "95 %", "AUC before", "after",
        "other verdict", "false pos.", "false neg.", "", box=None, header_style="dim",
    )  # fmt: skip
    for row in rows:
        low, high = row.change_interval
        table.add_row(
            row.measure, f"{row.step:g}", str(row.faces), str(row.sources), f"{row.change:.3f}",
            f"{low:.3f} to {high:.3f}", f"{row.auc_before:.3f}", f"{row.auc_after:.3f}",
            f"{row.changed:.0%}", f"{row.false_alarms:.0%}", f"{row.missed:.0%}",
            "limit" if getattr(found, row.measure) == row.step else "",
        )  # fmt: skip
    console = Console()
    console.print(table)
    for name, unit in UNITS.items():
        before = f"{getattr(now, name):g}{unit}"
        console.print(f"{name}: at least {getattr(found, name):g}{unit} (was {before})")


def _json(rows: Sequence[LimitRow], found: QualityLimits) -> str:
    import json
    import math
    from dataclasses import asdict

    def known(value: object) -> object:
        return None if isinstance(value, float) and math.isnan(value) else value

    steps = [{key: known(value) for key, value in asdict(row).items()} for row in rows]
    return json.dumps({"quality": found.model_dump(), "steps": steps})
