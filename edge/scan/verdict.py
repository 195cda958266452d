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
from edge.scan.reasons import (
    ALL_TOO_LOW,
    EITHER,
    GENERATED,
    PROBABILITY,
    SWAPPED,
    UNDECIDED,
    WORK_LIMIT,
    shortcomings,
)
from edge.text import part_text, percent


@dataclass(frozen=True)
class ClipContext:
    """What else the verdict depends on."""

    frames: int
    """Frames that were scanned."""
    step: float = 0.0
    """Seconds of the clip that a frame stands for; 0 for a single one."""
    first: int | None = None
    """Set if only the first frames were requested."""
    is_still: bool = False
    """Whether all frames, at least two, show the same picture."""
    damaged: bool = False
    stopped: bool = False
    """Whether the limit of work was reached before the last planned frame."""
    limitations: tuple[Reason, ...] = ()
    """What else was not scanned, or is uncertain."""
    parts: tuple[ClipContext, ...] = ()
    """Of other parts of the file that were scanned."""

    def of(self, part: int) -> ClipContext:
        """Of one part; 0 is the first."""
        return self.parts[part - 1] if part else self

    @property
    def all_frames(self) -> int:
        """Frames that were scanned of all parts."""
        return self.frames + sum(part.frames for part in self.parts)


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
    reasons += _limitations(faces, context)
    return finding.replaced(verdict=verdict, fake_probability=probability, reasons=tuple(reasons))


def _judge_face(face: Face, manifest: Manifest, context: ClipContext) -> Face:
    """A face alone: the mean logit of its windows, calibrated, and whether it counts."""
    reasons, probability = tuple(shortcomings(face, manifest.quality, context.of(face.part))), None
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


def _shortcomings(faces: Sequence[Face]) -> list[Reason]:
    """Why no face counts: each kind of reason once, in a fixed order."""
    if len(faces) == 1:
        return list(faces[0].reasons)
    codes = {reason.code for face in faces for reason in face.reasons}
    return [Reason(code=code, text=text) for code, text in ALL_TOO_LOW.items() if code in codes]


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
    shown = percent(highest, decimals)
    if decimals == _MOST_DECIMALS:
        # More decimals would not be read; with these, it would look the same as the limit.
        shown = N_("just over {share}").format(share=shown)
    templates: Sequence[str] = PROBABILITY[code]
    if thresholds.real <= 0 and thresholds.fake >= 1:
        text, *templates = UNDECIDED
    numbers = templates[len(counted) > 1].format(
        share=shown,
        real=real if thresholds.real > 0 else N_("none"),
        fake=fake if thresholds.fake < 1 else N_("none"),
    )
    return Reason(code=code, text=f"{text} {numbers}")


_MOST_DECIMALS = 4


def _decimals(probability: float, thresholds: Thresholds) -> int:
    """The fewest decimals of per cent with which the rounded numbers give the same verdict."""
    values = (probability, thresholds.real, thresholds.fake)
    for decimals in range(_MOST_DECIMALS):
        unit = 10 ** (2 + decimals)
        shown, real, fake = (math.floor(value * unit + 1e-9) / unit for value in values)
        rounded = Thresholds(real=real, fake=fake)
        if verdict_of(shown, rounded) is verdict_of(probability, thresholds):
            return decimals
    return _MOST_DECIMALS


def _swapped(finding: Finding, thresholds: Thresholds) -> str:
    """Which faces look swapped or generated, in words."""
    counted, generated = counted_faces(finding.faces), _generated(finding)
    fakes = [id_ for id_, p in counted.items() if verdict_of(p, thresholds) is Verdict.FAKE]
    if not fakes:
        how = SWAPPED if generated is None else EITHER
        if len(counted) == len(finding.faces):
            return N_("No face looks {how}.").format(how=how)
        return N_("No face that could be judged looks {how}.").format(how=how)
    kinds = {id_ in (generated or ()) for id_ in fakes}
    how = EITHER if len(kinds) > 1 else GENERATED if kinds == {True} else SWAPPED
    if len(fakes) > 1:
        return N_("{number} faces look {how}.").format(number=len(fakes), how=how)
    (face,) = (face for face in finding.faces if face.id == fakes[0])
    part = finding.part_of(face)
    if len(finding.faces) == 1:
        text = N_("The face {part} looks {how}.") if part else N_("The face looks {how}.")
    else:
        text = N_("Face {face} {part} looks {how}.") if part else N_("Face {face} looks {how}.")
    return text.format(face=face.id, part=part_text(part, "in") if part else "", how=how)


def _generated(finding: Finding) -> set[int] | None:
    """The faces whose probability is that of being generated; None if that was not asked."""
    asked = {
        face.id: face.generated_probability
        for face in (finding.second_opinion.faces if finding.second_opinion else ())
        if face.generated_probability is not None
    }
    counted = counted_faces(finding.faces)
    return {id_ for id_, p in asked.items() if p >= counted.get(id_, 1.0)} if asked else None


def _limitations(faces: Sequence[Face], context: ClipContext) -> list[Reason]:
    """Limitations of any verdict on this clip."""
    remarks = []
    if text := _single_picture(faces, context):
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
        if context.all_frames == 1:
            text = N_("The clip exceeds the limit of work: only 1 frame was scanned.")
        text = f"{text.format(frames=context.all_frames)} {WORK_LIMIT}"
        remarks.append(Reason(code=ReasonCode.WORK_LIMIT, text=text))
    return [*remarks, *context.limitations]


def _single_picture(faces: Sequence[Face], context: ClipContext) -> str:
    """What to say if motion could not be judged; empty if it could."""
    single = [each.frames == 1 or each.is_still for each in (context, *context.parts)]
    if all(single) and context.parts:
        return N_("Each part shows one picture only: motion could not be judged.")
    if all(single):
        if not context.is_still:
            return N_("This is a single picture: motion could not be judged.")
        text = N_("All {frames} scanned frames show the same picture: motion could not be judged.")
        return text.format(frames=context.frames)
    counted = counted_faces(faces)
    worst = max(counted, key=lambda face: counted[face], default=0)
    if any(face.id == worst and single[face.part] for face in faces):
        text = N_("Face {face} is in a single picture: its motion could not be judged.")
        return text.format(face=worst)
    return ""


def seconds_a_frame(frames: int, seconds: float, rate: float) -> float:
    """Seconds that a frame stands for if windows have one frame; 0 for a single picture."""
    return min(1 / rate, seconds / frames) if rate and frames > 1 else 0.0
