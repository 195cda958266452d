"""Where the network looks: what hiding a part of a face does to its score.

Occlusion sensitivity, after Zeiler and Fergus, "Visualizing and Understanding Convolutional
Networks", ECCV 2014: a part of the crop is hidden behind its mean colour, and the bundle is asked.
Where its logit of FAKE is lower than with other parts hidden, that part spoke for FAKE. (Others,
not the whole crop: hiding anything looks odd by itself, and that is no matter of where.) It needs
nothing of the network but its answers, so it works with every bundle and tells of the whole of it.

What is hidden are strips across and strips down the crop, not squares: a place is as hot as the
two strips that cross there are together. That takes 2 n questions, not n squared, and finds what
moves the score as well (`benchmarks/saliency.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.finding import Face
from edge.scan.faces.crops import PORTRAIT, CropSpec
from edge.scan.faces.detector import Pixels
from edge.scan.model.bundle import Bundle
from edge.scan.tracks import Track

Floats = NDArray[np.float32]

STRIPS = 4
"""Across, and as many down."""
SOFT = 0.5
"""A strip fades out like a Gaussian of this standard deviation, in strips: no edge to be seen."""

FULL = 2.0
"""Heat that has the fullest colour, unless the face has more: where there is little, it is pale."""

# From what speaks a little for FAKE to what speaks most: darker and stronger by even steps, a
# single hue (orange), which those who confuse red and green tell from grey as well.
LIGHT, DARK = (255.0, 200.0, 100.0), (214.0, 84.0, 0.0)
OPACITY = 0.85
FRAME = 0.35

MOST = 4
"""Faces of a clip that are drawn: the most suspicious."""


def draw_heat(
    faces: Sequence[Face], tracks: Mapping[int, Track], bundle: Bundle
) -> dict[int, Pixels]:
    """Draw where the network looks in the most suspicious of the faces that count.

    By the face's id: its portrait under an `overlay`, from the moment at which it was seen best.
    """
    drawn = {}
    counted = [face for face in faces if face.counted]
    for face in sorted(counted, key=lambda face: -(face.fake_probability or 0.0))[:MOST]:
        track = tracks[face.id]
        if track.best is not None and track.portrait is not None:
            drawn[face.id] = overlay(track.portrait, heat_map(bundle, track.best), bundle.crop)
    return drawn


def heat_map(bundle: Bundle, crop: Pixels) -> Floats:
    """How much each place of a crop (uint8 [side, side, 3] RGB) speaks for FAKE.

    float32 [side, side]: by how much the log odds of FAKE, calibrated, are lower with the strips
    hidden that cross there than with others (the mean of the two; below 0 they are higher).
    """
    side = crop.shape[0]
    mean = crop.mean((0, 1), dtype=np.float32)
    hidden = (crop + _strips(side) * (mean - crop)).round().astype(np.uint8)
    # As if the face had looked like this all through a window.
    features = np.repeat(bundle.features(hidden)[:, None], bundle.window_frames, axis=1)
    odds = bundle.manifest.calibration.scale * bundle.sequence(features)
    across, down = (part.mean() - part for part in (odds[:STRIPS], odds[STRIPS:]))
    heat = (across[:, None] + down) / 2
    smooth = cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth, np.float32)


def overlay(portrait: Pixels, heat: Floats, crop: CropSpec) -> Pixels:
    """Lay the heat of a crop, cut as `crop` says, over the portrait of the same moment.

    uint8 [s, s, 3] RGB, the portrait's size: the portrait in grey, with colour where something
    speaks for FAKE, and the outline of what the network saw.
    """
    share = np.asarray(heat.clip(0) / max(FULL, float(heat.max())), np.float32)
    strength = _placed(share, crop, portrait.shape[0])[..., None]
    seen = _placed(np.ones_like(heat), crop, portrait.shape[0])
    grey = np.repeat(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    colour = np.array(LIGHT) + strength * (np.array(DARK) - np.array(LIGHT))
    picture = grey + OPACITY * strength * (colour - grey)
    outline = (seen - cv2.erode(seen, np.ones((3, 3))))[..., None]
    picture += FRAME * outline * (255 - picture)
    return np.asarray(picture.round().clip(0, 255), np.uint8)


@cache
def _strips(side: int) -> Floats:
    """How much of each pixel is hidden with each strip: float32 [2 * STRIPS, side, side, 1].

    First come those across, from the top, then those down, from the left.
    """
    middles = (np.arange(STRIPS) + 0.5) / STRIPS
    places = (np.arange(side) + 0.5) / side
    across = np.exp(-0.5 * ((places - middles[:, None]) * STRIPS / SOFT) ** 2)
    shape = (STRIPS, side, side, 1)
    down = np.broadcast_to(across[:, None, :, None], shape)
    return np.concatenate(
        [np.broadcast_to(across[:, :, None, None], shape), down], dtype=np.float32
    )


def _placed(values: Floats, crop: CropSpec, side: int) -> Floats:
    """Bring values [n, n] of a crop to where they lie in the portrait, [side, side]; 0 around."""
    inner = crop.within(PORTRAIT)
    scale = inner.width * side / values.shape[0]
    # Pixels have their places in their middle.
    shift_x = inner.x * side + (scale - 1) / 2
    shift_y = inner.y * side + (scale - 1) / 2
    matrix = np.array([[scale, 0, shift_x], [0, scale, shift_y]])
    return np.asarray(cv2.warpAffine(values, matrix, (side, side)), np.float32)
