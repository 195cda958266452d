"""A simple face swap: align, match the colours, blend the edge.

The samples use it for a fake whose origin is documented.
"""

from __future__ import annotations

import cv2
import numpy as np
from camera import Pixels
from numpy.typing import NDArray

Points = NDArray[np.float32]  # [4, 2]: right eye, left eye, nose, mouth

GENERATOR_SIDE = 128  # a swap network generates small faces; enlarging them loses detail


def swap(base: Pixels, points: Points, donor: Pixels, donor_points: Points) -> Pixels:
    """Return `base` with the face of `donor` pasted over its own."""
    height, width = base.shape[:2]
    mask = _face_mask(width, height, points)
    small, small_points = _small_face(donor, donor_points)
    matrix, _ = cv2.estimateAffinePartial2D(small_points, points)
    warped = cv2.warpAffine(small, matrix, (width, height), flags=cv2.INTER_CUBIC)
    warped = _match_colours(np.asarray(warped, np.uint8), base, mask > 0.5)
    alpha = mask[..., None]
    return (warped * alpha + base * (1 - alpha)).round().astype(np.uint8)


def _small_face(picture: Pixels, points: Points) -> tuple[Pixels, Points]:
    """Return the face at GENERATOR_SIDE pixels, and its points."""
    centre, reach = _centre(points), 2.2 * _eye_distance(points)
    scale = GENERATOR_SIDE / (2 * reach)
    matrix = np.array(
        [[scale, 0, scale * (reach - centre[0])], [0, scale, scale * (reach - centre[1])]]
    )
    # Blur first: warping alone does not average when it shrinks.
    blurred = cv2.GaussianBlur(picture, (0, 0), max(0.3, 0.5 / scale - 0.3))
    small = cv2.warpAffine(blurred, matrix, (GENERATOR_SIDE, GENERATOR_SIDE))
    return np.asarray(small, np.uint8), (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _face_mask(width: int, height: int, points: Points) -> NDArray[np.float32]:
    """Return a soft ellipse over brows, cheeks and mouth, 0 to 1."""
    eyes = _eye_distance(points)
    across = points[1] - points[0]
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    x, y = _centre(points)
    mask = np.zeros((height, width), np.float32)
    axes = (round(0.98 * eyes), round(1.3 * eyes))
    cv2.ellipse(mask, (round(x), round(y)), axes, angle, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.12 * eyes), np.float32)


def _match_colours(picture: Pixels, like: Pixels, where: NDArray[np.bool_]) -> Pixels:
    """Return `picture` with the mean and deviation of each Lab channel of `like` within `where`."""
    planes, target = (
        cv2.cvtColor(each, cv2.COLOR_RGB2LAB).astype(np.float32) for each in (picture, like)
    )
    mine, theirs = planes[where], target[where]
    gain = theirs.std(axis=0) / np.maximum(mine.std(axis=0), 1.0)
    planes = (planes - mine.mean(axis=0)) * gain + theirs.mean(axis=0)
    lab = planes.clip(0, 255).round().astype(np.uint8)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def _centre(points: Points) -> Points:
    """Return the centre between the eyes and the mouth."""
    return np.asarray((points[0] + points[1]) / 4 + points[3] / 2, np.float32)


def _eye_distance(points: Points) -> float:
    return float(np.linalg.norm(points[1] - points[0]))
