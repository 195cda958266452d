"""How small, dark, blurred or brief a face may be for a bundle to judge it.

Good faces of labelled clips are corrupted step by step until they measure a certain size, light or
sharpness (the numbers that a scan compares with the limits), and scored again.

**The change** is the mean square by which the logit moves, as a share of the mean square between
two unrelated clips (twice their variance; every source weighs the same). 0 is no change; 1 is a
score that has no more to do with this face than with any other; a score that collapses to one value
comes to a half. It is one less Lin's concordance correlation (1989), with the spread of the
unchanged faces on both sides. It counts noise as well as a shift of all faces towards FAKE, and it
is paired: some dozen sources fix it where they leave the AUC open by a tenth either way.

**The limit** is the smallest step that, like all better ones, keeps the change within the
tolerance: a quarter by default. A score that keeps its spread then still has a correlation of 0.75
with the original: an AUC of 0.80 becomes about 0.74.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from edge.finding import Verdict, verdict_of
from edge.scan.faces.crops import Crop
from edge.scan.media.sampling import Sampling
from edge.scan.model.bundle import Bundle
from edge.scan.model.inference import fill_window
from edge.scan.model.manifest import Manifest, MeasuredFigure, QualityLimits
from edge.scan.tracks import FacePipeline
from export.data.corruptions import (
    Corruption,
    FaceFrame,
    blur_to,
    corrupted,
    darker,
    quality,
    smaller,
    track_face,
    unchanged,
)
from export.data.folders import Example, Progress
from export.metrics import auc, bootstrap_interval, weighted_mean

Measure = Literal["face_px", "light", "sharpness", "seconds"]

STEPS: Final[dict[Measure, tuple[float, ...]]] = {
    "face_px": (80, 64, 48, 40, 32, 24, 16),
    "light": (70, 50, 35, 25, 16, 10, 5),
    "sharpness": (150, 80, 40, 20, 10, 5, 2),
    "seconds": (4, 2, 1, 0.5, 0.25),
}
"""What faces are brought to, from good to bad."""
STEP_NAMES: Final[dict[Measure, str]] = {
    "face_px": "faces of {:g} px",
    "light": "faces of light {:g}",
    "sharpness": "faces of sharpness {:g}",
    "seconds": "faces seen for {:g} s",
}

FRAMES: Final = 6  # of a clip that are corrupted
WINDOWS: Final = 4  # of a clip that are sampled
EQUAL: Final = 0.97  # a step above this share of what a face measures is no change
TOLERANCE: Final = 0.25
LEAST_FACES: Final = 8  # of a step; fewer are left out


@dataclass(frozen=True)
class Comparison:
    """A face brought to a step: its logits before and after."""

    measure: Measure
    step: float
    source: str
    fake: bool
    before: float
    after: float


@dataclass(frozen=True)
class LimitRow:
    """What a step does to the faces that were better than it; shares are 0 to 1."""

    measure: Measure
    step: float
    faces: int
    sources: int
    change: float
    change_interval: tuple[float, float]
    auc_before: float
    auc_after: float
    changed: float  # of all verdicts
    false_alarms: float  # of the reals: called FAKE
    missed: float  # of the fakes: called REAL


def compare_clips(
    bundle: Bundle,
    pipeline: FacePipeline,
    clips: Sequence[Example],
    progress: Progress,
) -> list[Comparison]:
    """Corrupt the main face of every clip, step by step, and score it.

    Raises TruelightError if a clip is not there.
    """
    window = bundle.manifest.window
    sampling = Sampling(window.frames, window.rate, WINDOWS, None)
    found: list[Comparison] = []
    for done, clip in enumerate(clips):
        progress(done, len(clips))
        if not clip.path.is_file():
            raise TruelightError(f"{clip.path} is missing.", "labels.tsv names it.")
        seen = track_face(clip.path, pipeline, sampling, bundle.manifest.input.crop_spec)
        if seen:
            found += _corrupted(bundle, clip, seen)
            found += _shortened(bundle, clip, seen)
    return found


def _corrupted(bundle: Bundle, clip: Example, seen: Sequence[FaceFrame]) -> list[Comparison]:
    """One window from the middle of the clip, in every step of size, light and sharpness."""
    window = seen[len(seen) // 2].window
    chosen = [face for face in seen if face.window == window][:FRAMES]
    crops = [corrupted(face, unchanged, bundle.manifest.input.crop_spec) for face in chosen]
    changes = _changes(chosen, crops)
    for _, _, change in changes:
        crops += [corrupted(face, change, bundle.manifest.input.crop_spec) for face in chosen]
    features = bundle.features(np.stack([crop.pixels for crop in crops]))
    before, *after = (
        _logit(bundle, chosen, features[at : at + len(chosen)])
        for at in range(0, len(crops), len(chosen))
    )
    return [
        Comparison(measure, step, clip.source, clip.fake, before, logit)
        for (measure, step, _), logit in zip(changes, after, strict=True)
    ]


def _shortened(bundle: Bundle, clip: Example, seen: Sequence[FaceFrame]) -> list[Comparison]:
    """The first seconds of the clip against all of it."""
    features = bundle.features(np.stack([face.crop.pixels for face in seen]))
    whole = _logit(bundle, seen, features)
    found = []
    for step in STEPS["seconds"]:
        count = max(1, math.ceil(step * bundle.manifest.window.rate - 1e-9))
        if count < EQUAL * len(seen):
            logit = _logit(bundle, seen[:count], features[:count])
            found.append(Comparison("seconds", step, clip.source, clip.fake, whole, logit))
    return found


def _changes(
    seen: Sequence[FaceFrame], crops: Sequence[Crop]
) -> list[tuple[Measure, float, Corruption]]:  # fmt: skip
    """What brings these faces to each step that is worse than they are."""
    now = quality(crops)
    typical = min(
        zip(seen, crops, strict=True),
        key=lambda both: abs(both[1].quality.sharpness - now.sharpness),
    )[0]
    makers: dict[Measure, Callable[[float], Corruption]] = {
        "face_px": lambda step: smaller(step / now.face_px),
        "light": lambda step: darker(step / now.light),
        "sharpness": lambda step: blur_to(typical, step),
    }
    return [
        (measure, step, make(step))
        for measure, make in makers.items()
        for step in STEPS[measure]
        if step < EQUAL * getattr(now, measure)
    ]


def _logit(bundle: Bundle, seen: Sequence[FaceFrame], features: NDArray[np.float32]) -> float:
    """The mean logit of the windows that these frames fill in a scan."""
    filled, shape = [], bundle.manifest.window
    for window in sorted({face.window for face in seen}):
        rows = [at for at, face in enumerate(seen) if face.window == window]
        times = [seen[at].time for at in rows]
        slots = fill_window(times, range(len(rows)), shape.frames, 1 / shape.rate)
        filled.append(features[[rows[slot] for slot in slots]])
    return float(bundle.sequence(np.stack(filled)).mean())


def table(comparisons: Sequence[Comparison], manifest: Manifest) -> list[LimitRow]:
    """A row for every step that enough faces were brought to."""
    rows = []
    for measure, steps in STEPS.items():
        of_measure = [each for each in comparisons if each.measure == measure]
        spread = _spread(of_measure)
        for step in steps:
            part = [each for each in of_measure if each.step == step]
            if len(part) >= LEAST_FACES and len({each.source for each in part}) > 1:
                rows.append(_row(part, spread, manifest))
    return rows


def limits(
    rows: Sequence[LimitRow], now: QualityLimits, tolerance: float = TOLERANCE
) -> QualityLimits:
    """The smallest step of each measure that holds; `now` where none was tried."""
    found: dict[str, float] = {}
    for measure in STEPS:
        steps = [row for row in rows if row.measure == measure]
        for row in sorted(steps, key=lambda row: -row.step):
            if row.change > tolerance:
                break
            found[measure] = row.step
        if steps and measure not in found:  # the best step fails: faces must be better than it
            found[measure] = max(row.step for row in steps)
    return now.model_copy(update=found)


def limit_figures(rows: Sequence[LimitRow], data: str, command: str) -> list[MeasuredFigure]:
    """The table as figures for the bundle and its card."""
    return [
        MeasuredFigure(
            name=f"change of the logit, {STEP_NAMES[row.measure].format(row.step)}",
            value=row.change,
            low=row.change_interval[0],
            high=row.change_interval[1],
            data=data,
            command=command,
        )
        for row in rows
    ]


def _spread(comparisons: Sequence[Comparison]) -> float:
    """The mean square by which two unrelated faces' logits differ; every source weighs the same."""
    faces = sorted({(each.source, each.before) for each in comparisons})
    if not faces:
        return 0.0
    counts = Counter(source for source, _ in faces)
    weights = np.array([1 / counts[source] / len(counts) for source, _ in faces])
    logits = np.array([logit for _, logit in faces])
    return 2 * float(weights @ (logits - weights @ logits) ** 2)


