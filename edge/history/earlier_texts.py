"""Sentences that earlier versions stored in findings, so that their translations stay.

Nothing imports this: `setup/texts.py` collects the texts, and `edge.language.translated` finds
them in the catalogue when an old finding is shown.
"""

from __future__ import annotations

from edge.language import N_

EARLIER = (
    N_(
        "Skipped: in six attempts to judge this file the program or the machine was ended. It is "
        "tried again after an update."
    ),
    N_("{sentence}, of being generated {share}."),
    N_("Decoding exceeded the memory limit."),
    N_("Scale it down, or convert it."),
    N_("Decoding exceeded the time limit."),
    N_("Convert it to MP4 (H.264), or copy it to a faster disk."),
    N_(
        "The face has no colours of skin (negative or false colours): red less blue is {value} of "
        "the mean; the minimum is {minimum}."
    ),
    N_("The faces have no colours of skin."),
    N_(
        "All {number} scanned frames show the same picture: the motion of the face could not be "
        "judged."
    ),
    N_("The clip is too long: only its first {time} was scanned."),
    N_("The file has no time stamps: times assume {rate} frames a second."),
    N_("This is a single picture: the motion of the face could not be judged."),
    N_("Unsupported file type: neither a video nor a picture."),
    N_("BigTIFF picture"),
    N_("Dahua recording"),
)
"""A sentence that is changed where findings get it moves here; nothing is ever taken out."""
