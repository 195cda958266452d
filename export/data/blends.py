"""Self-blended images: a real face blended with an altered copy of itself, labelled fake.

After Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022. Two things
are added. `ease` (0 to 1): 1 makes seam and colour shift easy to see, which a network without
pretrained weights needs at first; 0 is the published subtlety. `Flicker`: one blend can vary from
frame to frame of a window. Masks follow the face's landmarks, which are computed once and cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.atomic_write import publish, unfinished_file
from edge.scan.faces.detector import MESH, read_model
from export.data.augment import random_augmentation
from export.data.folders import Example, Image, Landmarks, Progress

Mask = NDArray[Any]  # float32 [side, side], 0 to 1

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
OVERSIZE = 1.4  # blends are made at this multiple of the crop's side

# Indices in MediaPipe's 468-point mesh: between the brows, under the nose, tip of the chin.
GLABELLA, NOSE_BASE, CHIN = 9, 2, 152
# The outlines of the lips, and of both eyes with their brows.
MOUTH = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409)
EYES = (33, 133, 144, 145, 153, 46, 53, 52, 65, 55, 362, 263, 373, 374, 380, 276, 283, 282, 295)
MESH_SIDE = 192
MESH_MARGIN = 1.35  # the mesh network wants the face with a quarter of margin on each side
MIN_PRESENCE = 5.0  # logit


@dataclass(frozen=True)
class Flicker:
    """How the blend of one frame differs from the drawn one."""

    amount: float = 1.0  # factor of the blending ratio
    shift: tuple[float, float] = (0.0, 0.0)  # of the mask, as a share of the side
    growth: float = 1.0  # of the mask
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)  # added to the source's red, green, blue


STEADY = Flicker()


@dataclass(frozen=True)
class Blend:
    """A source to be laid over a target by a mask; both images are uint8 [side, side, 3] RGB."""

    target: Image
    source: Image
    mask: Mask

    def fake(self, flicker: Flicker = STEADY) -> Image:
        """The target with the source blended in."""
        mask, source = self.mask, self.source.astype(np.float32)
        if flicker != STEADY:
            mask = _warp(mask, flicker.growth, flicker.shift) * flicker.amount
            source = np.clip(source + np.array(flicker.tint, np.float32), 0, 255)
        share = mask[..., None]
        return np.asarray(np.rint(source * share + self.target * (1.0 - share)), dtype=np.uint8)


def random_blend(
    example: Example, landmarks: Landmarks, side: int, ease: float, rng: np.random.Generator
) -> Blend:
    """Draw a self-blend of a real image, large enough for crops of `side` px.

    landmarks: shares of the image's side.
    """
    size = round(side * OVERSIZE * example.margin)
    image = cv2.resize(example.read(), (size, size), interpolation=cv2.INTER_AREA)
    return blend_of(np.asarray(image, np.uint8), landmarks * size, ease, rng)


def augmented_blend(
    example: Example, landmarks: Landmarks, side: int, ease: float, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Draw a self-blend and augment it: real and fake, uint8 [side, side, 3] RGB."""
    augmentation = random_augmentation(rng)
    blend = random_blend(example, landmarks, side, ease, rng)
    real, fake = (
        augmentation.apply(image, example.margin, side) for image in (blend.target, blend.fake())
    )
    return real, fake


def blend_of(image: Image, points: Landmarks, ease: float, rng: np.random.Generator) -> Blend:
    """Draw a blend of a real face uint8 [side, side, 3] RGB with itself; `points` in pixels."""
    source, target = image, image
    altered = _alter(image, ease, rng)
    if rng.random() < 0.5:
        source = altered
    else:
        target = altered
    mask = random_mask(len(image), points, ease, rng)
    growth = float(rng.uniform(0.95, 1.05))
    x, y = rng.uniform(-0.03, 0.03, size=2)
    shift = (float(x), float(y))
    ratio = float(rng.choice(RATIOS)) * (1 - ease) + ease
    moved = np.asarray(_warp(source, growth, shift), dtype=np.uint8)
    return Blend(target, moved, _warp(mask, growth, shift) * ratio)


def random_mask(side: int, points: Landmarks, ease: float, rng: np.random.Generator) -> Mask:
    """A deformed, softened convex hull of the face or of a part of it."""
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
    part = parts[rng.choice(len(parts), p=[0.3, 0.25, 0.1, 0.1, 0.1, 0.08, 0.07])]
    mask: NDArray[Any] = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(part).astype(np.int32)), 1.0)
    mask = _elastic(mask, rng)
    reach = side / 112.0 * (1.0 - 0.7 * ease)
    for _ in range(2):
        blurred: Mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.6, 4.5) * reach + 0.3)
        mask = blurred / max(float(blurred.max()), 1e-6)
    return mask


