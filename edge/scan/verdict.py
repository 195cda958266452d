"""From what the network answered to what is said of the clip. Pure.

A track's windows are pooled and calibrated into one probability. The clip's verdict is that of the
worst face among those seen long and well enough; the reasons are made here, where it is decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.finding import (
    Box,
    Face,
    Quality,
    Reason,
    ReasonCode,
    SecondOpinion,
    Thresholds,
    Verdict,
    WindowScore,
    verdict_of,
)
from edge.scan.model.manifest import Manifest
from edge.text import percent


@dataclass(frozen=True)
class WindowLogit:
    """What the network answered to one window of a track."""

    start: float
    end: float
    logit: float
    steady: bool = True
    """Whether the face was found in at least half of the window's frames."""


@dataclass(frozen=True)
class TrackEvidence:
    """Everything that is known of one face before it is judged; times in seconds."""

    id: int
    first_second: float
    last_second: float
    frames: int
    seen_seconds: float
    """How much of the time that was looked at shows the face."""
    box: Box
    quality: Quality
    windows: tuple[WindowLogit, ...]


@dataclass(frozen=True)
class ClipContext:
    """What else the verdict hangs on."""

    frames: int
    """How many frames were looked at."""
    seconds: float
    """How much of the clip's time those stand for."""
    first: int | None = None
    """Set if only the first frames were asked for."""
    damaged: bool = False


@dataclass(frozen=True)
class Judgement:
    """The part of a finding that is a decision."""

    verdict: Verdict
    fake_probability: float | None
    reasons: tuple[Reason, ...]
    faces: tuple[Face, ...] = ()
    second_opinion: SecondOpinion | None = None
    thresholds: Thresholds | None = None
    """Those that decided, if they are not the bundle's."""


def judge(
    tracks: Sequence[TrackEvidence], manifest: Manifest, circumstances: ClipContext
) -> Judgement:
    """Decide what is said of a clip."""
    faces = tuple(_face(track, manifest, circumstances) for track in tracks)
    counted = [
        face.fake_probability
        for face in faces
        if face.counted and face.fake_probability is not None
    ]
    remarks = _remarks(circumstances)
    if not faces:
        no_face = Reason(code=ReasonCode.NO_FACE, text="No face was found.")
        return Judgement(Verdict.NO_FACE, None, (no_face, *remarks))
    if not counted:
        return Judgement(Verdict.UNSURE, None, (*_shortcomings(faces), *remarks), faces)
    worst = max(counted)
    verdict, reason = decide(worst, len(counted), manifest.thresholds)
    return Judgement(verdict, worst, (reason, *remarks), faces)


def calibrated(logit: float, manifest: Manifest) -> float:
    """The probability of FAKE that the bundle's calibration gives a logit."""
    return sigmoid(manifest.calibration.scale * logit + manifest.calibration.offset)


def sigmoid(lean: float) -> float:
    """The probability of a logit."""
    # Two forms, so that neither overflows.
    return 1 / (1 + math.exp(-lean)) if lean >= 0 else math.exp(lean) / (1 + math.exp(lean))


def _face(track: TrackEvidence, manifest: Manifest, circumstances: ClipContext) -> Face:
    """One track, judged alone: its windows' mean logit, calibrated."""
    steady = [window for window in track.windows if window.steady] or list(track.windows)
    reasons = tuple(_complaints(track, manifest, circumstances))
    probability = None
    if steady:
        logits = [window.logit for window in steady]
        probability = calibrated(math.fsum(logits) / len(logits), manifest)
    return Face(
        id=track.id,
        first_second=track.first_second,
        last_second=track.last_second,
        frames=track.frames,
        box=track.box,
        quality=track.quality,
        counted=not reasons and probability is not None,
        fake_probability=probability,
        reasons=reasons,
        windows=tuple(
            WindowScore(
                start=window.start,
                end=window.end,
                logit=window.logit,
                fake_probability=calibrated(window.logit, manifest),
            )
            for window in steady
        ),
    )


