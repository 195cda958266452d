"""`truelight models`: lists the bundles with their quality; `add` and `fetch` download models."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from edge.cli.output import indented, open_console, show
from edge.history.report_page import Figure, headline_rows
from edge.scan.faces.detector import fetch_detector_models
from edge.scan.model.bundle import load_sequence
from edge.scan.model.bundle_info import BundleError, Listed, list_bundles
from edge.scan.model.confined import ModelProcessError
from edge.scan.model.install import install_tower
from edge.scan.model.manifest import Manifest, MeasuredFigure
from edge.settings import Settings, load_settings
from edge.text import one_line, path_text, percent


def run(chosen: argparse.Namespace) -> int:
    """List the bundles in the folder of models, and the default one if it is elsewhere."""
    settings = load_settings(chosen.config)
    default = settings.bundle_folder
    bundles = list_bundles(settings.models_folder)
    if default not in [bundle.path for bundle in bundles]:
        bundles += [bundle for bundle in list_bundles(default.parent) if bundle.path == default]
    for bundle in bundles:
        if chosen.json:
            print(json.dumps(_entry(bundle, bundle.path == default), ensure_ascii=False))
        else:
            _print_bundle(bundle, settings, every_figure=chosen.all)
    if default not in [bundle.path for bundle in bundles]:
        origin = settings.origin("model.bundle")
        print(f"The default bundle {path_text(default)} ({origin}) is missing.", file=sys.stderr)
    return 0


def run_add(chosen: argparse.Namespace) -> int:
    """Download what the bundle lacks, and print where the complete bundle is."""
    settings = load_settings(chosen.config)
    folder = install_tower(settings.models_folder / chosen.name, chosen.folder)
    print(one_line(path_text(folder)))
    if folder.resolve() != settings.second_folder.resolve():
        print(f"To use it, set second_opinion.bundle: {folder.resolve()}", file=sys.stderr)
    return 0


def run_fetch(_: argparse.Namespace) -> int:
    """Download the face detector's models and print where they are."""
    for path in fetch_detector_models():
        print(path)
    return 0


def _entry(bundle: Listed, default: bool) -> dict[str, object]:
    """The object that `--json` prints; all but path, default and problem is from bundle.json."""
    entry: dict[str, object] = {
        "name": bundle.path.name,
        "path": path_text(bundle.path),
        "default": default,
        "problem": bundle.problem and str(bundle.problem),
    }
    if bundle.manifest:
        keys = {"version", "kind", "licence", "summary", "thresholds"}
        entry |= bundle.manifest.model_dump(mode="json", include=keys)
        entry["metrics"] = bundle.manifest.model_dump(mode="json")["figures"]
    return entry


def _print_bundle(bundle: Listed, settings: Settings, every_figure: bool) -> None:
    """Print name, summary, accuracy and folder."""
    is_default = bundle.path == settings.bundle_folder
    heading = Text.assemble("* " if is_default else "  ", (one_line(bundle.path.name), "bold"))
    if bundle.manifest:
        heading.append(f"  version {bundle.manifest.version}")
    if is_default:
        heading.append("  (default)")
    console = open_console()
    show(console, heading)
    for part in _parts(bundle, every_figure):
        show(console, indented(indented(part)))
    show(console, indented(indented(one_line(path_text(bundle.path)), "dim")), "")


def _parts(bundle: Listed, every_figure: bool) -> Iterator[RenderableType]:
    manifest = bundle.manifest
    if bundle.problem and manifest:
        yield f"Not installed: truelight models add {bundle.path.name}"
    elif bundle.problem:
        yield one_line(str(bundle.problem))
    if not manifest:
        return
    yield one_line(manifest.summary)
    yield f"Licence: {one_line(manifest.licence)}"
    thresholds = manifest.thresholds
    real = f"up to {percent(thresholds.real)}" if thresholds.real > 0 else "never"
    fake = f"from {percent(thresholds.fake)}" if thresholds.fake < 1 else "never"
    yield f"Thresholds: REAL {real}, FAKE {fake}"
    if manifest.window.frames > 1 and ignores_order(bundle.path, manifest):
        yield (
            "The LSTM changes nothing (its gate is 0): a window's score is that of the mean of "
            "its crops."
        )
    if every_figure:
        yield from map(_figure, manifest.figures)
    else:
        yield from _headlines(manifest)


def _headlines(manifest: Manifest) -> Iterator[RenderableType]:
    """AUC, error rates and the share of UNSURE, by data set."""
    rows = headline_rows(manifest.figures)
    summaries = [(data, row) for data, row in rows if "AUC" in row and len(row) > 1]
    for data, row in summaries or rows:
        yield ", ".join(f"{name} {_share(figure, name)}" for name, figure in row.items())
        yield indented(f"on {one_line(data)}", "dim")


def _share(figure: Figure, name: str) -> str:
    """A figure with its 95 % interval: AUC "0.80 (0.70 to 0.90)", else "3 % (0 to 10)"."""
    scale, places, unit = (1, 2, "") if name == "AUC" else (100, 0, " %")
    text = f"{scale * figure.value:.{places}f}{unit}"
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return text
    return f"{text} ({scale * figure.low:.{places}f} to {scale * figure.high:.{places}f})"


def ignores_order(folder: Path, manifest: Manifest) -> bool:
    """Whether the sequence graph gives a window, its reverse and its mean the same logit."""
    try:
        width, run = load_sequence(folder)
        shape = (manifest.window.frames, width)
        window = np.random.default_rng(0).random(shape, np.float32)
        mean = np.broadcast_to(window.mean(axis=0), shape)
        logits = run(np.stack([window, window[::-1], mean]))
    except (BundleError, ModelProcessError, TypeError, ValueError, RuntimeError):
        return False  # a broken graph is reported where it is used
    return bool(np.ptp(logits) < 1e-3)


def _figure(figure: MeasuredFigure) -> str:
    """One measurement: AUC 0.873 (0.851 to 0.893) on what."""
    text = f"{figure.name} {figure.value:.3g}"
    if figure.low is not None and figure.high is not None:
        text += f" ({figure.low:.3g} to {figure.high:.3g})"
    return f"{text} on {figure.data}" if figure.data else text
