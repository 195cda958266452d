"""Two models' answers to the faces of labelled clips, and the rule that joins them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import TruelightError
from edge.finding import Finding, Thresholds, Verdict
from edge.scan.model.bundle import read_manifest
from edge.scan.model.manifest import FEATURES, SEQUENCE, EnsembleRule, Manifest
from edge.scan.scanner import Scanner
from edge.scan.verdict import calibrated
from edge.settings import load_settings
from export.convert.bundle import amend
from export.evaluate.calibrate import Fit, Sample, fit
from export.evaluate.scans import decide, judge_clips

EVERYTHING = Thresholds(real=0.0, fake=1.0)
"""Between these lies every probability: the first model asks about every clip."""
ROUNDS = 3  # of choosing the face that decides a clip by the rule, and fitting the rule to those

Pair = tuple[float, float]
"""A face's mean logits by the first model and by the second."""


@dataclass(frozen=True)
class View:
    """A labelled clip as both models see it."""

    fake: bool
    source: str
    faces: tuple[Pair, ...]
    first: Verdict
    """What the first model says alone."""


def unfitted(first: Manifest, crops: int) -> EnsembleRule:
    """A rule that lets the second model be asked, to be replaced by what that gives."""
    return EnsembleRule(
        name=first.name,
        sequence=first.files[SEQUENCE],
        features=first.files[FEATURES],
        crops=crops,
        first=0.5,
        second=0.5,
        offset=0.0,
        thresholds=EVERYTHING,
    )


def see(
    first: Path, second: Path, clips: Path, shop: Path, progress: Callable[[int, int], None]
) -> list[View]:
    """Scan the clips that a folder's labels.tsv names, as the box does, asking about all of them.

    `second` is a bundle with any rule; `shop` is a folder to work in.

    Raises TruelightError if a bundle or a clip cannot be used.
    """
    manifest, _ = read_manifest(first)
    asking = shop / "first"
    shutil.copytree(first, asking)
    amend(asking, thresholds=EVERYTHING)
    values = {
        "model.bundle": str(asking.resolve()),
        "second_opinion.ask": "always",
        "second_opinion.bundle": str(second.resolve()),
    }
    with Scanner(load_settings().changed("the command line", values)) as scanner:
        judged = judge_clips(scanner, clips, progress)
    views = []
    for j in judged:
        faces = _faces(j.finding) if j.finding else {}
        if faces:
            worst = max(calibrated(pair[0], manifest) for pair in faces.values())
            said = decide(worst, manifest)
            views.append(View(j.fake, j.source, tuple(faces.values()), said))
    if not views:
        raise TruelightError(f"The second model was asked about no clip of {clips}.")
    return views


def _faces(finding: Finding) -> dict[int, Pair]:
    """Both logits of every face that the second model was asked about."""
    if finding.second_opinion is None:
        return {}
    seconds = {face.id: face.logit for face in finding.second_opinion.faces}
    return {
        face.id: (
            math.fsum(window.logit for window in face.windows) / len(face.windows),
            seconds[face.id],
        )
        for face in finding.faces
        if face.id in seconds
    }


def fit_alone(views: Sequence[View], error: float) -> Fit:
    """The second model's own calibration: a clip's logit is that of its worst face."""
    worst = [max(second for _, second in view.faces) for view in views]
    return fit(
        [Sample(v.fake, v.source, (logit,)) for v, logit in zip(views, worst, strict=True)], error
    )


def fit_joined(views: Sequence[View], error: float) -> Fit:
    """The rule for both: errors of the first model where it decides count against `error`."""
    spread = np.array([pair for view in views for pair in view.faces]).std(0) + 1e-6
    weights: Sequence[float] = (1 / spread).tolist()
    for _ in range(ROUNDS):
        chosen = [max(view.faces, key=lambda pair: _sum(weights, pair)) for view in views]
        both = zip(views, chosen, strict=True)
        found = fit([Sample(v.fake, v.source, pair, _decided(v)) for v, pair in both], error)
        if list(found.rule.weights) == list(weights):
            break
        weights = found.rule.weights
    return found


def _sum(weights: Sequence[float], pair: Pair) -> float:
    return weights[0] * pair[0] + weights[1] * pair[1]


def _decided(view: View) -> Verdict | None:
    return view.first if view.first in (Verdict.REAL, Verdict.FAKE) else None