_TOO_SMALL = "The face is {} pixels wide; at least {} are needed."
_TOO_DARK = "The face is too dark: its light is {} of 255, at least {} is needed."
_TOO_BLURRED = "The face is too blurred: its sharpness is {}, at least {} is needed."
_TOO_BRIEFLY = "The face is seen for {} s; at least {} s are needed."


def _complaints(
    track: TrackEvidence, manifest: Manifest, circumstances: ClipContext
) -> list[Reason]:
    """Why a face is not good enough to be counted; nothing if it is."""
    limits, quality = manifest.quality, track.quality
    least_seconds = _least_seconds(limits.seconds, circumstances)
    measured = (
        (ReasonCode.FACES_TOO_SMALL, _TOO_SMALL, quality.face_px, limits.face_px),
        (ReasonCode.TOO_DARK, _TOO_DARK, quality.light, limits.light),
        (ReasonCode.TOO_BLURRED, _TOO_BLURRED, quality.sharpness, limits.sharpness),
        (ReasonCode.SEEN_TOO_BRIEFLY, _TOO_BRIEFLY, track.seen_seconds, least_seconds),
    )
    return [
        Reason(code=code, text=text.format(*(f"{math.floor(n * 10) / 10:g}" for n in numbers)))
        for code, text, *numbers in measured
        if numbers[0] < numbers[1]
    ]


def _least_seconds(limit: float, circumstances: ClipContext) -> float:
    """How long a face must be seen.

    A picture has no length, and who asks for the first frames only has chosen a short time: there,
    half of it is long enough.
    """
    if circumstances.frames <= 1:
        return 0.0
    return limit if circumstances.first is None else min(limit, circumstances.seconds / 2)


_PLURAL = {
    ReasonCode.FACES_TOO_SMALL: "No face is large enough in the picture.",
    ReasonCode.TOO_DARK: "The faces are too dark.",
    ReasonCode.TOO_BLURRED: "The faces are too blurred.",
    ReasonCode.SEEN_TOO_BRIEFLY: "The faces are seen too briefly.",
}


def _shortcomings(faces: Sequence[Face]) -> list[Reason]:
    """Why no face was good enough: each kind of complaint once, in a steady order."""
    if len(faces) == 1:
        return list(faces[0].reasons)
    met = {reason.code for face in faces for reason in face.reasons}
    return [Reason(code=code, text=text) for code, text in _PLURAL.items() if code in met]


def decide(worst: float, counted: int, thresholds: Thresholds) -> tuple[Verdict, Reason]:
    """The verdict on the worst face's probability, and why."""
    real, fake = thresholds.real, thresholds.fake
    verdict = verdict_of(worst, thresholds)
    if verdict is Verdict.FAKE:
        code = ReasonCode.ABOVE_FAKE_THRESHOLD
        said = f"FAKE is said from {percent(fake)}"
    elif verdict is Verdict.REAL:
        code = ReasonCode.BELOW_REAL_THRESHOLD
        said = f"REAL is said up to {percent(real)}"
    else:
        code = ReasonCode.BETWEEN_THRESHOLDS
        said = f"REAL is said up to {percent(real)}, FAKE from {percent(fake)}"
    who = "The face" if counted == 1 else f"The worst of {counted} faces"
    text = f"{who} is fake with a probability of {percent(worst)}; {said}."
    return verdict, Reason(code=code, text=text)


def _remarks(circumstances: ClipContext) -> list[Reason]:
    """What the reader must know of any verdict on this clip."""
    remarks = []
    if circumstances.frames == 1:
        text = "This is a single picture: nothing can be said of how the face moves."
        remarks.append(Reason(code=ReasonCode.SINGLE_PICTURE, text=text))
    if circumstances.first is not None and circumstances.frames > 1:
        text = f"Only the first {circumstances.frames} frames were looked at, as was asked."
        remarks.append(Reason(code=ReasonCode.FIRST_FRAMES_ONLY, text=text))
    if circumstances.damaged:
        text = "The file is damaged: only what could be decoded was looked at."
        remarks.append(Reason(code=ReasonCode.DAMAGED, text=text))
    return remarks
