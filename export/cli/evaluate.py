"""`truelight-export evaluate`: a bundle's figures on labelled clips or crops."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from export.cli.typed import typed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from edge.scan.scanner import Scanner
    from export.evaluate import Figures, Group


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a bundle on labelled clips or crops",
        description="Scan the clips that a folder's labels.tsv names (file, label, source; method "
        "if there is one) and say how good the bundle is, with 95 %% intervals over sources.",
    )
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("clips", type=Path, nargs="?", help="folder of clips with labels.tsv")
    parser.add_argument("--crops", type=Path, help="folder of face crops, taken as they are")
    parser.add_argument(
        "--held-out",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="with --crops: only the sources that train holds out for validation (its share: 0.06)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--record",
        metavar="DATA",
        help="write the figures into the bundle and its card, as of DATA",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and show."""
    from rich.console import Console

    from edge.errors import TruelightError
    from export.bundle import amend
    from export.cli.progress import StepBar
    from export.evaluate import figures, judge_clips, judge_crops, recorded

    if (args.clips is None) is (args.crops is None):
        raise TruelightError("Either CLIPS or --crops FOLDER is needed.")
    with StepBar(Console(stderr=True), "evaluating") as bar:
        if args.crops is not None:
            from edge.scan.bundle import load_bundle

            bundle = load_bundle(args.bundle)
            judged = judge_crops(bundle, args.crops, bar.at, args.held_out)
        else:
            with scanner_of(args.bundle) as scanner:
                judged = judge_clips(scanner, args.clips, bar.at)
    measured = figures(judged)
    if args.record:
        amend(args.bundle, figures=recorded(measured, args.record, typed(sys.argv[1:])))
    if args.json:
        print(measured.model_dump_json())
    else:
        show(Console(), measured)
    return 0


def scanner_of(bundle: Path) -> Scanner:
    """A scanner as it is deployed, with another bundle."""
    from edge.scan.scanner import Scanner
    from edge.settings import load_settings

    path = str(bundle.resolve())
    return Scanner(load_settings().changed("the command line", {"model.bundle": path}))


def show(console: Console, measured: Figures) -> None:
    """The figures as tables."""
    from rich.table import Table

    m = measured
    console.print(
        f"{m.clips} clips ({m.reals} real, {m.fakes} fake) of {m.sources} sources", style="bold"
    )
    table = Table("figure", "value", "95 % interval over sources", box=None, header_style="dim")
    table.add_row("AUC", f"{m.auc:.3f}", _interval(m.auc_interval))
    table.add_row(
        "AUC, sources weigh the same", f"{m.auc_sources:.3f}", _interval(m.auc_sources_interval)
    )
    table.add_row(
        "accuracy, if forced at 50 %", _percent(m.accuracy), _interval(m.accuracy_interval)
    )
    if m.accuracy_when_decided is not None:
        table.add_row("accuracy where decided", _percent(m.accuracy_when_decided))
    table.add_row(
        "false alarms (FAKE of a real)",
        _percent(m.false_alarms),
        _interval(m.false_alarms_interval),
    )
    table.add_row("missed (REAL of a fake)", _percent(m.missed))
    table.add_row("decided", _percent(m.decided))
    table.add_row("UNSURE", _percent(m.unsure))
    table.add_row("NO_FACE", _percent(m.no_face))
    table.add_row("UNREADABLE", _percent(m.unreadable))
    table.add_row("calibration error", f"{m.calibration_error:.3f}")
    table.add_row("Brier score", f"{m.brier:.3f}")
    console.print(table)
    for name, groups in (("method", m.by_method), ("source", m.by_source)):
        console.print(_by(name, groups))


def _by(name: str, groups: tuple[Group, ...]) -> Table:
    from rich.table import Table

    table = Table(
        name, "reals", "fakes", "AUC", "mean fake probability", "right", "wrong", "unsure",
        box=None, header_style="dim",
    )  # fmt: skip
    for g in groups:
        mean = "" if g.mean_probability is None else _percent(g.mean_probability)
        table.add_row(
            g.name, str(g.reals), str(g.fakes), "" if g.auc is None else f"{g.auc:.2f}", mean,
            str(g.right), str(g.wrong), str(g.unsure),
        )  # fmt: skip
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(both: tuple[float, float]) -> str:
    return f"{both[0]:.3f} to {both[1]:.3f}"
