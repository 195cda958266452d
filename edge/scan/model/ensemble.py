"""What a second model's opinion changes, and when it is asked for. Pure.

The first model is quick and judges every clip. Where its answer lies between its thresholds, a
slower one is shown a few crops of each face that counts. A face's logit of FAKE is then a weighted
sum of both models' mean logits, by the rule that the second one's bundle brings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edge.finding import Face, Model, Reason, ReasonCode, SecondFace, SecondOpinion, Verdict
from edge.scan.model.manifest import FEATURES, SEQUENCE, EnsembleRule, Manifest
from edge.scan.verdict import Judgement, calibrated, decide, sigmoid
from edge.text import percent

Logits = Mapping[int, Sequence[float]]
"""What the second model answered to each crop of a face, by the face's id."""


def fits(beside: EnsembleRule, first: Manifest) -> bool:
    """Whether the rule was fitted for this first model, and for no other."""
    graphs = (first.files[FEATURES], first.files[SEQUENCE])
    return graphs == (beside.features, beside.sequence)


def in_doubt(judgement: Judgement) -> tuple[int, ...]:
    """The faces to be asked about, by id: all that count, if the answer lies in between."""
    codes = [reason.code for reason in judgement.reasons]
    if judgement.verdict is not Verdict.UNSURE or ReasonCode.BETWEEN_THRESHOLDS not in codes:
        return ()
    return tuple(face.id for face in judgement.faces if face.counted)


def combined(first: float, second: float, beside: EnsembleRule) -> float:
    """The probability of FAKE by both models, of a face's mean logits by each."""
    return sigmoid(beside.first * first + beside.second * second + beside.offset)


def reconsider(
    judgement: Judgement,
    logits: Logits,
    first: Manifest,
    second: Manifest,
    model: Model,
    seconds: float,
) -> Judgement:
    """Judge again, with the second model's answers on all faces that are `in_doubt`.

    `model` is the second one as findings name it, `seconds` what asking it took.
    """
    beside = second.beside
    assert beside is not None, "a model without a rule is not asked"
    views = {
        face.id: _view(face, logits[face.id], second)
        for face in judgement.faces
        if face.id in logits
    }
    faces = tuple(
        _joined(face, views[face.id], beside) if face.id in views else face
        for face in judgement.faces
    )
    counted = [face for face in faces if face.id in views]
    worst = max(counted, key=_probability)
    verdict, reason = decide(_probability(worst), len(counted), beside.thresholds)
    text = f"Both models together: {reason.text[0].lower()}{reason.text[1:]}"
    rest = [each for each in judgement.reasons if each.code is not ReasonCode.BETWEEN_THRESHOLDS]
    told = _told(views[worst.id], len(counted), first, second)
    return Judgement(
        verdict,
        _probability(worst),
        (reason.model_copy(update={"text": text}), told, *rest),
        faces,
        SecondOpinion(
            model=model,
            crops=sum(view.crops for view in views.values()),
            seconds=seconds,
            verdict_before=judgement.verdict,
            probability_before=judgement.fake_probability or 0.0,
            thresholds_before=first.thresholds,
            faces=tuple(views.values()),
        ),
        beside.thresholds,
    )


def unasked(judgement: Judgement, why: str) -> Judgement:
    """The same judgement, with a remark that a second opinion was wanted and why there is none."""
    remark = Reason(code=ReasonCode.SECOND_OPINION, text=f"There is no second opinion: {why}")
    return replace(judgement, reasons=(*judgement.reasons, remark))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _probability(face: Face) -> float:
    assert face.fake_probability is not None, "a face that counts has one"
    return face.fake_probability


def _view(face: Face, logits: Sequence[float], second: Manifest) -> SecondFace:
    """What the second model says of one face."""
    logit = _mean(logits)
    return SecondFace(
        id=face.id,
        crops=len(logits),
        logit=logit,
        fake_probability=calibrated(logit, second),
        probability_before=_probability(face),
    )


def _joined(face: Face, view: SecondFace, beside: EnsembleRule) -> Face:
    """The face with its probability by both models."""
    first = _mean([window.logit for window in face.windows])
    return face.model_copy(update={"fake_probability": combined(first, view.logit, beside)})


def _told(view: SecondFace, counted: int, first: Manifest, second: Manifest) -> Reason:
    """In words what each says of the face that decides."""
    faces, which = ("", "") if counted == 1 else (f" on {counted} faces", " of the worst one")
    text = (
        f"A second opinion was asked for{faces}, since {first.name} alone was unsure: "
        f"it says {percent(view.probability_before)}{which}, "
        f"{second.name} says {percent(view.fake_probability)}."
    )
    return Reason(code=ReasonCode.SECOND_OPINION, text=text)
