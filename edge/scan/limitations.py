"""What the decoder process remarks of a clip, as reasons of its finding. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.finding import Finding, Reason, ReasonCode, Verdict
from edge.language import N_
from edge.scan.media.protocol import LEFT_OUT, Remark
from edge.scan.model.manifest import QualityLimits
from edge.text import clock

CHANGED = N_("The file was changed while it was being judged. Judge it again.")
FAILED = N_("The program failed on this clip: {why}.")

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
