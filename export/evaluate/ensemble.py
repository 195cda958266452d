"""Two models' logits for the faces of labelled clips, and the rule that joins them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from edge.errors import TruelightError
from edge.finding import Finding, Thresholds, Verdict, verdict_of
from edge.scan.begin import decoding_plan
from edge.scan.frames import Floats as Features
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.manifest import FEATURES, SEQUENCE, EnsembleRule, Manifest
from edge.settings import load_settings
from export.clip.adapter import GeneratedHead, LeftOutHeads
from export.convert.bundle import amend
from export.data.folders import Progress
from export.evaluate.calibrate import Fit, fit
from export.evaluate.recording import RecordingScanner
from export.evaluate.records import AS_IS, Prediction
from export.evaluate.samples import Sample
from export.evaluate.scans import recompressed, scan_clips
from export.metrics import Floats

UNDECIDED = Thresholds(real=0.0, fake=1.0)
"""Neither verdict is given, so the first model asks about every clip."""
ROUNDS = 3  # of choosing each clip's deciding face by the rule, and fitting the rule to those

LogitPair = tuple[float, float]
"""A face's mean logits by the first model and by the second."""


@dataclass(frozen=True)
class PairedClip:
    """A labelled clip scored by both models."""

    fake: bool
    source: str
    faces: tuple[LogitPair, ...]
    first: Verdict
    """The first model's own verdict."""
    generated: float | None = None
    """The highest logit of a face that was generated whole, if the second model says so."""
    condition: str = AS_IS
    """How the clip was recompressed."""


def unfitted(first: Manifest, crops: int) -> EnsembleRule:
    """A provisional rule, with which the second model can be asked."""
    return EnsembleRule(
        name=first.name,
        sequence=first.files[SEQUENCE],
        features=first.files[FEATURES],
        crops=crops,
        first=0.5,
        second=0.5,
        offset=0.0,
        thresholds=UNDECIDED,
    )


class RecordedClip(NamedTuple):
    """A labelled clip as it was scanned, and the features by which the second model judged."""

    prediction: Prediction
    features: Mapping[int, Features]
    """By face, float32 `[crops, D]`; empty if it was not asked."""


def scan_recorded(
    first: Path,
    second: Path,
    clips: Path,
    workshop: Path,
    progress: Progress,
    ways: Sequence[str] = (),
) -> list[RecordedClip]:
    """Scan the clips that a folder's labels.tsv names, as the box does, asking about all of them.

    `second` is a bundle with any rule; `workshop` is a folder to work in. All are scanned again
    recompressed in these `ways`, keys of `RECOMPRESSIONS`.

    Raises TruelightError if a bundle or a clip cannot be used.
    """
    asking = workshop / "first"
    shutil.copytree(first, asking)
    amend(asking, thresholds=UNDECIDED)
    values = {
        "model.bundle": str(asking.resolve()),
        "second_opinion.ask": "always",
        "second_opinion.seconds": 3600.0,
        "second_opinion.bundle": str(second.resolve()),
    }
    predictions: list[Prediction] = []
    settings = load_settings().changed("the command line", values)
    with RecordingScanner(settings) as scanner:
        sampling, _ = decoding_plan(settings, scanner.manifest)

        def begin(done: int, total: int) -> None:
            scanner.clip = len(predictions) + done
            progress(scanner.clip, total * (1 + len(ways)))

        predictions += scan_clips(scanner, clips, begin)
        for way in ways:
            how = recompressed(way, workshop, sampling)
            predictions += scan_clips(scanner, clips, begin, *how)
        recorded = [scanner.features.get(clip, {}) for clip in range(len(predictions))]
    return [RecordedClip(*both) for both in zip(predictions, recorded, strict=True)]


