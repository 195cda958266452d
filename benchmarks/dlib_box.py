"""Fit the crop that replaces dlib's box, on which the published checkpoints were trained.

    python benchmarks/dlib_box.py CLIPS [--frames 4]

CLIPS is a folder of clips with a `labels.tsv` (columns file, source). In a few frames of each
clip dlib's HOG detector (upsampled once, as the published systems run it) and ours search for the
face; the scale and the shift that turn our box into dlib's are those with the best mean overlap
(IoU), every source weighing the same. Each source is judged by a fit that did not see it.
Needs dlib (the package dlib-bin has wheels).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import dlib
import numpy as np
from numpy.typing import NDArray

from edge.finding import Box
from edge.scan.faces.detector import FaceDetector, load_detector
from edge.scan.faces.search import FaceSearch
from edge.scan.frames import Frame, Pixels, overlap

Floats = NDArray[np.float64]
LEAST_OVERLAP = 0.1  # with a smaller one the detectors found different faces
STEPS = (0.04, 0.01, 0.0025)


@dataclass(frozen=True)
class Pair:
    """One face as both detectors find it: left, top, right, bottom in pixels."""

    source: str
    ours: Floats
    dlib: Floats


def main() -> None:
    """Measure, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--frames", type=int, default=4, help="frames a clip (default 4)")
    options = parser.parse_args()
    pairs, seen, counts = _measure(options.clips, options.frames)
    report(pairs, seen, counts)


def _measure(folder: Path, frames: int) -> tuple[list[Pair], int, dict[str, int]]:
    ours, hog = load_detector(), dlib.get_frontal_face_detector()
    counts = {"both": 0, "ours alone": 0, "dlib alone": 0, "neither": 0, "elsewhere": 0}
    pairs, seen = [], 0
    with (folder / "labels.tsv").open(newline="") as table:
        clips = [(row["file"], row["source"]) for row in csv.DictReader(table, delimiter="\t")]
    for file, source in clips:
        for pixels in _spread(folder / file, frames):
            seen += 1
            outcome = _pair(source, pixels, ours, hog)
            if isinstance(outcome, Pair):
                pairs.append(outcome)
                outcome = "both"
            counts[outcome] += 1
    return pairs, seen, counts


def _pair(
    source: str, pixels: Pixels, ours: FaceDetector, hog: dlib.fhog_object_detector
) -> Pair | str:
    boxes = [face.box for face in FaceSearch(ours).detect(Frame(0, 0, 0.0, pixels))]
    rects = [_trimmed(rect, pixels) for rect in hog(pixels, 1)]
    if not boxes or not rects:
        return "ours alone" if boxes else "dlib alone" if rects else "neither"
    box, rect = max(((b, r) for b in boxes for r in rects), key=lambda both: overlap(*both))
    if overlap(box, rect) < LEAST_OVERLAP:
        return "elsewhere"
    return Pair(source, _corners(box), _corners(rect))


def _trimmed(rect: dlib.rectangle, pixels: Pixels) -> Box:
    """dlib's box as the published systems cut it: not beyond the frame."""
    height, width = pixels.shape[:2]
    left, top = max(rect.left(), 0), max(rect.top(), 0)
    right, bottom = min(rect.right(), width), min(rect.bottom(), height)
    return Box(x=left, y=top, width=right - left, height=bottom - top)


def _corners(box: Box) -> Floats:
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height])


def _spread(path: Path, count: int) -> Iterator[Pixels]:
    """Frames at the middles of `count` equal parts of the clip."""
    with av.open(path) as container:
        total = sum(1 for _ in container.decode(video=0))
    wanted = {int((part + 0.5) * total / count) for part in range(count)}
    with av.open(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def mapped(ours: Floats, fit: Floats) -> Floats:
    """Boxes [n, 4] under `fit` (scale, shift_x, shift_y), as `CropSpec.square` does it."""
    longest = np.maximum(ours[:, 2] - ours[:, 0], ours[:, 3] - ours[:, 1])
    centre = (ours[:, :2] + ours[:, 2:]) / 2 + fit[1:] * longest[:, None]
    half = fit[0] * longest[:, None] / 2
    return np.hstack([centre - half, centre + half])


def overlaps(one: Floats, other: Floats) -> Floats:
    """IoU of boxes [n, 4] pair by pair."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    return np.asarray(both / (areas[0] + areas[1] - both))


def fit_mapping(pairs: list[Pair]) -> Floats:
    """Scale, shift_x, shift_y with the best mean IoU, every source weighing the same."""
    ours, theirs = (np.array([getattr(p, who) for p in pairs]) for who in ("ours", "dlib"))
    names = [pair.source for pair in pairs]
    weights = np.array([1 / names.count(name) for name in names])
    best = np.array([1.0, 0.0, 0.0])

    def mean_overlap(fit: Floats) -> float:
        return float(np.average(overlaps(mapped(ours, fit), theirs), weights=weights))

    around = [np.array(way) - 1 for way in np.ndindex(3, 3, 3)]
    for step in STEPS:
        while True:
            nearby = [best + step * way for way in around]
            top = nearby[int(np.argmax([mean_overlap(fit) for fit in nearby]))]
            if mean_overlap(top) <= mean_overlap(best):
                break
            best = top
    return best


def report(pairs: list[Pair], seen: int, counts: dict[str, int]) -> None:
    """Print the fit and how well it carries over to sources it has not seen."""
    sources = sorted({pair.source for pair in pairs})
    print(f"{seen} frames; " + ", ".join(f"{name} {number}" for name, number in counts.items()))
    print("every source evaluated with a fit without it:")
    unseen: dict[str, Floats] = {}
    for source in sources:
        fit = fit_mapping([pair for pair in pairs if pair.source != source])
        unseen[source] = _overlaps_with([pair for pair in pairs if pair.source == source], fit)
    everything = np.concatenate(list(unseen.values()))
    means = np.array([values.mean() for values in unseen.values()])
    print(
        f"  IoU over {everything.size} frames: median {np.median(everything):.3f}, "
        f"mean {everything.mean():.3f}, tenth percentile {np.percentile(everything, 10):.3f}\n"
        f"  IoU over {means.size} sources: median {np.median(means):.3f}, "
        f"mean {means.mean():.3f}, worst {means.min():.3f} ({sources[int(means.argmin())]})"
    )
    plain = _overlaps_with(pairs, np.array([1.0, 0.0, 0.0]))
    print(f"  our box unmapped: median {np.median(plain):.3f}, mean {plain.mean():.3f}")
    fit = fit_mapping(pairs)
    print(f"fit on all: scale {fit[0]:.3f}, shift_x {fit[1]:+.3f}, shift_y {fit[2]:+.3f}")


def _overlaps_with(pairs: list[Pair], fit: Floats) -> Floats:
    ours, theirs = (np.array([getattr(p, who) for p in pairs]) for who in ("ours", "dlib"))
    return overlaps(mapped(ours, fit), theirs)


if __name__ == "__main__":
    main()
