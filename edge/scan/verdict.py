"""From the scores of faces to the verdict on the clip, and its reasons. Pure.

A face's windows are pooled and calibrated into one probability of FAKE. The highest probability
among the faces that are seen long and well enough decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.finding import (
    Face,
    Finding,
    Reason,
    ReasonCode,
    Thresholds,
    Verdict,
    verdict_of,
)
from edge.language import N_
from edge.scan.model.manifest import Manifest
from edge.text import percent


@dataclass(frozen=True)
class ClipContext:
    """What else the verdict depends on."""

    frames: int
    """Frames that were scanned."""
    step: float = 0.0
    """Seconds of the clip that a frame stands for; 0 for a single one."""
    first: int | None = None
    """Set if only the first frames were requested."""
    damaged: bool = False
    stopped: bool = False
    """Whether the limit of work was reached before the last planned frame."""
    limitations: tuple[Reason, ...] = ()
    """What else was not scanned, or is uncertain."""


def unreadable(finding: Finding, text: str) -> Finding:
    """The finding on a clip that cannot be judged, for the reason `text`."""
    reason = Reason(code=ReasonCode.UNREADABLE, text=text)
    return finding.replaced(
        verdict=Verdict.UNREADABLE, fake_probability=None, reasons=(reason,), faces=()
    )


def judge(finding: Finding, manifest: Manifest, context: ClipContext) -> Finding:
    """Fill in the verdict, its reasons and each face's probability; faces have their windows."""
    faces = tuple(_judge_face(face, manifest, context) for face in finding.faces)
    finding = finding.replaced(faces=faces)
    if not faces:
        no_face = Reason(code=ReasonCode.NO_FACE, text=N_("No face was found."))
        verdict, probability, reasons = Verdict.NO_FACE, None, [no_face]
    elif not (counted := counted_faces(faces)):
        verdict, probability, reasons = Verdict.UNSURE, None, _shortcomings(faces)
    else:
        probability = max(counted.values())
        verdict = verdict_of(probability, manifest.thresholds)
        reasons = [explain(finding, manifest.thresholds)]
    reasons += _limitations(context)
    return finding.replaced(verdict=verdict, fake_probability=probability, reasons=tuple(reasons))


def _judge_face(face: Face, manifest: Manifest, context: ClipContext) -> Face:
    """A face alone: the mean logit of its windows, calibrated, and whether it counts."""
    reasons, probability = tuple(_too_low(face, manifest, context)), None
    if face.windows:
        probability = manifest.calibration.probability(mean_logit(face))
    return face.replaced(
        counted=not reasons and probability is not None,
        fake_probability=probability,
        reasons=reasons,
    )


def mean_logit(face: Face) -> float:
    """Of a face's windows."""
    return math.fsum(window.logit for window in face.windows) / len(face.windows)


def counted_faces(faces: Sequence[Face]) -> dict[int, float]:
    """The probabilities of the faces that count, by id."""
    return {
        face.id: face.fake_probability
        for face in faces
        if face.counted and face.fake_probability is not None
    }


# ---- Reasons

_TOO_LOW = {
    ReasonCode.FACES_TOO_SMALL: N_("The face is {value} pixels wide; the minimum is {minimum}."),
    ReasonCode.TOO_DARK: N_(
        "The face is too dark: mean brightness {value} of 255; the minimum is {minimum}."
    ),
    ReasonCode.TOO_BLURRED: N_(
        "The face is too blurred: sharpness {value}; the minimum is {minimum}."
    ),
    ReasonCode.SEEN_TOO_BRIEFLY: N_(
        "The face is visible for {value} s; the minimum is {minimum} s."
    ),
}
_TOO_FEW = N_("The face was found in {found} of {frames} frames; the minimum is {minimum}.")
_ALL_TOO_LOW = {
    ReasonCode.FACES_TOO_SMALL: N_("The faces are too small."),
    ReasonCode.TOO_DARK: N_("The faces are too dark."),
    ReasonCode.TOO_BLURRED: N_("The faces are too blurred."),
    ReasonCode.SEEN_TOO_BRIEFLY: N_("The faces are visible too briefly."),
}
_PROBABILITY = {
    ReasonCode.ABOVE_FAKE_THRESHOLD: (
        N_("Probability of FAKE {share}; FAKE threshold: {fake}."),
        N_("Highest probability of FAKE {share}; FAKE threshold: {fake}."),
    ),
    ReasonCode.BELOW_REAL_THRESHOLD: (
        N_("Probability of FAKE {share}; REAL threshold: {real}."),
        N_("Highest probability of FAKE {share}; REAL threshold: {real}."),
    ),
    ReasonCode.BETWEEN_THRESHOLDS: (
        N_("Probability of FAKE {share}; REAL threshold: {real}, FAKE threshold: {fake}."),
        N_("Highest probability of FAKE {share}; REAL threshold: {real}, FAKE threshold: {fake}."),
    ),
}
"""For one face that counts, and for several."""


