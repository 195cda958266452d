"""The cost of the saliency maps, and how well they show what influences the model.

    python benchmarks/saliency.py [--bundle models/truelight] [--crops FOLDER --count 100] CLIP...

For each clip: the seconds for the maps, for the rest of the scan, and their share, the least of
several rounds. With a folder of face crops (with `labels.tsv`): the drop of the logit when the
strongest fifth of the map is hidden, minus the drop when a random fifth is hidden, for several
kinds of maps. The filling differs from the fillings that the maps were made with.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.scan.model.bundle import Bundle, load_bundle
from edge.scan.model.saliency import heat_map
from edge.scan.scanner import Scanner
from edge.settings import load_settings
from export.data.folders import read_folder

Floats = NDArray[np.float32]
Crop = NDArray[np.uint8]
Way = Callable[[Bundle, Crop], Floats]


def cost(bundle: Path, clips: list[Path], runs: int) -> None:
    """Print the cost of the maps in scans of clips."""
    settings = load_settings().changed("benchmark", {"model.bundle": str(bundle)})
    print("   heat s   rest s  share  faces  frames  clip")
    sums = np.zeros(2)
    with Scanner(settings) as scanner:
        scanner.wait()
        for clip in clips:
            looks = [scanner.scan_with_pictures(clip) for _ in range(runs)]
            spent = [look.finding.seconds for look in looks]
            heat = min(seconds.get("heat", 0.0) for seconds in spent)
            rest = min(seconds["total"] - seconds.get("heat", 0.0) for seconds in spent)
            sums += heat, rest
            look, share = looks[0], heat / (heat + rest)
            counts = f"{len(look.heat):6d} {look.finding.frames_scored:7d}"
            print(f"{heat:9.3f}{rest:9.3f}{share:7.1%} {counts}  {clip.name}")
    print(f"{sums[0]:9.3f}{sums[1]:9.3f}{sums[0] / sums.sum():7.1%}                 all")


def logits(bundle: Bundle, crops: NDArray[np.uint8]) -> Floats:
    """The logit of each crop, repeated as a window."""
    features = bundle.features(crops)
    return bundle.sequence(np.repeat(features[:, None], bundle.manifest.window.frames, axis=1))


def squares(bundle: Bundle, crop: Crop, count: int) -> Floats:
    """Hide `count` x `count` squares one by one behind the mean colour."""
    side, mean = len(crop), crop.mean((0, 1))
    edges = np.linspace(0, side, count + 1).round().astype(int)
    hidden = [crop]
    for top, bottom in pairwise(edges):
        for left, right in pairwise(edges):
            hidden.append(crop.copy())
            hidden[-1][top:bottom, left:right] = mean.round()
    answers = logits(bundle, np.stack(hidden))
    falls = (answers[0] - answers[1:]).reshape(count, count)
    return np.asarray(cv2.resize(falls, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def activations(bundle: Bundle, crop: Crop) -> Floats:
    """A class activation map: each place of the last feature map left out of their mean."""
    places = bundle.features(crop[None], "map")[0]
    height, width = places.shape[1:]
    places = places.reshape(len(places), -1)
    total, count = places.sum(1, keepdims=True), places.shape[1]
    means = np.concatenate([total / count, (total - places) / (count - 1)], axis=1).T
    answers = bundle.sequence(np.repeat(means[:, None], bundle.manifest.window.frames, axis=1))
    falls = (answers[0] - answers[1:]).reshape(height, width)
    shape = crop.shape[1::-1]
    return np.asarray(cv2.resize(falls, shape, interpolation=cv2.INTER_CUBIC), np.float32)


WAYS: dict[str, Way] = {
    "strips (edge/scan/model/saliency.py)": heat_map,
    "3 x 3 squares": partial(squares, count=3),
    "4 x 4 squares": partial(squares, count=4),
    "5 x 5 squares": partial(squares, count=5),
    "class activation, last map": activations,
}
FILLINGS: dict[str, Callable[[Crop], Crop]] = {
    "blur": lambda crop: np.asarray(cv2.GaussianBlur(crop, (0, 0), len(crop) / 10), np.uint8),
    "tiles": lambda crop: np.asarray(
        cv2.resize(
            cv2.resize(crop, (6, 6), interpolation=cv2.INTER_AREA),
            crop.shape[1::-1],
            interpolation=cv2.INTER_NEAREST,
        ),
        np.uint8,
    ),
}


def gain(bundle: Bundle, crop: Crop, heat: Floats, filling: Crop, seed: int) -> float:
    """The drop of the logit with the strongest fifth hidden, minus that with a fifth elsewhere."""
    rng = np.random.default_rng(seed)
    hottest = heat >= np.quantile(heat, 0.8)
    others = [np.roll(hottest, rng.integers(0, len(crop), 2), (0, 1)) for _ in range(8)]
    hidden = [np.where(mask[..., None], filling, crop) for mask in (hottest, *others)]
    answers = logits(bundle, np.stack(hidden))
    return float(answers[1:].mean() - answers[0])


def meaning(bundle: Bundle, folder: Path, count: int) -> None:
    """Print how well several kinds of maps show what influences the logit."""
    pictures = read_folder(folder)
    chosen = np.random.default_rng(0).permutation(len(pictures))[:count]
    side, scale = bundle.manifest.input.side, bundle.manifest.input.crop.scale
    gains: dict[tuple[str, str], list[float]] = {}
    for number in map(int, chosen):
        picture = pictures[number]
        whole = picture.read()
        size = min(len(whole), round(len(whole) * scale / picture.margin))
        start = (len(whole) - size) // 2
        inner = whole[start : start + size, start : start + size]
        crop = np.asarray(cv2.resize(inner, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        for way, make in WAYS.items():
            heat = make(bundle, crop)
            for name, fill in FILLINGS.items():
                lower = gain(bundle, crop, heat, fill(crop), number)
                gains.setdefault((way, name), []).append(lower)
    print("hottest fifth less a random fifth, mean +- standard error; share of faces above 0")
    for (way, name), values in gains.items():
        error = np.std(values) / np.sqrt(len(values))
        share = np.mean(np.array(values) > 0)
        print(f"{np.mean(values):+7.3f} +- {error:5.3f} {share:5.0%}  hidden by {name:6s} {way}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP")
    parser.add_argument("--bundle", type=Path, default=Path("models/truelight"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--crops", type=Path)
    parser.add_argument("--count", type=int, default=100)
    args = parser.parse_args()
    if args.clips:
        cost(args.bundle.resolve(), args.clips, args.runs)
    if args.crops:
        meaning(load_bundle(args.bundle), args.crops, args.count)


if __name__ == "__main__":
    main()