def _elastic(mask: Mask, rng: np.random.Generator) -> Mask:
    side = len(mask)
    coarse = rng.normal(0.0, 0.025 * side, size=(6, 6, 2)).astype(np.float32)
    shift = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    grid = np.mgrid[0:side, 0:side].astype(np.float32)
    return cv2.remap(mask, grid[1] + shift[..., 0], grid[0] + shift[..., 1], cv2.INTER_LINEAR)


def _warp(array: NDArray[Any], growth: float, shift: tuple[float, float]) -> NDArray[Any]:
    """Scale an image or mask about its centre and shift it by shares of its side."""
    side = len(array)
    rest = (1 - growth) * side / 2
    matrix = np.array(
        [[growth, 0, rest + shift[0] * side], [0, growth, rest + shift[1] * side]], np.float64
    )
    return cv2.warpAffine(array, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


def _alter(image: Image, ease: float, rng: np.random.Generator) -> Image:
    """Shift colour, light and sharpness, as the face of a swap differs from its target."""
    strength = 1.0 + ease
    rgb = image + rng.uniform(-20, 20, size=3) * strength
    rgb = (rgb - 128) * (1 + rng.uniform(-0.1, 0.1) * strength) + 128
    rgb = np.clip(rgb + rng.uniform(-0.1, 0.1) * 255 * strength, 0, 255).astype(np.uint8)
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.float32)
    # Triangular: plainly wrong colours teach little and should be rare.
    hue, saturation, value = rng.triangular(-0.3, 0.0, 0.3, size=3) * strength
    hsv[..., 0] = (hsv[..., 0] + np.rad2deg(hue) / 2) % 180  # OpenCV's unit of hue is two degrees
    hsv[..., 1:] *= 1 + np.array([saturation, value])
    back = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
    altered = np.asarray(back, dtype=np.uint8)
    if rng.random() < 0.5:
        return _resample(altered, rng.uniform(2.0, 4.0))
    soft = cv2.GaussianBlur(altered, (0, 0), 1.5)
    return np.asarray(cv2.addWeighted(altered, 1.8, soft, -0.8, 0), dtype=np.uint8)


def _resample(image: Image, factor: float) -> Image:
    side = len(image)
    small = cv2.resize(image, (max(8, round(side / factor)),) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


class LandmarkNet:
    """MediaPipe's face mesh (468 points) in LiteRT.

    Raises TruelightError if its model file is not installed.
    """

    def __init__(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._net = Interpreter(model_content=read_model(MESH), num_threads=1)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._net.get_output_details()]

    def __call__(self, image: Image, margin: float = 1.0) -> tuple[Landmarks, float]:
        """Landmarks in pixels and the logit of a face's presence.

        image: uint8 [h, w, 3] RGB, square, the face's box centred and `margin` times smaller.
        """
        side = len(image)
        wanted = side / margin * MESH_MARGIN
        pad = max(0, round((wanted - side) / 2))
        cut = max(0, round((side - wanted) / 2))
        framed = cv2.copyMakeBorder(
            image[cut : side - cut, cut : side - cut], pad, pad, pad, pad, cv2.BORDER_REPLICATE
        )
        scaled = cv2.resize(framed, (MESH_SIDE, MESH_SIDE), interpolation=cv2.INTER_AREA)
        self._net.set_tensor(self._input, scaled[None].astype(np.float32) / 255.0)
        self._net.invoke()
        presence, mesh = sorted((self._net.get_tensor(i).ravel() for i in self._outputs), key=len)
        points = mesh.reshape(-1, 3)[:, :2] * (len(framed) / MESH_SIDE) + cut - pad
        return points.astype(np.float32), float(presence[0])


def find_landmarks(
    examples: Sequence[Example], cache: Path, progress: Progress
) -> dict[str, Landmarks]:
    """Landmarks by path, as shares of the image's side, where a face is found.

    Those missing in `cache` (.npz) are added to it.
    """
    known: dict[str, Landmarks] = {}
    if cache.is_file():
        with np.load(cache) as kept:
            known = dict(zip(kept["paths"].tolist(), kept["points"], strict=True))
    missing = [example for example in examples if str(example.path) not in known]
    if missing:
        net = LandmarkNet()
        nothing = np.full((468, 2), np.nan, np.float32)
        for done, example in enumerate(missing):
            image = example.read()
            points, presence = net(image, example.margin)
            found = presence >= MIN_PRESENCE
            known[str(example.path)] = points / np.float32(len(image)) if found else nothing
            if done % 500 == 0:
                progress(done, len(missing))
        save_arrays(cache, paths=np.array(list(known)), points=np.stack(list(known.values())))
    wanted = (str(example.path) for example in examples)
    return {path: known[path] for path in wanted if not np.isnan(known[path][0, 0])}


def save_arrays(file: Path, **arrays: NDArray[Any]) -> None:
    """Write an .npz file atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with unfinished_file(file) as half:
        np.savez(half, **arrays)  # type: ignore[arg-type]
        publish(half, file)
