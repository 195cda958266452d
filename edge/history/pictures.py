"""The pictures of a finding, as the history keeps them: JPEGs of the faces that matter most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.finding import Finding

Picture = npt.NDArray[np.uint8]
"""uint8 `[h, w, 3]` RGB."""
Portraits = Mapping[int, Picture]
"""By the face's id: uint8 `[s, s, 3]` RGB."""

FIRST_FRAMES: Final = 0
"""Whose portrait a clip's first frames are: faces are numbered from 1."""
MOST_PORTRAITS: Final = 16
"""Per clip, so that a crowd does not fill the card: the most suspicious faces."""
_QUALITY: Final = 82
"""Of the JPEGs: about 6 kB for a face of 160 px, 30 kB for the first frames."""


def rows(
    finding: Finding, portraits: Portraits, heat: Portraits, first_frames: Picture | None
) -> Iterator[tuple[int, bytes, bytes | None]]:
    """What is kept: a face's id, its portrait, and its saliency map where there is one."""
    if first_frames is not None:
        yield FIRST_FRAMES, _jpeg(first_frames), None
    faces = [face for face in finding.faces if face.id in portraits]
    faces.sort(key=lambda face: (not face.counted, -(face.fake_probability or 0.0)))
    for face in sorted(face.id for face in faces[:MOST_PORTRAITS]):
        yield face, _jpeg(portraits[face]), _jpeg(heat[face]) if face in heat else None


def _jpeg(pixels: Picture) -> bytes:
    import cv2

    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert encoded, "any RGB picture can be a JPEG"
    return data.tobytes()
