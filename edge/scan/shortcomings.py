"""Why a face does not count: it cannot be seen well or long enough, or not as it is. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge.finding import Face, Reason, ReasonCode
from edge.scan.model.manifest import QualityLimits
from edge.scan.reason_texts import TOO_FEW, TOO_LOW, TOO_NOISY

if TYPE_CHECKING:
    from edge.scan.verdict import ClipContext

# Of 800 faces of clips and stills, real and fake, under all light, the lowest was -0.05; of faces
# with red and blue exchanged, hues turned by 180 degrees or inverted, the highest was -0.21.
_LEAST_WARMTH = -0.12


_LEAST_DETAIL, _MOST_DETAIL = 6.5, 80.0
"""Per cent. Of 242 clips of 207 sources, as they are, 1.2 % lie below and 0.4 % above; of the same
enlarged from a face of 32 pixels 82 % below, with noise of a deviation of 60 steps 95 % above. With
limits from one half of the sources, it is 1.7, 0.4, 84 and 96 % of the other half."""


def shortcomings(face: Face, limits: QualityLimits, context: ClipContext) -> list[Reason]:
    """Why a face does not count; empty if it does."""
    quality = face.quality
    needed = _least_samples(limits.min_samples, context)
    measured = {
        ReasonCode.FACES_TOO_SMALL: (quality.face_px, limits.face_px),
        ReasonCode.TOO_DARK: (quality.light, limits.light),
        ReasonCode.TOO_BLURRED: (quality.sharpness, limits.sharpness),
        ReasonCode.LOW_DETAIL: (_or(quality.fine_detail, _LEAST_DETAIL), _LEAST_DETAIL),
        ReasonCode.FALSE_COLOURS: (quality.warmth, _LEAST_WARMTH),
        ReasonCode.SEEN_TOO_BRIEFLY: (
            face.frames * context.step,
            _least_seconds(limits.seconds, context),
        ),
    }
    reasons = [
        Reason(code=code, text=TOO_LOW[code].format(**_as_text(value, minimum)))
        for code, (value, minimum) in measured.items()
        if value < minimum
    ]
    if ReasonCode.TOO_BLURRED in {reason.code for reason in reasons}:  # which says as much
        reasons = [each for each in reasons if each.code is not ReasonCode.LOW_DETAIL]
    if (detail := _or(quality.fine_detail, 0.0)) > _MOST_DETAIL:
        text = TOO_NOISY.format(value=math.ceil(detail), maximum=f"{_MOST_DETAIL:g}")
        reasons.append(Reason(code=ReasonCode.TOO_NOISY, text=text))
    if face.frames < needed:
        text = TOO_FEW.format(found=face.frames, frames=context.frames, minimum=needed)
        brief = Reason(code=ReasonCode.SEEN_TOO_BRIEFLY, text=text)
        reasons = [each for each in reasons if each.code is not brief.code] + [brief]
    return reasons


def _or(measured: float | None, instead: float) -> float:
    return instead if measured is None else measured


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
