"""Self-blended images: a real face blended with a changed copy of itself, called fake.

After Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022. `ease`
(0 to 1) is ours: 1 makes the seam and the colour shift easy to see, which is what a network
without pretrained weights needs to start; the recipe lowers it to 0, the published subtlety. The
flicker is ours, too: a blend drawn once can be laid anew for every frame of a window.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.atomic_write import write_whole
from edge.errors import TruelightError
from export.data.augment import draw
from export.data.folders import Image, Pairs, Picture
from export.data.landmarks import CHIN, EYES, GLABELLA, MOUTH, NOSE_BASE

Points = NDArray[np.float32]
Mask = NDArray[Any]  # float32 [side, side], 0 to 1

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Flicker:
    """How a frame's blend differs from the one that was drawn."""

    amount: float = 1.0  # of the blending ratio
    shift: tuple[float, float] = (0.0, 0.0)  # of the mask, as a share of the side
    growth: float = 1.0  # of the mask
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)  # added to the source's red, green, blue


STEADY = Flicker()


@dataclass(frozen=True)
class Blend:
    """A source laid over a target by a mask; pictures are uint8 [side, side, 3] RGB."""

    target: Image
    source: Image
    mask: Mask

    def fake(self, flicker: Flicker = STEADY) -> Image:
        """The target with the source in it."""
        mask, source = self.mask, self.source.astype(np.float32)
        if flicker != STEADY:
            mask = _moved(mask, flicker.growth, flicker.shift) * flicker.amount
            source = np.clip(source + np.array(flicker.tint, np.float32), 0, 255)
        share = mask[..., None]
        return np.asarray(np.rint(source * share + self.target * (1.0 - share)), dtype=np.uint8)


def blend_of(image: Image, points: Points, ease: float, rng: np.random.Generator) -> Blend:
    """Draw a blend of one real face with itself.

    image: uint8 [side, side, 3] RGB. points: float32 [468, 2], pixels of `image`.
    """
    source, target = image, image
    changed = _change(image, ease, rng)
    if rng.random() < 0.5:
        source = changed
    else:
        target = changed
    mask = _mask(image.shape[0], points, ease, rng)
    # Shifted by about 3 % and scaled by about 5 % against the target.
    growth = float(rng.uniform(0.95, 1.05))
    x, y = rng.uniform(-0.03, 0.03, size=2)
    shift = (float(x), float(y))
    ratio = float(rng.choice(RATIOS)) * (1 - ease) + ease
    moved = np.asarray(_moved(source, growth, shift), dtype=np.uint8)
    return Blend(target, moved, _moved(mask, growth, shift) * ratio)


def self_blend(
    image: Image, points: Points, ease: float, rng: np.random.Generator
) -> tuple[Image, Image]:
    """A (real, fake) pair made from one real face; arguments as of `blend_of`."""
    blend = blend_of(image, points, ease, rng)
    return blend.target, blend.fake()


def _mask(side: int, points: Points, ease: float, rng: np.random.Generator) -> Mask:
    """A deformed, softened hull of the whole face or of a part of it; float32 [side, side]."""
    axis = points[CHIN] - points[GLABELLA]
    height = (points - points[GLABELLA]) @ axis / max(float(axis @ axis), 1.0)
    nose = float(height[NOSE_BASE])
    parts = [
        points,
        points[height > -0.05],  # without the forehead
        points[height < nose + 0.35],  # without the jaw
        points[height > nose - 0.05],  # mouth and jaw
        points[(height > -0.2) & (height < nose + 0.1)],  # eyes and nose
        points[list(MOUTH)],
        points[list(EYES)],
    ]
    chosen = parts[rng.choice(len(parts), p=[0.3, 0.25, 0.1, 0.1, 0.1, 0.08, 0.07])]
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


