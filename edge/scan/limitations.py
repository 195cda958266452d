"""What the decoder process remarks of a clip, as reasons of its finding. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from edge.finding import Finding, Reason, ReasonCode, Verdict
from edge.language import N_
from edge.scan.media.protocol import Remark
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
    Remark.STILL: (
        ReasonCode.SINGLE_PICTURE,
        N_("This is a single picture: the motion of the face could not be judged."),
        N_(
            "All {number} scanned frames show the same picture: "
            "the motion of the face could not be judged."
        ),
    ),
}

_NOT_SCANNED = frozenset(
    (
        *(ReasonCode.OTHER_TRACKS, ReasonCode.OTHER_PICTURES, ReasonCode.VIDEO_BEHIND),
        *(ReasonCode.OTHER_PARTS, ReasonCode.TOO_LONG, ReasonCode.WORK_LIMIT),
        ReasonCode.MORE_FACES,
    )
)


def limitations(remarks: Mapping[Remark, int]) -> tuple[Reason, ...]:
    """The reasons, in a fixed order."""
    reasons = []
    for remark, number in sorted(remarks.items()):
        if remark is Remark.UNINDEXED:
            code = ReasonCode.TOO_LONG
            text = N_("The clip is too long: only its first {time} was scanned.")
            text = text.format(time=clock(number))
        elif remark is Remark.COUNTED_TIMES:
            code = ReasonCode.COUNTED_TIMES
            text = N_("The file has no time stamps: times assume {rate} frames a second.")
            text = text.format(rate=f"{number / 1000:g}")
        else:
            code, one, many = _TEXTS[remark]
            text = one if number == 1 else many.format(number=number)
        reasons.append(Reason(code=code, text=text))
    return tuple(reasons)


def more_faces(found: int, most: int) -> tuple[Reason, ...]:
    """The reason if a frame shows `found` faces and only the `most` largest are followed."""
    if found <= most:
        return ()
    text = N_("{found} faces were found in one frame; only the {most} largest were judged.")
    if most == 1:
        text = N_("{found} faces were found in one frame; only the largest was judged.")
    text = text.format(found=found, most=most)
    return (Reason(code=ReasonCode.MORE_FACES, text=text),)


def withhold_real(finding: Finding) -> Finding:
    """UNSURE instead of REAL where a part was not scanned that could show a face."""
    left_out = any(reason.code in _NOT_SCANNED for reason in finding.reasons)
    if finding.verdict is not Verdict.REAL or not left_out:
        return finding
    return finding.replaced(verdict=Verdict.UNSURE)
