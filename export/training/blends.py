"""Self-blended images: a real face blended with a changed copy of itself, called fake.

After Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022. `ease`
(0 to 1) is ours: 1 makes the seam and the colour shift easy to see, which is what a network
without pretrained weights needs to start; the recipe lowers it to 0, the published subtlety.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from export.training.data import Image
from export.training.landmarks import CHIN, GLABELLA, NOSE_BASE

Points = NDArray[np.float32]
Mask = NDArray[Any]  # float32 [side, side], 0 to 1


def self_blend(
    image: Image, points: Points, ease: float, rng: np.random.Generator
) -> tuple[Image, Image]:
    """A (real, fake) pair made from one real face.

    image: uint8 [h, w, 3] RGB. points: float32 [468, 2], pixels of `image`.
    """
    source, target = image, image
    changed = _change(image, ease, rng)
    if rng.random() < 0.5:
        source = changed
    else:
        target = changed
    source, mask = _displace(source, _mask(image.shape[0], points, ease, rng), rng)
    mask *= rng.choice([0.25, 0.5, 0.75, 1.0, 1.0, 1.0]) * (1 - ease) + ease
    fake = source * mask[..., None] + target * (1.0 - mask[..., None])
    return target, np.clip(fake, 0, 255).astype(np.uint8)


def _mask(side: int, points: Points, ease: float, rng: np.random.Generator) -> Mask:
    """A deformed, softened hull of the whole face or of a part of it; float32 [side, side]."""
    axis = points[CHIN] - points[GLABELLA]
    height = (points - points[GLABELLA]) @ axis / max(float(axis @ axis), 1.0)
    nose = float(height[NOSE_BASE])
    parts = [
        points,
        points[height > -0.05],  # without the forehead
        points[height > nose - 0.05],  # mouth and jaw
        points[(height > -0.2) & (height < nose + 0.1)],  # eyes and nose
    ]
    chosen = parts[rng.choice(4, p=[0.4, 0.3, 0.15, 0.15])]
    mask: NDArray[Any] = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(chosen).astype(np.int32)), 1.0)
    mask = _elastic(mask, rng)
    reach = side / 112.0 * (1.0 - 0.7 * ease)
    for _ in range(2):
        blurred: Mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.6, 4.5) * reach + 0.3)
        mask = blurred / max(float(blurred.max()), 1e-6)
    return mask


def _elastic(mask: Mask, rng: np.random.Generator) -> Mask:
    side = mask.shape[0]
    coarse = rng.normal(0.0, 0.025 * side, size=(6, 6, 2)).astype(np.float32)
    shift = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    grid = np.mgrid[0:side, 0:side].astype(np.float32)
    return cv2.remap(mask, grid[1] + shift[..., 0], grid[0] + shift[..., 1], cv2.INTER_LINEAR)


def _displace(source: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
    """Source and mask shifted by about 3 % and scaled by about 5 % against the target."""
    side = source.shape[0]
    scale = rng.uniform(0.95, 1.05)
    shift = rng.uniform(-0.03, 0.03, size=2) * side
    centre = (1 - scale) * side / 2
    matrix = np.array(
        [[scale, 0, centre + shift[0]], [0, scale, centre + shift[1]]], dtype=np.float64
    )
    moved = cv2.warpAffine(source, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8), cv2.warpAffine(mask, matrix, (side, side))


def _change(image: Image, ease: float, rng: np.random.Generator) -> Image:
    """Shift of colour and light, then of sharpness: what a pasted face differs by."""
    strength = 1.0 + ease
    rgb = image + rng.uniform(-20, 20, size=3) * strength
    rgb = (rgb - 128) * rng.uniform(1 - 0.1 * strength, 1 + 0.1 * strength) + 128
    rgb = np.clip(rgb + rng.uniform(-0.1, 0.1) * 128 * strength, 0, 255).astype(np.uint8)
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-5, 5) * strength) % 180
    hsv[..., 1:] *= rng.uniform(1 - 0.3 * strength / 2, 1 + 0.3 * strength / 2, size=2)
    back = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
    changed = np.asarray(back, dtype=np.uint8)
    if rng.random() < 0.5:
        return _resample(changed, rng.uniform(1.5, 4.0))
    soft = cv2.GaussianBlur(changed, (0, 0), 1.5)
    return np.asarray(cv2.addWeighted(changed, 1.8, soft, -0.8, 0), dtype=np.uint8)


def _resample(image: Image, factor: float) -> Image:
    side = image.shape[0]
    small = cv2.resize(image, (max(8, round(side / factor)),) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
