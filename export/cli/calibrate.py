"""`truelight-export calibrate`: fit a bundle's probability and thresholds on labelled clips."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from export.cli.typed import typed


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "calibrate",
        help="fit the probability and the two thresholds on labelled clips",
        description="Scan the clips that labels.tsv names, fit the probability to them and set the "
        "thresholds so that at most a share --error of either class is called the other. What it "
        "says of that is measured by leaving each source out in turn.",
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

    from edge.scan.manifest import Figure
    from export.bundle import amend
    from export.calibrate import fit, samples
    from export.cli.evaluate import scanner_of
    from export.cli.progress import StepBar
    from export.evaluate import judge_clips

    console = Console()
    with StepBar(console, "scanning") as bar, scanner_of(args.bundle) as scanner:
        judged = judge_clips(scanner, args.clips, bar.at)
    found = fit(samples(judged), args.error)
    console.print(
        f"{found.clips} clips with a face of {found.sources} sources.\n"
        f"probability = sigmoid({found.calibration.scale:.3f} * logit "
        f"{found.calibration.offset:+.3f}); REAL up to {found.thresholds.real:.3f}, "
        f"FAKE from {found.thresholds.fake:.3f}.\n"
        f"Each source judged by the others' fit: {found.false_alarms:.1%} of the reals called "
        f"FAKE, {found.missed:.1%} of the fakes called REAL (sources weigh the same), "
        f"{found.unsure:.1%} of the clips UNSURE."
    )
    if not args.dry_run:
        data = f"{args.data}, each source judged by the others' fit: {found.clips} clips"
        command = typed(sys.argv[1:])
        shares = {
            "false alarms (FAKE said of a real)": found.false_alarms,
            "missed (REAL said of a fake)": found.missed,
            "UNSURE, share": found.unsure,
        }
        figures = [
            Figure(name=name, value=share, data=data, command=command)
            for name, share in shares.items()
        ]
        amend(
            args.bundle,
            calibration=found.calibration,
            thresholds=found.thresholds,
            figures=figures,
        )
        console.print(f"Written to {args.bundle / 'bundle.json'}.")
    return 0
