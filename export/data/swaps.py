"""Blends beyond self-blends: another person's face, a re-rendered one, another expression.

Each takes a real face and returns (real, fake) of one size; only what is under a soft mask differs.
`exchange` lays another person's face over it, aligned by landmarks and matched in colour, as
classical swaps do. `rerender` does to the face what an autoencoder does: lost detail, drifted
colours, another resolution. `reenact` moves mouth and eyes first, as a driven face is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from export.data.blends import EYES, MOUTH, OVERSIZE, Blend, Mask, random_mask
from export.data.folders import Example, Image, Landmarks

ALIGNED = (33, 263, 1, 61, 291, 199, 10, 234, 454, 152)
"""Landmarks by which two faces are aligned: eyes, mouth, nose, chin, brow and cheeks."""

RealAndFake = tuple[Image, Image]
KINDS: Final = ("self", "exchange", "rerender", "reenact")
"""Kinds of blends; `self` is `blends.random_blend`."""


def swapped(
    kind: str,
    examples: tuple[Example, Example],
    landmarks: Mapping[str, Landmarks],
    side: int,
    rng: np.random.Generator,
) -> RealAndFake:
    """A blend of the first example, large enough for crops of `side` px.

    kind: "exchange" with the second example, "rerender" or "reenact". landmarks: by path, as
    shares of the image's side.
    """
    size = round(side * OVERSIZE * examples[0].margin)
    (image, points), (other, its) = (
        (_enlarged(example.read(), size), landmarks[str(example.path)] * np.float32(size))
        for example in examples
    )
    if kind == "exchange":
        return exchange(image, points, other, its, rng)
    return rerender(image, points, rng) if kind == "rerender" else reenact(image, points, rng)


def _enlarged(image: Image, size: int) -> Image:
    how = cv2.INTER_AREA if len(image) > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=how), np.uint8)


def exchange(
    image: Image, points: Landmarks, other: Image, its: Landmarks, rng: np.random.Generator
) -> RealAndFake:
    """Lay the face of `other` (with its landmarks) over `image`.

    Images are uint8 [side, side, 3] RGB, landmarks float32 [468, 2] in their pixels.
    """
    side = image.shape[0]
    aligned = list(ALIGNED)
    if rng.random() < 0.5:
        matrix, _ = cv2.estimateAffine2D(its[aligned], points[aligned])
    else:
        matrix, _ = cv2.estimateAffinePartial2D(its[aligned], points[aligned])
    if matrix is None:
        return rerender(image, points, rng)
    how = cv2.BORDER_REPLICATE
    laid = cv2.warpAffine(other, matrix, (side, side), None, cv2.INTER_LINEAR, how)
    source = np.asarray(laid, np.uint8)
    mask = random_mask(side, points, 0.0, rng)
    source = match_colours(source, image, mask > 0.5, float(rng.uniform(0.6, 1.0)))
    source = _lose_detail(source, rng, most=2.5)
    if rng.random() < 0.25:
        poisson = _poisson(image, source, mask)
        if poisson is not None:
            return image, poisson
    return image, Blend(image, source, mask * float(rng.uniform(0.85, 1.0))).fake()


def rerender(image: Image, points: Landmarks, rng: np.random.Generator) -> RealAndFake:
    """The face as an autoencoder or a generator would reproduce it."""
    mask = random_mask(image.shape[0], points, 0.0, rng)
    source = _drift(_lose_detail(image, rng, most=4.0), rng)
    if rng.random() < 0.3:
        source = _wobble(source, points, rng, 0.006)
    if rng.random() < 0.5:
        source = match_colours(source, image, mask > 0.5, float(rng.uniform(0.3, 0.9)))
    return image, Blend(image, source, mask * float(rng.uniform(0.8, 1.0))).fake()


def reenact(image: Image, points: Landmarks, rng: np.random.Generator) -> RealAndFake:
    """The face with mouth and eyes moved, laid over itself."""
    source = _expression(image, points, rng)
    source = _lose_detail(source, rng, most=2.5)
    if rng.random() < 0.5:
        source = _drift(source, rng)
    if rng.random() < 0.4:  # the whole image changes, as in animations of a still
        return image, source
    mask = random_mask(image.shape[0], points, 0.0, rng)
    return image, Blend(image, source, mask).fake()


def match_colours(source: Image, target: Image, where: NDArray[np.bool_], amount: float) -> Image:
    """Move the mean and spread of the source's colours (in Lab) towards the target's, `where`."""
    if where.sum() < 50:
        return source
    lab, wanted = (cv2.cvtColor(each, cv2.COLOR_RGB2LAB) for each in (source, target))
    mean, spread = lab[where].mean(0), lab[where].std(0) + 1e-3
    other_mean, other_spread = wanted[where].mean(0), wanted[where].std(0) + 1e-3
    gain = np.clip(other_spread / spread, 0.5, 2.0)
    matched = (lab - mean) * gain + other_mean
    mixed = np.clip(lab + (matched - lab) * amount, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB), np.uint8)


def _lose_detail(image: Image, rng: np.random.Generator, most: float) -> Image:
    """Resize down and up, or blur, or smooth: what a decoder of low resolution loses."""
    side = image.shape[0]
    kind = rng.random()
    if kind < 0.55:
        small = max(16, round(side / rng.uniform(1.2, most)))
        ups = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
        up = ups[rng.integers(3)]
        shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(shrunk, (side, side), interpolation=up), np.uint8)
    if kind < 0.8:
        sigma = float(rng.uniform(0.004, 0.012)) * side / 2
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    if kind < 0.9:
        return np.asarray(cv2.bilateralFilter(image, 7, 35, 5), np.uint8)
    return image


def _drift(image: Image, rng: np.random.Generator) -> Image:
    """Small errors of colour and light."""
    gain = rng.normal(1.0, 0.03, size=3)
    shifted = image * gain + rng.normal(0.0, 4.0, size=3)
    return np.asarray(np.clip(shifted, 0, 255), np.uint8)


def _expression(image: Image, points: Landmarks, rng: np.random.Generator) -> Image:
    """Mouth opened, closed or moved; eyes narrowed or widened."""
    size = float(np.ptp(points[:, 1]))
    mouth, eyes = points[list(MOUTH)], points[list(EYES)]
    moves = [
        _Move(mouth.mean(0), 0.16 * size, rng.normal(0, 0.02 * size, 2), rng.normal(0, 0.14, 2)),
    ]
    middle = float(points[:, 0].mean())
    lids = (0.0, float(rng.normal(0, 0.18)))
    for half in (eyes[eyes[:, 0] < middle], eyes[eyes[:, 0] >= middle]):
        if len(half):
            shift = rng.normal(0, 0.006 * size, 2)
            moves.append(_Move(half.mean(0), 0.09 * size, shift, np.array(lids)))
    return _moved(image, moves)


def _wobble(image: Image, points: Landmarks, rng: np.random.Generator, amount: float) -> Image:
    size = float(np.ptp(points[:, 1]))
    centres = points[rng.integers(len(points), size=5)]
    moves = [
        _Move(c, 0.2 * size, rng.normal(0, amount * size, 2), np.zeros(2)) for c in centres
    ]  # fmt: skip
    return _moved(image, moves)


class _Move:
    """A soft displacement around a point: a shift, and a stretch about the point."""

    def __init__(
        self, centre: NDArray[Any], reach: float, shift: NDArray[Any], stretch: NDArray[Any]
    ) -> None:
        self.centre, self.reach, self.shift, self.stretch = centre, reach, shift, stretch

    def field(self, grid: NDArray[np.float32]) -> NDArray[np.float32]:
        """The displacement of each pixel: [side, side, 2]."""
        away = grid - self.centre.astype(np.float32)
        weight = np.exp(-(away**2).sum(-1) / (2 * max(self.reach, 1.0) ** 2))[..., None]
        moved = self.shift + away * self.stretch
        return np.asarray(weight * moved, np.float32)


def _moved(image: Image, moves: list[_Move]) -> Image:
    side = image.shape[0]
    grid = np.mgrid[0:side, 0:side][::-1].transpose(1, 2, 0).astype(np.float32)
    places = grid - np.sum([move.field(grid) for move in moves], axis=0, dtype=np.float32)
    x, y = np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
    warped = cv2.remap(image, x, y, cv2.INTER_CUBIC, None, cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _poisson(target: Image, source: Image, mask: Mask) -> Image | None:
    """Poisson blending (OpenCV's seamless cloning); None if the mask is too small."""
    hard = (mask > 0.5).astype(np.uint8) * 255
    hard[:2], hard[-2:], hard[:, :2], hard[:, -2:] = 0, 0, 0, 0
    x, y, width, height = cv2.boundingRect(hard)
    if min(width, height) < 16:
        return None
    centre = (x + width // 2, y + height // 2)
    cloned = cv2.seamlessClone(source, target, hard, centre, cv2.NORMAL_CLONE)
    return np.asarray(cloned, np.uint8)
