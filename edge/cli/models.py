"""`truelight models`: lists the bundles; `add` and `fetch` get what others made for them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.scan.model.bundle import Listed
    from edge.scan.model.manifest import MeasuredFigure


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser(
        "models",
        help="list the model bundles",
        description="Lists the model bundles and says which one judges by default.",
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line, on stdout")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings for this run")
    command.set_defaults(run=run)
    actions = command.add_subparsers(metavar="add|fetch")
    add = actions.add_parser(
        "add",
        help="install a model whose weights are another maker's",
        description="Gets the weights that a bundle needs and does not bring, checks them against "
        "their hash, and tries the bundle out. It needs a network, or pip's own cache.",
        epilog="NAME is thorough, the model that gives second opinions: about 90 MB on the disk.",
    )
    add.add_argument("name", metavar="NAME", help="a bundle in the models' folder")
    add.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="put it, whole, into another folder"
    )
    add.add_argument("--config", type=Path, metavar="FILE", help="settings for this run")
    add.set_defaults(run=run_add)
    fetch = actions.add_parser(
        "fetch",
        help="get the face detector's models",
        description="Gets the face detector's models, checks them against their hashes.",
    )
    fetch.set_defaults(run=run_fetch)


def run(chosen: argparse.Namespace) -> int:
    """List the bundles in the models' folder, and the default one if it lies elsewhere."""
    from edge.scan.model.bundle import list_bundles
    from edge.settings import load_settings
    from edge.text import path_text

    settings = load_settings(chosen.config)
    default = settings.bundle_folder
    listed = list_bundles(settings.models_folder)
    if default not in [bundle.path for bundle in listed]:
        listed += [bundle for bundle in list_bundles(default.parent) if bundle.path == default]
    for bundle in listed:
        if chosen.json:
            print(json.dumps(_entry(bundle, bundle.path == default), ensure_ascii=False))
        else:
            print(_paragraph(bundle, bundle.path == default))
    if default not in [bundle.path for bundle in listed]:
        origin = settings.origin("model.bundle")
        print(f"The default, {path_text(default)} ({origin}), is not there.", file=sys.stderr)
    return 0


def run_add(chosen: argparse.Namespace) -> int:
    """Get what the bundle lacks, and say where it is whole now."""
    from edge.scan.downloads import install_tower
    from edge.settings import load_settings
    from edge.text import one_line, path_text

    settings = load_settings(chosen.config)
    place = install_tower(settings.models_folder / chosen.name, chosen.folder)
    print(one_line(path_text(place)))
    if place.resolve() != settings.second_folder.resolve():
        print(f"To ask it, set second_opinion.bundle: {place.resolve()}", file=sys.stderr)
    return 0


def run_fetch(_: argparse.Namespace) -> int:
    """Get the face detector's models and say where they lie."""
    from edge.scan.downloads import fetch_detector_models

    for path in fetch_detector_models():
        print(path)
    return 0


def _entry(bundle: Listed, default: bool) -> dict[str, object]:
    """What `--json` says of a bundle; all but path, default and problem come from bundle.json."""
    from edge.text import path_text

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


def _paragraph(bundle: Listed, default: bool) -> str:
    """A bundle for people: name and place, what it is, how good it is."""
    from edge.scan.model.manifest import CARD
    from edge.text import one_line, path_text

    mark = "*" if default else " "
    head = f"{mark} {one_line(bundle.path.name)}"
    if default:
        head += "  (default)"
    lines = [f"    {one_line(path_text(bundle.path))}"]
    if bundle.problem:
        lines.append(f"    {_problem(bundle)}")
    if bundle.manifest:
        head += f"  version {bundle.manifest.version}, {bundle.manifest.licence}"
        lines.append(f"    {bundle.manifest.summary}")
        # Those with an interval are what its quality hangs on; --json and the card have them all.
        told = [figure for figure in bundle.manifest.figures if figure.low is not None]
        lines += [f"    {_figure(figure)}" for figure in told]
        lines.append(f"    More: {one_line(path_text(bundle.path / CARD))}")
    return "\n".join([head, *lines])


def _problem(bundle: Listed) -> str:
    """What is wrong with a bundle, or how one that lacks its weights becomes whole."""
    name = bundle.path.name
    return f"not installed: truelight models add {name}" if bundle.manifest else str(bundle.problem)


def _figure(figure: MeasuredFigure) -> str:
    """A measurement in a line: AUC 0.873 (0.851 to 0.893) on what."""
    text = f"{figure.name} {figure.value:.3g}"
    if figure.low is not None and figure.high is not None:
        text += f" ({figure.low:.3g} to {figure.high:.3g})"
    return f"{text} on {figure.data}" if figure.data else text
