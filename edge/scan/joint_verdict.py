"""The verdict of two models together. Pure.

If the first model's probability lies between its thresholds, a second model scores a few crops of
each face that counts. A weighted sum of both models' mean logits then gives the probability that
the face was swapped, by the rule in the second model's bundle. If that model also says whether a
face was generated whole, the higher of both probabilities is the face's.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from edge.finding import (
    Face,
    Finding,
    Reason,
    ReasonCode,
    SecondFace,
    SecondOpinion,
    Verdict,
    verdict_of,
)
from edge.language import N_
from edge.scan.model.bundle_info import BundleInfo
from edge.scan.model.manifest import EnsembleRule
from edge.scan.model.second_opinion import FaceAnswers
from edge.scan.verdict import counted_faces, explain, mean_logit
from edge.text import percent

_BY_THRESHOLDS = frozenset(
    (
        *(ReasonCode.ABOVE_FAKE_THRESHOLD, ReasonCode.BELOW_REAL_THRESHOLD),
        ReasonCode.BETWEEN_THRESHOLDS,
    )
)


TOO_MANY_FACES = N_("there are too many faces.")

_SECOND = {
    (False, False): N_(
        "Second opinion: probability of FAKE {before} by {first}, {after} by {second}."
    ),
    (False, True): N_(
        "Second opinion, because {first} alone was unsure: "
        "probability of FAKE {before} by {first}, {after} by {second}."
    ),
    (True, False): N_(
        "Second opinion on {number} faces: "
        "face {face} has a probability of FAKE {before} by {first}, {after} by {second}."
    ),
    (True, True): N_(
        "Second opinion on {number} faces, because {first} alone was unsure: "
        "face {face} has a probability of FAKE {before} by {first}, {after} by {second}."
    ),
}
"""By whether several faces were asked about, and whether the first model was unsure."""


def in_doubt(finding: Finding, *, always: bool = False) -> tuple[int, ...]:
    """The faces for a second opinion, by id: all that count, if the verdict lies in between.

    With `always`, whatever the verdict.
    """
    codes = {reason.code for reason in finding.reasons}
    unsure = finding.verdict is Verdict.UNSURE and ReasonCode.BETWEEN_THRESHOLDS in codes
    asked = bool(codes & _BY_THRESHOLDS) if always else unsure
    return tuple(counted_faces(finding.faces)) if asked else ()


def reconsider(
    finding: Finding, answers: Mapping[int, FaceAnswers], second: BundleInfo, seconds: float
) -> Finding:
    """Judge again with a second model.

    `answers` are those to each crop of each face `in_doubt`, by the face's id; `seconds` is the
    time that it took.
    """
    rule = second.manifest.beside
    assert rule is not None, "a bundle without a rule is no second model"
    before = counted_faces(finding.faces)
    opinions = {
        face: SecondFace(
            id=face,
            crops=len(found.swapped),
            logit=(mean := fmean(found.swapped)),
            fake_probability=second.manifest.calibration.probability(mean),
            probability_before=before[face],
            generated_probability=rule.generated.probability(fmean(found.generated))
            if rule.generated and found.generated
            else None,
        )
        for face, found in answers.items()
    }
    opinion = SecondOpinion(
        model=second.model,
        crops=sum(face.crops for face in opinions.values()),
        seconds=seconds,
        verdict_before=finding.verdict,
        probability_before=finding.fake_probability or 0.0,
        thresholds_before=finding.thresholds,
        faces=tuple(opinions.values()),
    )
    faces = tuple(
        face.replaced(fake_probability=_probability(face, opinions[face.id], rule))
        if face.id in opinions
        else face
        for face in finding.faces
    )
    counted = counted_faces(faces)
    worst = max(counted, key=lambda face: counted[face])
    finding = finding.replaced(faces=faces, second_opinion=opinion)
    reason = explain(finding, rule.thresholds)
    text = N_("Both models together: {sentence}")
    text = text.format(sentence=f"{reason.text[0].lower()}{reason.text[1:]}")
    rest = [each for each in finding.reasons if each.code not in _BY_THRESHOLDS]
    return finding.replaced(
        verdict=verdict_of(counted[worst], rule.thresholds),
        fake_probability=counted[worst],
        reasons=(reason.replaced(text=text), _second_reason(finding, opinion, worst), *rest),
        thresholds=rule.thresholds,
    )


def _probability(face: Face, opinion: SecondFace, rule: EnsembleRule) -> float:
    """The higher one: that the face was swapped, or generated."""
    swapped = rule.probability(mean_logit(face), opinion.logit)
    return max(swapped, opinion.generated_probability or 0.0)


def without_second_opinion(finding: Finding, why: str) -> Finding:
    """The same finding with the reason why there is no second opinion, a sentence."""
    text = N_("There is no second opinion: {sentence}").format(sentence=why)
    reason = Reason(code=ReasonCode.SECOND_OPINION, text=text)
    return finding.replaced(reasons=(*finding.reasons, reason))


def _second_reason(finding: Finding, opinion: SecondOpinion, worst: int) -> Reason:
    """Both models' answers on the face that decides."""
    first, second = finding.model.name, opinion.model.name
    (face,) = (face for face in opinion.faces if face.id == worst)
    unsure = opinion.verdict_before is Verdict.UNSURE
    text = _SECOND[len(opinion.faces) > 1, unsure].format(
        number=len(opinion.faces),
        face=worst,
        first=first,
        second=second,
        before=percent(face.probability_before),
        after=percent(face.fake_probability),
    )
    if face.generated_probability is not None:
        text = N_("{sentence}; of being generated: {share}.").format(
            sentence=text.removesuffix("."), share=percent(face.generated_probability)
        )
    return Reason(code=ReasonCode.SECOND_OPINION, text=text)