def scan_with_both(
    first: Path,
    second: Path,
    clips: Path,
    workshop: Path,
    progress: Progress,
    left_out: LeftOutHeads | None = None,
    generated: GeneratedHead | None = None,
    ways: Sequence[str] = (),
) -> list[PairedClip]:
    """The logits of `scan_recorded`, of the clips about which the second model could be asked.

    With `left_out`, a clip that the head learned from has the logits of a head that did not.

    Raises TruelightError as that does, or if there is no such clip.
    """
    manifest = read_bundle(first).manifest
    paired = []
    for p, known in scan_recorded(first, second, clips, workshop, progress, ways):
        other = {
            face: logit
            for face, each in known.items()
            if left_out and (logit := left_out.logit(p.source, each.mean(0))) is not None
        }
        if p.finding and (faces := _faces(p.finding, other)):
            worst = max(manifest.calibration.probability(pair[0]) for pair in faces)
            verdict = verdict_of(worst, manifest.thresholds)
            means = [each.mean(0) for each in known.values()]
            logits = [_generated(generated, p.source, mean) for mean in means] if generated else []
            highest, condition = max(logits, default=None), p.condition.compression
            paired.append(PairedClip(p.fake, p.source, faces, verdict, highest, condition))
    if not paired:
        raise TruelightError(f"The second model was asked about no clip of {clips}.")
    return paired


def _generated(head: GeneratedHead, source: str, features: Floats) -> float:
    """By a head that did not learn from the source."""
    logit = head.left_out.logit(source, features)
    return float(features @ head.weight + head.bias) if logit is None else logit


def scan_beside(
    first: Path, second: Path, clips: Path, progress: Progress, ways: Sequence[str] = ()
) -> list[PairedClip]:
    """The same with a second bundle that is ready for use.

    Raises TruelightError as `scan_with_both`, or if the second bundle is for another first one.
    """
    rule = read_bundle(second).manifest.beside
    if rule is None or not rule.fits(read_bundle(first).manifest):
        raise TruelightError(
            f"{second} gives no second opinion beside {first}.", "Make one with opinion."
        )
    with TemporaryDirectory() as folder:
        return scan_with_both(first, second, clips, Path(folder), progress, ways=ways)


def _faces(finding: Finding, other: Mapping[int, float]) -> tuple[LogitPair, ...]:
    """Both logits of every face that the second model was asked about; by `other`, if it has it."""
    if finding.second_opinion is None:
        return ()
    seconds = {face.id: face.logit for face in finding.second_opinion.faces} | dict(other)
    return tuple(
        (fmean(window.logit for window in face.windows), seconds[face.id])
        for face in finding.faces
        if face.id in seconds
    )


def fit_alone(clips: Sequence[PairedClip], error: float) -> Fit:
    """The second model's own calibration: a clip's logit is that of its worst face."""
    logits = [max(second for _, second in clip.faces) for clip in clips]
    both = zip(clips, logits, strict=True)
    return fit([_scored(clip, (logit,)) for clip, logit in both], error)


def fit_joined(clips: Sequence[PairedClip], error: float) -> Fit:
    """The rule for both: errors of the first model where it decides count against `error`."""
    spread = np.array([pair for clip in clips for pair in clip.faces]).std(0) + 1e-6
    weights: Sequence[float] = (1 / spread).tolist()
    for _ in range(ROUNDS):
        found = fit([_sample(clip, weights) for clip in clips], error)
        if list(found.rule.weights) == list(weights):
            break
        weights = found.rule.weights
    return found


def _sample(clip: PairedClip, weights: Sequence[float]) -> Sample:
    """The clip's worst face by these weights."""
    deciding = max(clip.faces, key=lambda pair: weights[0] * pair[0] + weights[1] * pair[1])
    decided = None if clip.first is Verdict.UNSURE else clip.first
    return _scored(clip, deciding, decided)


def _scored(clip: PairedClip, logits: tuple[float, ...], decided: Verdict | None = None) -> Sample:
    return Sample(clip.fake, clip.source, logits, decided, clip.condition)