def _moved(what: NDArray[Any], growth: float, shift: tuple[float, float]) -> NDArray[Any]:
    """A picture or mask grown about its middle and shifted by shares of its side."""
    side = what.shape[0]
    rest = (1 - growth) * side / 2
    matrix = np.array(
        [[growth, 0, rest + shift[0] * side], [0, growth, rest + shift[1] * side]], np.float64
    )
    return cv2.warpAffine(what, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


def _change(image: Image, ease: float, rng: np.random.Generator) -> Image:
    """Shift of colour and light, then of sharpness: what a pasted face differs by."""
    strength = 1.0 + ease
    rgb = image + rng.uniform(-20, 20, size=3) * strength
    rgb = (rgb - 128) * (1 + rng.uniform(-0.1, 0.1) * strength) + 128
    rgb = np.clip(rgb + rng.uniform(-0.1, 0.1) * 255 * strength, 0, 255).astype(np.uint8)
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.float32)
    # Seldom as far as that: a swap whose colours are plainly wrong teaches little.
    hue, saturation, value = rng.triangular(-0.3, 0.0, 0.3, size=3) * strength
    hsv[..., 0] = (hsv[..., 0] + np.rad2deg(hue) / 2) % 180  # OpenCV counts hue in two degrees
    hsv[..., 1:] *= 1 + np.array([saturation, value])
    back = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
    changed = np.asarray(back, dtype=np.uint8)
    if rng.random() < 0.5:
        return _resample(changed, rng.uniform(2.0, 4.0))
    soft = cv2.GaussianBlur(changed, (0, 0), 1.5)
    return np.asarray(cv2.addWeighted(changed, 1.8, soft, -0.8, 0), dtype=np.uint8)


def _resample(image: Image, factor: float) -> Image:
    side = image.shape[0]
    small = cv2.resize(image, (max(8, round(side / factor)),) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


WORK = 1.4  # blends are made at this multiple of the crop's side, then cut


def to_blend(
    picture: Picture, landmarks: NDArray[np.float32], side: int
) -> tuple[Image, NDArray[np.float32]]:
    """A picture and its landmarks at the size at which blends for crops of `side` px are made."""
    size = round(side * WORK * picture.margin)
    image = cv2.resize(picture.read(), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(image, dtype=np.uint8), landmarks * size


Couple = tuple[str, Image, Image]
"""Whose face it is, the real picture and the fake."""


def blends(
    reals: Sequence[Picture],
    landmarks: Mapping[str, NDArray[np.float32]],
    count: int,
    side: int,
    seed: int,
) -> Iterator[Couple]:
    """Draw self-blends of real faces, uint8 [side, side, 3] RGB, as subtle as published.

    `landmarks`: by path, float32 [468, 2] as shares of the picture's side.
    """
    pool = [picture for picture in reals if str(picture.path) in landmarks]
    if not pool:
        raise TruelightError("No real face to blend was found.", "Leave --blends away.")
    rng = np.random.default_rng((seed, 1))
    for _ in range(count):
        picture = pool[rng.integers(len(pool))]
        image, points = to_blend(picture, landmarks[str(picture.path)], side)
        both = self_blend(image, points, 0.0, rng)
        treatment = draw(rng)
        real, fake = (treatment.apply(each, picture.margin, side) for each in both)
        yield picture.source, real, fake


def treated(pictures: Sequence[Picture], count: int, side: int, seed: int) -> Iterator[Couple]:
    """Draw labelled pairs of one source, uint8 [side, side, 3] RGB, treated alike."""
    pairs = Pairs(pictures)
    if not pairs.by_source:
        raise TruelightError("No source has a real and a fake picture.", "Leave --pairs away.")
    rng = np.random.default_rng((seed, 2))
    for _ in range(count):
        real, fake = pairs.draw(rng)
        treatment = draw(rng)
        yield (
            real.source,
            treatment.apply(real.read(), real.margin, side),
            treatment.apply(fake.read(), fake.margin, side),
        )


def write(couples: Iterator[Couple], out: Path, progress: Callable[[int], None]) -> int:
    """Write couples and their labels.tsv into a new folder; give how many pictures there are."""
    if (out / "labels.tsv").exists():
        raise TruelightError(f"{out} holds pictures already.", "Name another --out.")
    out.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    rows = csv.writer(table, delimiter="\t", lineterminator="\n")
    rows.writerow(("file", "label", "source"))
    count = 0
    for number, (source, *both) in enumerate(couples):
        for label, image in zip(("REAL", "FAKE"), both, strict=True):
            name = f"{number:05d}-{label.lower()}.png"
            _, data = cv2.imencode(".png", image[..., ::-1])
            (out / name).write_bytes(data.tobytes())
            rows.writerow((name, label, source))
            count += 1
        progress(number + 1)
    write_whole(out / "labels.tsv", table.getvalue().encode())
    return count
