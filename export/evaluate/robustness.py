"""A bundle asked about the faces of clips, as they are and made worse step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from edge.scan.faces.crops import Crop
from edge.scan.faces.search import FacePipeline
from edge.scan.media.sampling import Sampling
from edge.scan.model.bundle import Bundle
from edge.scan.model.inference import fill_window
from export.data.corruptions import (
    Change,
    Seen,
    blur_to,
    darker,
    follow,
    quality,
    smaller,
    unchanged,
    worsened,
)
from export.data.folders import Picture

Measure = Literal["face_px", "light", "sharpness", "seconds"]

STEPS: dict[Measure, tuple[float, ...]] = {
    "face_px": (80, 64, 48, 40, 32, 24, 16),
    "light": (70, 50, 35, 25, 16, 10, 5),
    "sharpness": (150, 80, 40, 20, 10, 5, 2),
    "seconds": (4, 2, 1, 0.5, 0.25),
}
"""What the faces are brought to, from good to bad."""

FRAMES = 6  # of a clip that are worsened
WINDOWS = 4  # of a clip that are looked at
EQUAL = 0.97  # a step as good as this share of what a face measures is none


@dataclass(frozen=True)
class Trial:
    """A face that was brought to a step, and what was said of it then and before."""

    measure: Measure
    step: float
    source: str
    fake: bool
    before: float
    after: float


def try_clips(
    bundle: Bundle,
    eyes: FacePipeline,
    clips: Sequence[Picture],
    progress: Callable[[int, int], None],
) -> list[Trial]:
    """Worsen the main face of every clip, step by step, and ask the bundle.

    Raises TruelightError if a clip is not there.
    """
    window = bundle.manifest.window
    sampling = Sampling(window.frames, window.rate, WINDOWS, None)
    trials: list[Trial] = []
    for done, clip in enumerate(clips):
        progress(done, len(clips))
        if not clip.path.is_file():
            raise TruelightError(f"{clip.path} is missing.", "labels.tsv names it.")
        seen = follow(clip.path, eyes, sampling, bundle.crop)
        if seen:
            trials += _worse(bundle, clip, seen)
            trials += _briefer(bundle, clip, seen)
    return trials


def _worse(bundle: Bundle, clip: Picture, seen: Sequence[Seen]) -> list[Trial]:
    """One window from the middle of the clip, in every step of size, light and sharpness."""
    spec, chosen = bundle.crop, _middle(seen)
    crops = [worsened(face, unchanged, spec) for face in chosen]
    steps: list[tuple[Measure, float]] = []
    for measure, step, change in _changes(chosen, crops):
        steps.append((measure, step))
        crops += [worsened(face, change, spec) for face in chosen]
    features = bundle.features(np.stack([crop.pixels for crop in crops]))
    before, *after = (
        _logit(bundle, chosen, features[at : at + len(chosen)])
        for at in range(0, len(crops), len(chosen))
    )
    return [
        Trial(measure, step, clip.source, clip.fake, before, logit)
        for (measure, step), logit in zip(steps, after, strict=True)
    ]


def _briefer(bundle: Bundle, clip: Picture, seen: Sequence[Seen]) -> list[Trial]:
    """The first seconds of the clip against all of it."""
    features = bundle.features(np.stack([face.crop.pixels for face in seen]))
    whole = _logit(bundle, seen, features)
    trials = []
    for step in STEPS["seconds"]:
        count = max(1, math.ceil(step * bundle.window_rate - 1e-9))
        if count < EQUAL * len(seen):
            logit = _logit(bundle, seen[:count], features[:count])
            trials.append(Trial("seconds", step, clip.source, clip.fake, whole, logit))
    return trials


def _changes(
    seen: Sequence[Seen], crops: Sequence[Crop]
) -> list[tuple[Measure, float, Change]]:  # fmt: skip
    """What brings these faces to each step that is worse than they are."""
    is_ = quality(crops)
    found: list[tuple[Measure, float, Change]] = []
    for step in STEPS["face_px"]:
        if step < EQUAL * is_.face_px:
            found.append(("face_px", step, smaller(step / is_.face_px)))
    for step in STEPS["light"]:
        if step < EQUAL * is_.light:
            found.append(("light", step, darker(step / is_.light)))
    typical = min(
        zip(seen, crops, strict=True),
        key=lambda both: abs(both[1].quality.sharpness - is_.sharpness),
    )[0]
    for step in STEPS["sharpness"]:
        if step < EQUAL * is_.sharpness:
            found.append(("sharpness", step, blur_to(typical, step)))
    return found


def _middle(seen: Sequence[Seen]) -> list[Seen]:
    """Some frames in a row: of the window in the middle of the clip."""
    window = seen[len(seen) // 2].window
    return [face for face in seen if face.window == window][:FRAMES]


def _logit(bundle: Bundle, seen: Sequence[Seen], features: NDArray[np.float32]) -> float:
    """What a scan would make of these frames: the mean logit of the windows they fill."""
    filled = []
    for window in sorted({face.window for face in seen}):
        rows = [at for at, face in enumerate(seen) if face.window == window]
        times = [seen[at].time for at in rows]
        slots = fill_window(times, range(len(rows)), bundle.window_frames, 1 / bundle.window_rate)
        filled.append(features[[rows[slot] for slot in slots]])
    return float(bundle.sequence(np.stack(filled)).mean())
