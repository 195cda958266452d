"""Saliency: which parts of a face raise its score.

Occlusion sensitivity, after Zeiler and Fergus, "Visualizing and Understanding Convolutional
Networks", ECCV 2014: a part of the crop is replaced by its mean colour, and the bundle scores it.
Where the logit of FAKE is lower than with other parts hidden, that part raised it. (Other parts,
not the whole crop: hiding anything changes the score, wherever it is.) It needs only the network's
answers, so it works with every bundle and covers all of it.

The parts are strips across and strips down the crop, not squares: the saliency of a place is the
mean of the two strips that cross there. That takes 2 n runs instead of n squared and finds what
changes the score as well (`benchmarks/saliency.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import cv2
import numpy as np

from edge.finding import Face
from edge.scan.frames import PORTRAIT, CropSpec, Floats, Pixels
from edge.scan.model.bundle import Bundle

STRIPS = 4
"""Across, and the same number down."""
SOFT = 0.5
"""A strip fades out like a Gaussian of this standard deviation, in strips: without edges."""

FULL = 2.0
"""The saliency with the strongest colour, unless the face has more: low values stay pale."""

# From low to high saliency: darker and stronger in even steps, in a single hue (orange), which the
# colour-blind can tell from grey.
LIGHT, DARK = (255.0, 200.0, 100.0), (214.0, 84.0, 0.0)
OPACITY = 0.85
FRAME = 0.35

MOST = 4
"""Faces of a clip that are drawn: those with the highest probability of FAKE."""


def draw_heat(
    faces: Sequence[Face],
    portraits: Mapping[int, Pixels],
    crops: Mapping[int, Pixels],
    bundle: Bundle,
    waiting: Callable[[], None] = lambda: None,
) -> dict[int, Pixels]:
    """Draw the saliency of the counted faces with the highest probability of FAKE.

    By the face's id: its portrait with an `overlay`. `portraits` and `crops` (the bundle's) are of
    the same frame, by the face's id. `waiting` is called before each.
    """
    counted = [face for face in faces if face.counted]
    worst = sorted(counted, key=lambda face: -(face.fake_probability or 0.0))[:MOST]
    crop = bundle.manifest.input.crop_spec
    drawn = {}
    for face in worst:
        waiting()
        heat = heat_map(bundle, crops[face.id], waiting)
        drawn[face.id] = overlay(portraits[face.id], heat, crop)
    return drawn


def heat_map(bundle: Bundle, crop: Pixels, waiting: Callable[[], None] = lambda: None) -> Floats:
    """How much each place of a crop (uint8 `[side, side, 3]` RGB) raises the score.

    float32 `[side, side]`: by how much the calibrated log odds of FAKE are lower with the strips
    hidden that cross there than with others (the mean of the two; negative: higher).
    """
    side = crop.shape[0]
    mean = crop.mean((0, 1), dtype=np.float32)
    hidden = (crop + _strips(side) * (mean - crop)).round().astype(np.uint8)
    # As if the face looked like this in all frames of a window.
    features = np.repeat(bundle.features(hidden)[:, None], bundle.manifest.window.frames, axis=1)
    waiting()
    odds = bundle.manifest.calibration.scale * bundle.sequence(features)
    across, down = (part.mean() - part for part in (odds[:STRIPS], odds[STRIPS:]))
    heat = (across[:, None] + down) / 2
    smooth = cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth, np.float32)


def overlay(portrait: Pixels, heat: Floats, crop: CropSpec) -> Pixels:
    """Lay the heat map of a crop, cut as `crop` says, over the portrait of the same frame.

    uint8 `[s, s, 3]` RGB, the portrait's size: the portrait in grey, with colour where the score
    is raised, and the outline of the crop.
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
    """How much of each pixel each strip hides: float32 `[2 * STRIPS, side, side, 1]`.

    First those across, from the top, then those down, from the left.
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
    """Move values `[n, n]` of a crop to their place in the portrait, `[side, side]`; 0 around."""
    inner = crop.within(PORTRAIT)
    scale = inner.width * side / values.shape[0]
    # A pixel's place is its centre.
    shift_x = inner.x * side + (scale - 1) / 2
    shift_y = inner.y * side + (scale - 1) / 2
    matrix = np.array([[scale, 0, shift_x], [0, scale, shift_y]])
    return np.asarray(cv2.warpAffine(values, matrix, (side, side)), np.float32)
