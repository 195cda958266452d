"""`truelight-export calibrate`: fit a bundle's probability and thresholds on labelled clips."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from export.cli.arguments import typed

if TYPE_CHECKING:
    from edge.scan.model.manifest import MeasuredFigure
    from export.evaluate.calibrate import Fit, Word


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "calibrate",
        help="fit the probability and the two thresholds on labelled clips",
        description="Scan the clips that labels.tsv names, fit the probability to them and set the "
        "thresholds so that FAKE is said of at most a share --error of the reals, and REAL of as "
        "many fakes, when each source is judged by a fit that never saw it.",
    )
    parser.add_argument("bundle", type=Path, help="folder of the bundle; it is changed")
    parser.add_argument("clips", type=Path, help="folder of clips with labels.tsv")
    parser.add_argument("--error", type=float, default=0.05, help="share of wrong REAL, wrong FAKE")
    parser.add_argument("--data", default="clips", help="what the card calls the clips")
    parser.add_argument("--dry-run", action="store_true", help="show, change nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scan, fit, show, write."""
    from rich.console import Console

    from edge.errors import TruelightError
    from edge.scan.model.manifest import Calibration
    from export.cli.evaluate import scanner_of
    from export.cli.output import StepBar
    from export.convert.bundle import amend
    from export.evaluate import judge_clips
    from export.evaluate.calibrate import fit, samples

    if not 0 < args.error < 0.5:
        raise TruelightError("--error is a share between 0 and 0.5.", "0.05 is usual.")
    console = Console()
    alone = scanner_of(args.bundle, {"second_opinion.ask": "never"})
    with StepBar(console, "scanning") as bar, alone as scanner:
        judged = judge_clips(scanner, args.clips, bar.at)
    found = fit(samples(judged), args.error)
    console.print(_told(found), highlight=False)
    if not args.dry_run:
        data = f"{args.data}, each source judged by the others' fit: {found.clips} clips"
        (scale,), offset = found.rule.weights, found.rule.offset
        amend(
            args.bundle,
            calibration=Calibration(scale=scale, offset=offset),
            thresholds=found.rule.thresholds,
            figures=_figures(found, data, typed(sys.argv[1:])),
        )
        console.print(f"Written to {args.bundle / 'bundle.json'}.", soft_wrap=True)
    return 0


def _told(found: Fit) -> str:
    """What was found, a line a fact."""
    rule = found.rule
    return "\n".join(
        (
            f"{found.clips} clips with a face of {found.sources} sources.",
            f"probability = sigmoid({rule.weights[0]:.4g} * logit {rule.offset:+.4g}).",
            f"REAL: {_side(rule.thresholds.real, 0.0, 'up to')}; "
            f"FAKE: {_side(rule.thresholds.fake, 1.0, 'from')}.",
            "Each source judged by the others' fit:",
            _line("FAKE", "real", "fakes", found.fake),
            _line("REAL", "fake", "reals", found.real),
            f"  {found.unsure:.1%} of the clips UNSURE.",
        )
    )


def _side(threshold: float, never: float, how: str) -> str:
    if threshold == never:
        return "never, these clips do not tell where it would be right"
    return f"{how} {threshold:.0%}"


def _line(word: str, other: str, own: str, said: Word) -> str:
    return (
        f"  {word} was said of {said.right:.1%} of the {own}, wrongly of {said.wrong:.1%} of the "
        f"{other}s ({said.wrong_sources:.1%} with sources weighing the same; with so few sources "
        f"up to {said.wrong_at_most:.0%} cannot be ruled out)."
    )


def _figures(found: Fit, data: str, command: str) -> list[MeasuredFigure]:
    from edge.scan.model.manifest import MeasuredFigure

    same = "every source weighing the same"
    rows: list[tuple[str, float, float | None]] = [
        ("false alarms (FAKE said of a real)", found.fake.wrong, None),
        (f"false alarms, {same}", found.fake.wrong_sources, found.fake.wrong_at_most),
        ("missed (REAL said of a fake)", found.real.wrong, None),
        (f"missed, {same}", found.real.wrong_sources, found.real.wrong_at_most),
        ("FAKE said of a fake", found.fake.right, None),
        ("REAL said of a real", found.real.right, None),
        ("UNSURE, share", found.unsure, None),
    ]
    return [
        MeasuredFigure(
            name=name, value=value, low=None if high is None else 0.0, high=high,
            data=data, command=command,
        )
        for name, value, high in rows
    ]  # fmt: skip