def _row(part: Sequence[Comparison], spread: float, manifest: Manifest) -> LimitRow:
    squares: dict[str, list[float]] = {}
    for each in part:
        squares.setdefault(each.source, []).append((each.after - each.before) ** 2)
    by_source = np.array([np.mean(values) for values in squares.values()]) / max(spread, 1e-12)
    labels = [float(each.fake) for each in part]
    probability = manifest.calibration.probability
    before, after = (
        [verdict_of(probability(logit), manifest.thresholds) for logit in logits]
        for logits in ([each.before for each in part], [each.after for each in part])
    )
    real, fake = (
        [v for v, each in zip(after, part, strict=True) if each.fake is label]
        for label in (False, True)
    )
    return LimitRow(
        part[0].measure,
        part[0].step,
        faces=len(part),
        sources=len(squares),
        change=float(by_source.mean()),
        change_interval=bootstrap_interval(list(squares), lambda w: weighted_mean(by_source, w)),
        auc_before=auc(labels, [each.before for each in part]),
        auc_after=auc(labels, [each.after for each in part]),
        changed=_share(a is not b for a, b in zip(after, before, strict=True)),
        false_alarms=_share(verdict is Verdict.FAKE for verdict in real),
        missed=_share(verdict is Verdict.REAL for verdict in fake),
    )


def _share(flags: Iterable[bool]) -> float:
    values = list(flags)
    return sum(values) / len(values) if values else 0.0
