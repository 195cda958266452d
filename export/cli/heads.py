"""`truelight-export gather`, `heads`, `robust`, `generated`: linear heads on CLIP's features.

One folder of crops; heads by makers left out; a head that answers alike on a clip, recompressed or
smoothed; a head that says whether a face was generated whole.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from export.cli.arguments import add_tower, between, encoder_of, ways_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from export.evaluate.makers import MakerResult

SHOWN = 10  # copies and files without a face
WAYS = "crf32,crf40,half,smooth"


def add_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to `truelight-export`."""
    _add_gather(subparsers)
    _add_heads(subparsers)
    _add_robust(subparsers)
    _add_generated(subparsers)


def _add_gather(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "gather",
        help="gather faces of many makers and cameras",
        description="Cut the faces of labelled clips and photographs, with their makers and "
        "cameras, into one folder of folders, and search it for copies and for traces of handling. "
        "Folders that are complete are kept, so it can be interrupted.",
    )
    add = parser.add_argument
    add("recipe", type=Path, metavar="RECIPE", help="YAML; docs/training.md explains it")
    add("--out", type=Path, required=True, help="folder to make")
    add("--against", type=Path, action="append", default=[], metavar="FOLDER",
        help="crops that must not be among them; may be repeated")  # fmt: skip
    parser.set_defaults(run=run_gather, parser=parser)


def _add_heads(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "heads",
        help="compare heads by makers left out",
        description="Fit linear heads on cached features, each without one maker of fakes and the "
        "reals published with it, and measure how well that maker's fakes are found.",
    )
    add = parser.add_argument
    add("features", type=Path, nargs="+", metavar="FEATURES", help="folders that teach wrote")
    add("--crops", type=Path, action="append", required=True, metavar="FOLDER",
        help="crops that gather or vary wrote; may be repeated")  # fmt: skip
    add("--taps", default="", metavar="LIST", help="of the cached ones (all)")
    add("--penalty", type=between(0, 100), default=0.3, help="on the squared weights (0.3)")
    add("--tuned", type=Path, metavar="FILE",
        help="a head that new ones are added to; teach was given the same")  # fmt: skip
    add("--share", type=between(0, 100), default=2.5,
        help="what a new head weighs beside it (2.5)")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="write a head fitted to everything, for opinion")
    add_tower(parser, required=False)
    parser.set_defaults(run=run, parser=parser)


def _add_robust(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    parser.set_defaults(run=run_robust, parser=parser)


def _add_generated(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    parser.set_defaults(run=run_generated, parser=parser)


def run_gather(args: argparse.Namespace) -> int:
    """Cut, then search for copies and traces."""
    from rich.console import Console

    from edge.scan.faces.detector import load_detector
    from export.cli.output import StepBar
    from export.data.audit import audit
    from export.data.folders import read_recipe
    from export.data.gather import GatherRecipe, gather

    recipe = read_recipe(args.recipe, GatherRecipe)
    console = Console()
    with StepBar(Console(stderr=True), "gathering") as bar:
        without = gather(recipe, args.out, load_detector(), bar.stage)
        folders = [args.out / entry.name for entry in recipe.folders]
        found = audit(folders, args.against, lambda done, total: bar.at(done, total, "auditing"))
    for name, files in without.items():
        _list(console, f"{name}: {len(files)} files without a usable face", files)
    _list(
        console,
        f"{found.crops} crops; {len(found.copies)} near copies of another source",
        [f"{one} = {other}" for one, other in found.copies],
    )
    console.print(
        f"AUC by handling alone, without the face: {found.handling:.3f} "
        f"({found.low:.3f} to {found.high:.3f}); 0.5 is chance.",
        highlight=False,
    )
    return 0


def _list(console: object, title: str, lines: Sequence[str]) -> None:
    from rich.console import Console

    assert isinstance(console, Console)
    console.print(f"{title}.", markup=False, highlight=False, soft_wrap=True)
    for line in lines[:SHOWN]:
        console.print(f"  {line}", style="dim", markup=False, soft_wrap=True)


def run(args: argparse.Namespace) -> int:
    """Fit, show, write."""
    from rich.console import Console

    from export.cli.output import StepBar
    from export.clip.adapter import read_adapter
    from export.clip.graph import read_taps
    from export.clip.teacher import load_features
    from export.evaluate.heads import compare, compare_given, read_heads, write_head
    from export.evaluate.makers import mean_gain

    if args.tuned and not args.tower:
        args.parser.error("--tuned needs --tower")
    given = read_adapter(args.tuned, encoder_of(args)) if args.tuned else None
    caches = [load_features(folder) for folder in args.features]
    taps = read_taps(args.taps) if args.taps else ()
    data = read_heads(caches, args.crops, taps, given, args.share)
    with StepBar(Console(stderr=True), "fitting") as bar:
        results = compare(data, args.penalty, bar.at)
    _show(results, len(data.faces))
    if given:
        gain, low, high = mean_gain(results, compare_given(data))
        print(f"{gain:+.3f} ({low:+.3f} to {high:+.3f}) against {args.tuned} alone.")
    if args.out:
        with StepBar(Console(stderr=True), "writing") as bar:
            write_head(data, args.penalty, args.out, bar.at)
        print(f"{args.out} was written.")
    return 0


def _show(results: Sequence[MakerResult], faces: int) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "maker left out", "AUC", "95 %", "own reals", "other cameras", "fakes", "sources",
        box=None, header_style="dim",
    )  # fmt: skip
    values = {result.maker: float(result.auc()) for result in results}
    for result in results:
        low, high = result.interval()
        table.add_row(
            result.maker, f"{values[result.maker]:.3f}", f"{low:.3f} to {high:.3f}",
            _number(result.auc_own), _number(result.auc_others), str(int(result.fakes.sum())),
            str(result.fake_sources),
        )  # fmt: skip
    console = Console()
    console.print(table)
    worst = min(values, key=lambda maker: values[maker])
    console.print(
        f"{faces} crops. Mean {np.mean(list(values.values())):.3f}, worst {values[worst]:.3f} "
        f"({worst}).",
        highlight=False,
    )


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def run_robust(args: argparse.Namespace) -> int:
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


def run_generated(args: argparse.Namespace) -> int:
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