def _too_low(face: Face, manifest: Manifest, context: ClipContext) -> list[Reason]:
    """Why a face does not count; empty if it does."""
    limits, quality = manifest.quality, face.quality
    needed = _least_samples(limits.min_samples, context)
    measured = {
        ReasonCode.FACES_TOO_SMALL: (quality.face_px, limits.face_px),
        ReasonCode.TOO_DARK: (quality.light, limits.light),
        ReasonCode.TOO_BLURRED: (quality.sharpness, limits.sharpness),
        ReasonCode.SEEN_TOO_BRIEFLY: (
            face.frames * context.step,
            _least_seconds(limits.seconds, context),
        ),
    }
    reasons = [
        Reason(code=code, text=_TOO_LOW[code].format(**_as_text(value, minimum)))
        for code, (value, minimum) in measured.items()
        if value < minimum
    ]
    if face.frames < needed:
        text = _TOO_FEW.format(found=face.frames, frames=context.frames, minimum=needed)
        brief = Reason(code=ReasonCode.SEEN_TOO_BRIEFLY, text=text)
        reasons = [each for each in reasons if each.code is not brief.code] + [brief]
    return reasons


def _as_text(value: float, minimum: float) -> dict[str, str]:
    """A value below its minimum, as numbers that differ too: one rounded down, the other up."""
    return {
        "value": f"{math.floor(value * 10) / 10:g}",
        "minimum": f"{math.ceil(round(minimum * 100, 6)) / 100:g}",
    }


def _least_seconds(limit: float, context: ClipContext) -> float:
    """How long a face must be visible.

    A picture has no duration. Of the first frames only, which may be a short time, half suffices.
    """
    if context.frames <= 1:
        return 0.0
    scanned = context.frames * context.step
    return limit if context.first is None else min(limit, scanned / 2)


def _least_samples(limit: int, context: ClipContext) -> int:
    """How many frames must show a face: a picture has one, and fewer may have been requested."""
    if context.frames <= 1:
        return 1
    return limit if context.first is None else min(limit, context.frames)


def _shortcomings(faces: Sequence[Face]) -> list[Reason]:
    """Why no face counts: each kind of reason once, in a fixed order."""
    if len(faces) == 1:
        return list(faces[0].reasons)
    codes = {reason.code for face in faces for reason in face.reasons}
    return [Reason(code=code, text=text) for code, text in _ALL_TOO_LOW.items() if code in codes]


def explain(finding: Finding, thresholds: Thresholds) -> Reason:
    """The verdict in words, with the highest probability and the thresholds."""
    counted = counted_faces(finding.faces)
    highest = max(counted.values())
    decimals = _decimals(highest, thresholds)
    real, fake = (percent(limit, decimals) for limit in (thresholds.real, thresholds.fake))
    code, text = {
        Verdict.FAKE: (ReasonCode.ABOVE_FAKE_THRESHOLD, _swapped(finding, thresholds)),
        Verdict.REAL: (ReasonCode.BELOW_REAL_THRESHOLD, _swapped(finding, thresholds)),
        Verdict.UNSURE: (ReasonCode.BETWEEN_THRESHOLDS, N_("The answer lies in between.")),
    }[verdict_of(highest, thresholds)]
    numbers = _PROBABILITY[code][len(counted) > 1].format(
        share=percent(highest, decimals),
        real=real if thresholds.real > 0 else N_("none"),
        fake=fake if thresholds.fake < 1 else N_("none"),
    )
    return Reason(code=code, text=f"{text} {numbers}")


def _decimals(probability: float, thresholds: Thresholds) -> int:
    """The fewest decimals of per cent with which the rounded numbers give the same verdict."""
    values = (probability, thresholds.real, thresholds.fake)
    for decimals in range(4):
        unit = 10 ** (2 + decimals)
        shown, real, fake = (math.floor(value * unit + 1e-9) / unit for value in values)
        rounded = Thresholds(real=real, fake=fake)
        if verdict_of(shown, rounded) is verdict_of(probability, thresholds):
            return decimals
    return 4


def _swapped(finding: Finding, thresholds: Thresholds) -> str:
    """Which faces look swapped, in words."""
    counted = counted_faces(finding.faces)
    swapped = [id_ for id_, p in counted.items() if verdict_of(p, thresholds) is Verdict.FAKE]
    if not swapped:
        if len(counted) == len(finding.faces):
            return N_("No face looks swapped.")
        return N_("No face that could be judged looks swapped.")
    if len(swapped) > 1:
        return N_("{number} faces look swapped.").format(number=len(swapped))
    if len(finding.faces) == 1:
        return N_("The face looks swapped.")
    return N_("Face {face} looks swapped.").format(face=swapped[0])


def _limitations(context: ClipContext) -> list[Reason]:
    """Limitations of any verdict on this clip."""
    remarks = []
    if context.frames == 1:
        text = N_("This is a single picture: the motion of the face could not be judged.")
        remarks.append(Reason(code=ReasonCode.SINGLE_PICTURE, text=text))
    if context.first is not None and context.frames > 1:
        text = N_("Only the first {frames} frames were scanned, as requested.")
        text = text.format(frames=context.frames)
        remarks.append(Reason(code=ReasonCode.FIRST_FRAMES_ONLY, text=text))
    if context.damaged:
        text = N_("The file is damaged: only the parts that could be decoded were scanned.")
        remarks.append(Reason(code=ReasonCode.DAMAGED, text=text))
    if context.stopped:
        text = N_("The clip exceeds the limit of work: only {frames} frames were scanned.")
        text = text.format(frames=context.frames)
        remarks.append(Reason(code=ReasonCode.WORK_LIMIT, text=text))
    return [*remarks, *context.limitations]


def seconds_a_frame(frames: int, seconds: float, rate: float) -> float:
    """Seconds that a frame stands for if windows have one frame; 0 for a single picture."""
    return min(1 / rate, seconds / frames) if rate and frames > 1 else 0.0
