"""The sentences of reasons, as templates: one text for the finding and for its translation."""

from __future__ import annotations

from edge.finding import ReasonCode
from edge.language import N_

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
        "The face has no colours of skin (negative or false colours): red less blue is {value} of "
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
    ReasonCode.FALSE_COLOURS: N_("The faces have no colours of skin."),
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

SWAPPED, GENERATED = N_("swapped"), N_("generated")
EITHER = N_("swapped or generated")
