"""`truelight-export generated`: a head that says whether a face was generated whole."""

from __future__ import annotations

import argparse
from pathlib import Path

from export.cli.arguments import add_tower, between, encoder_of


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to `truelight-export`."""
    parser = subparsers.add_parser(
        "generated",
        help="add a head that finds faces generated whole",
        description="Fit a head that tells faces generated whole from real ones, on cached "
        "features; set its limits on sources that it did not learn from, and write it beside a "
        "head that finds swaps.",
    )
    add = parser.add_argument
    add("features", type=Path, nargs="+", metavar="FEATURES", help="folders that teach wrote")
    add("--crops", type=Path, action="append", required=True, metavar="FOLDER",
        help="crops with labels.tsv; only real ones are used; may be repeated")  # fmt: skip
    add("--generated", type=Path, action="append", required=True, metavar="FOLDER",
        help="crops of generated faces; may be repeated")  # fmt: skip
    add("--tuned", type=Path, required=True, metavar="FILE",
        help="the head that finds swaps; teach was given the same")  # fmt: skip
    add("--false-positives", type=between(0, 0.5), default=0.02, metavar="SHARE",
        help="of the reals of any camera that may be called FAKE (0.02)")  # fmt: skip
    add("--passed", type=between(0, 0.5), default=0.05, metavar="SHARE",
        help="of the generated faces that may be called REAL (0.05)")  # fmt: skip
    add("--out", type=Path, required=True, metavar="FILE", help="both heads, for opinion")
    add_tower(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Fit, show, write."""
    from rich.console import Console
    from rich.table import Table

    from export.clip.adapter import read_adapter
    from export.clip.teacher import load_features
    from export.evaluate.generated import fit_generated, write_generated
    from export.evaluate.heads import read_heads
    from export.evaluate.makers import read_faces

    before = read_adapter(args.tuned, encoder_of(args))
    generated = read_faces(args.generated)
    caches = [load_features(folder) for folder in args.features]
    data = read_heads(
        caches,
        [*args.crops, *args.generated],
        given=before,
        use=lambda name, face: face.fake == (name in generated),
    )
    found = fit_generated(data, args.false_positives, args.passed)
    table = Table("reals", "AUC", "95 %", "called FAKE", "may be REAL", box=None)
    for name, (rank, low, high) in found.auc.items():
        table.add_row(
            name, f"{rank:.3f}", f"{low:.3f} to {high:.3f}",
            f"{found.false_positives[name]:.1%}", f"{found.allowed[name]:.1%}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(
        f"Of {found.generated} generated faces {found.found:.1%} are called FAKE, "
        f"{found.passed:.1%} may be called REAL.",
        highlight=False,
    )
    write_generated(found.head, before, data, args.out)
    print(f"{args.out} was written.")
    return 0
