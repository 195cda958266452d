"""Augmentation of face crops, the same for the real and the fake image of a pair.

One random draw is applied to both, so that neither compression nor size nor light tells the
classes apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from export.data.folders import Example, Image

MIN_SIDE, MAX_SIDE = 40, 200  # px, of the crop when it is compressed

REPEATABLE = {"x264-params": "cpu-independent=1"}
"""Otherwise x264's output depends on the processor and, with AVX-512, on uninitialised memory."""


@dataclass(frozen=True)
class Augmentation:
    """One draw of the augmentation.

    The crop is resized to `px`, relit, blurred and compressed, then resized to the network's input:
    faces in clips are small or large and are encoded at that size.
    """

    extent: float = 0.96  # side of the cut as a share of the nominal crop
    centre: tuple[float, float] = (0.0, 0.0)  # shift of the cut as a share of the crop
    flip: bool = False
    px: int = 0  # side while compressing, even; 0: the network's side
    blur: float = 0.0  # sigma as a share of the side
    light: tuple[float, float, float] = (1.0, 0.0, 1.0)  # contrast, brightness (0..255), gamma
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)  # added to red, green, blue
    noise: float = 0.0  # sigma, 0..255
    noise_seed: int = 0
    crf: int = 0  # of H.264; 0: none
    qualities: tuple[int, ...] = ()  # of consecutive JPEG passes

    def apply(
        self, image: Image, margin: float, side: int, shift_margin: float | None = None
    ) -> Image:
        """Cut a crop uint8 [side, side, 3] RGB from a square image `margin` times as wide.

        `shift_margin` limits the shift as if the image had this margin: two images of different
        margins are shifted alike by the smaller one.
        """
        crop = self._cut(image, margin, self.px or side, shift_margin or margin)
        if self.flip:
            crop = crop[:, ::-1]
        if self.blur > 0.0:
            crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), self.blur * len(crop)), dtype=np.uint8)
        crop = self._relight(crop)
        if self.crf:
            crop = h264(crop, self.crf)
        for quality in self.qualities:
            crop = jpeg(crop, quality)
        return _resize(crop, side)

    def _cut(self, image: Image, margin: float, side: int, shift_margin: float) -> Image:
        full = len(image)
        nominal = full / margin
        size = self.extent * nominal
        reach = max(0.0, (nominal * shift_margin - size) / 2)  # never past the image's edge
        x, y = (
            full / 2 + float(np.clip(shift * nominal, -reach, reach)) - size / 2
            for shift in self.centre
        )
        x0, y0 = max(0, round(x)), max(0, round(y))
        x1, y1 = min(full, round(x + size)), min(full, round(y + size))
        return _resize(image[y0:y1, x0:x1], side)

    def _relight(self, image: Image) -> Image:
        contrast, brightness, gamma = self.light
        ramp = 255.0 * (np.arange(256) / 255.0) ** gamma
        ramp = (ramp - 128.0) * contrast + 128.0 + brightness
        table = np.rint(np.clip(ramp[:, None] + np.array(self.tint), 0, 255)).astype(np.uint8)
        lit: NDArray[Any] = cv2.LUT(np.ascontiguousarray(image), table[None])
        if self.noise > 0.0:
            rng = np.random.default_rng(self.noise_seed)
            lit = np.clip(lit + rng.normal(0.0, self.noise, lit.shape), 0, 255)
        return np.asarray(lit, dtype=np.uint8)


CENTRE_CROP = Augmentation()
"""For validation: the mean extent of the training crops and no other change."""


def random_augmentation(rng: np.random.Generator) -> Augmentation:
    """Draw an augmentation."""

    def sometimes(share: float, low: float, high: float) -> float:
        value = rng.uniform(low, high)
        return float(value) if rng.random() < share else 0.0

    passes = int(rng.choice([0, 1, 1, 2]))
    px = 2 * round(float(np.exp(rng.uniform(np.log(MIN_SIDE), np.log(MAX_SIDE)))) / 2)
    crf = round(sometimes(0.12, 18, 42))  # rare: H.264 costs 20 times as much as JPEG
    return Augmentation(
        extent=float(rng.uniform(0.85, 1.0)),
        centre=(float(rng.normal(0, 0.04)), float(rng.normal(0, 0.04))),
        flip=bool(rng.random() < 0.5),
        px=px if crf or rng.random() < 0.8 else 0,
        blur=sometimes(0.2, 0.003, 0.018),
        light=(
            float(rng.uniform(0.8, 1.2)),
            float(rng.uniform(-25, 25)),
            float(np.exp(rng.uniform(-0.3, 0.3))),
        ),
        tint=(float(rng.uniform(-8, 8)), float(rng.uniform(-8, 8)), float(rng.uniform(-8, 8))),
        noise=sometimes(0.2, 1.0, 8.0),
        noise_seed=int(rng.integers(2**31)),
        crf=crf,
        qualities=tuple(int(q) for q in rng.integers(30, 101, size=passes)),
    )


def augmented(
    pair: tuple[Example, Example], side: int, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Draw an augmentation and apply it to the real and the fake, shifted alike."""
    augmentation, room = random_augmentation(rng), min(example.margin for example in pair)
    real, fake = (augmentation.apply(e.read(), e.margin, side, room) for e in pair)
    return real, fake


def jpeg(image: Image, quality: int) -> Image:
    """Encode an image uint8 [h, w, 3] RGB as JPEG and decode it."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None, "it was encoded just now"
    return np.asarray(decoded[..., ::-1], dtype=np.uint8)


def h264(image: Image, crf: int) -> Image:
    """Encode an image uint8 [h, w, 3] RGB of even sides as one H.264 frame and decode it."""
    import av

    height, width = image.shape[:2]
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.thread_count = 1
    encoder.options = {
        "crf": str(crf), "preset": "veryfast", "tune": "zerolatency", **REPEATABLE
    }  # fmt: skip
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    frame.pts = 0
    packets = [*encoder.encode(frame.reformat(format="yuv420p")), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return np.asarray(frames[0].to_ndarray(format="rgb24"), dtype=np.uint8)


def _resize(image: Image, side: int) -> Image:
    if image.shape[:2] == (side, side):
        return image
    method = cv2.INTER_AREA if max(image.shape[:2]) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=method), dtype=np.uint8)
