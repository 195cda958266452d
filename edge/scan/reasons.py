"""Reasons of a finding: their sentences, why a face does not count, what was not scanned. Pure.

A sentence is a template: one text for the finding and for its translation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edge.finding import Face, Finding, Reason, ReasonCode, Verdict
from edge.language import N_
from edge.scan.media.protocol import LEFT_OUT, Remark
from edge.scan.model.manifest import QualityLimits
from edge.text import clock

if TYPE_CHECKING:
    from edge.scan.verdict import ClipContext

TOO_LOW = {
    ReasonCode.FACES_TOO_SMALL: N_("The face is {value} pixels wide; the minimum is {minimum}."),
    ReasonCode.TOO_DARK: N_(
        "The face is too dark: mean brightness {value} of 255; the minimum is {minimum}."
    ),
    ReasonCode.TOO_BLURRED: N_(
        "The face is too blurred: sharpness {value}; the minimum is {minimum}."
    ),
    ReasonCode.LOW_DETAIL: N_(
        "The face has too little fine detail for its size, as if enlarged from a smaller picture: "
        "{value} %; the minimum is {minimum} %."
    ),
    ReasonCode.FALSE_COLOURS: N_(
        "The face is not skin-coloured (negative or false colours): red minus blue is {value} of "
        "the mean; the minimum is {minimum}."
    ),
    ReasonCode.SEEN_TOO_BRIEFLY: N_(
        "The face is visible for {value} s; the minimum is {minimum} s."
    ),
}
TOO_NOISY = N_(
    "The picture is too noisy: fine detail of the face {value} %; the maximum is {maximum} %."
)
WORK_LIMIT = N_("The settings decode.budget and decode.megapixels set the limit.")
TOO_FEW = N_("The face was found in {found} of {frames} frames; the minimum is {minimum}.")
ALL_TOO_LOW = {
    ReasonCode.FACES_TOO_SMALL: N_("The faces are too small."),
    ReasonCode.TOO_DARK: N_("The faces are too dark."),
    ReasonCode.TOO_BLURRED: N_("The faces are too blurred."),
    ReasonCode.LOW_DETAIL: N_("The faces have too little fine detail for their size."),
    ReasonCode.TOO_NOISY: N_("The faces are too noisy."),
    ReasonCode.FALSE_COLOURS: N_("The faces are not skin-coloured."),
    ReasonCode.SEEN_TOO_BRIEFLY: N_("The faces are visible too briefly."),
}
PROBABILITY = {
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
UNDECIDED = (
    N_("This model alone never says REAL or FAKE: that takes a second opinion."),
    N_("Probability of FAKE {share}."),
    N_("Highest probability of FAKE {share}."),
)
"""Of a model without thresholds: that it decides nothing; then for one face, and for several."""

SWAPPED, GENERATED = N_("swapped"), N_("generated")
EITHER = N_("swapped or generated")
CHANGED = N_("The file was changed while it was being judged. Judge it again.")
FAILED = N_("The program failed on this clip: {why}.")

# ---- What was not scanned

_TEXTS = {
    Remark.OTHER_TRACKS: (
        ReasonCode.OTHER_TRACKS,
        N_("The file has another video track, which was not scanned."),
        N_("The file has {number} other video tracks, which were not scanned."),
    ),
    Remark.OTHER_PICTURES: (
        ReasonCode.OTHER_PICTURES,
        N_("The file holds another picture, which was not scanned."),
        N_("The file holds {number} other pictures, which were not scanned."),
    ),
    Remark.VIDEO_BEHIND: (
        ReasonCode.VIDEO_BEHIND,
        N_("The file holds a video behind the picture (motion photo), which was not scanned."),
        N_("The file holds {number} videos behind the picture, which were not scanned."),
    ),
    Remark.OTHER_PARTS: (
        ReasonCode.OTHER_PARTS,
        N_("Another file is joined behind the clip; it was not scanned."),
        N_("{number} other files are joined behind the clip; they were not scanned."),
    ),
}

_OF_THE_FILE = frozenset(LEFT_OUT.values())
_NEVER_REAL = N_(
    "A single picture is never called REAL, since generated faces are not always recognised."
)
_PART_LEFT_OUT = N_("A part was not scanned, so the verdict is not REAL.")

_NOT_SCANNED = frozenset(
    (
        *(ReasonCode.OTHER_TRACKS, ReasonCode.OTHER_PICTURES, ReasonCode.VIDEO_BEHIND),
        *(ReasonCode.OTHER_PARTS, ReasonCode.TOO_LONG, ReasonCode.WORK_LIMIT),
        ReasonCode.MORE_FACES,
    )
)


def limitations(parts: Sequence[Mapping[Remark, int]]) -> tuple[Reason, ...]:
    """The reasons in a fixed order, from what is remarked of each part that was scanned.

    What was not scanned counts for the whole file: the last part's remarks hold it.
    """
    whole = {remark: number for remark, number in parts[-1].items() if remark in _OF_THE_FILE}
    of_parts = [
        {remark: number for remark, number in each.items() if remark not in _OF_THE_FILE}
        for each in parts
    ]
    reasons: dict[ReasonCode, Reason] = {}
    for remarks in (whole, *of_parts):
        for reason in _reasons(remarks):
            reasons.setdefault(reason.code, reason)
    return tuple(reasons.values())


def _reasons(remarks: Mapping[Remark, int]) -> list[Reason]:
    reasons = []
    for remark, number in sorted(remarks.items()):
        if remark is Remark.STILL:
            continue  # the verdict says so if it depends on that part
        if remark is Remark.UNINDEXED:
            code = ReasonCode.TOO_LONG
            text = N_(
                "The clip is too long: only its first {time} was indexed; "
                "the rest was sampled by its estimated length."
            ).format(time=clock(number))
        elif remark is Remark.COUNTED_TIMES:
            code = ReasonCode.COUNTED_TIMES
            text = N_("The file has no usable time stamps: times assume {rate} frames a second.")
            text = text.format(rate=f"{number / 1000:g}")
        else:
            code, one, many = _TEXTS[remark]
            text = one if number == 1 else many.format(number=number)
        reasons.append(Reason(code=code, text=text))
    return reasons


def more_faces(found: int, most: int) -> tuple[Reason, ...]:
    """The reason if a frame shows `found` faces and only the `most` largest are followed."""
    if found <= most:
        return ()
    text = N_("{found} faces were found in one frame; only the {most} largest were judged.")
    if most == 1:
        text = N_("{found} faces were found in one frame; only the largest was judged.")
    text = text.format(found=found, most=most)
    return (Reason(code=ReasonCode.MORE_FACES, text=text),)


def withhold_real(finding: Finding, limits: QualityLimits) -> Finding:
    """UNSURE instead of REAL where a part was not scanned that could show a face.

    So it is with a single picture by a model that cannot be relied on to find generated faces.
    """
    if finding.verdict is not Verdict.REAL:
        return finding
    codes = {reason.code for reason in finding.reasons}
    if codes & _NOT_SCANNED:
        return _withheld(finding, _PART_LEFT_OUT)
    if ReasonCode.SINGLE_PICTURE in codes and not limits.real_pictures:
        return _withheld(finding, _NEVER_REAL)
    return finding


def _withheld(finding: Finding, why: str) -> Finding:
    first, *others = finding.reasons
    reasons = (first.replaced(text=f"{first.text} {why}"), *others)
    return finding.replaced(verdict=Verdict.UNSURE, reasons=reasons)


# ---- Why a face does not count

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
