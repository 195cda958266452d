"""What happens to a picture before the network sees it, alike for real and fake.

One draw is applied to both members of a pair: whatever compression, size or light could tell the
classes apart is shared, so only the face can.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from export.data.folders import Image

SMALLEST, LARGEST = 40, 200  # px, of the crop while it is compressed


@dataclass(frozen=True)
class Treatment:
    """One draw of the augmentation; `apply` gives the same change to every picture.

    The cut is first made `px` wide, lit, blurred and compressed like that, and then brought to the
    size that the network sees: faces in clips are small or large, and coded as they are.
    """

    extent: float = 0.96  # side of the cut as a share of the nominal crop
    centre: tuple[float, float] = (0.0, 0.0)  # shift of the cut as a share of the crop
    flip: bool = False
    px: int = 0  # even; 0: the network's side
    blur: float = 0.0  # sigma as a share of the side, 0: not
    light: tuple[float, float, float] = (1.0, 0.0, 1.0)  # contrast, brightness (0..255), gamma
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)  # added to red, green, blue
    noise: float = 0.0  # sigma, 0..255
    noise_seed: int = 0
    crf: int = 0  # of H.264, 0: not
    qualities: tuple[int, ...] = ()  # of JPEG passes, one after the other

    def apply(self, image: Image, margin: float, side: int, room: float | None = None) -> Image:
        """A crop uint8 [side, side, 3] RGB of a square picture `margin` times wider than it.

        `room`, if given, stands for the margin when it is decided how far the cut may be shifted:
        two pictures of different margins are shifted alike by the lesser of them.
        """
        cut = self._cut(image, margin, self.px or side, room or margin)
        if self.flip:
            cut = cut[:, ::-1]
        if self.blur > 0.0:
            soft = cv2.GaussianBlur(cut, (0, 0), self.blur * cut.shape[0])
            cut = np.asarray(soft, dtype=np.uint8)
        return _resized(self._compress(self._relight(cut)), side)

    def _cut(self, image: Image, margin: float, side: int, room: float) -> Image:
        full = image.shape[0]
        nominal = full / margin
        size = self.extent * nominal
        reach = max(0.0, (nominal * room - size) / 2)  # never over the picture's edge
        x, y = (
            full / 2 + float(np.clip(shift * nominal, -reach, reach)) - size / 2
            for shift in self.centre
        )
        x0, y0 = max(0, round(x)), max(0, round(y))
        x1, y1 = min(full, round(x + size)), min(full, round(y + size))
        return _resized(image[y0:y1, x0:x1], side)

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

    def _compress(self, image: Image) -> Image:
        if self.crf:
            image = h264(image, self.crf)
        for quality in self.qualities:
            image = jpeg(image, quality)
        return image


def _resized(image: Image, side: int) -> Image:
    if image.shape[:2] == (side, side):
        return image
    how = cv2.INTER_AREA if max(image.shape[:2]) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=how), dtype=np.uint8)


def draw(rng: np.random.Generator) -> Treatment:
    """A random treatment."""

    def now_and_then(share: float, low: float, high: float) -> float:
        value = rng.uniform(low, high)
        return float(value) if rng.random() < share else 0.0

    passes = int(rng.choice([0, 1, 1, 2]))
    px = 2 * round(float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))) / 2)
    # A video's coding is twenty times the work of JPEG's: only now and then.
    crf = round(now_and_then(0.12, 18, 42))
    return Treatment(
        extent=float(rng.uniform(0.85, 1.0)),
        centre=(float(rng.normal(0, 0.04)), float(rng.normal(0, 0.04))),
        flip=bool(rng.random() < 0.5),
        px=px if crf or rng.random() < 0.8 else 0,
        blur=now_and_then(0.2, 0.003, 0.018),
        light=(
            float(rng.uniform(0.8, 1.2)),
            float(rng.uniform(-25, 25)),
            float(np.exp(rng.uniform(-0.3, 0.3))),
        ),
        tint=(float(rng.uniform(-8, 8)), float(rng.uniform(-8, 8)), float(rng.uniform(-8, 8))),
        noise=now_and_then(0.2, 1.0, 8.0),
        noise_seed=int(rng.integers(2**31)),
        crf=crf,
        qualities=tuple(int(q) for q in rng.integers(30, 101, size=passes)),
    )


PLAIN = Treatment()
"""What validation pictures get: the middle of the training's extents and nothing else."""


def jpeg(image: Image, quality: int) -> Image:
    """A picture after JPEG; uint8 [h, w, 3] RGB."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    again = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert again is not None  # what was just encoded decodes
    return np.asarray(again[..., ::-1], dtype=np.uint8)


REPEATABLE = {"x264-params": "cpu-independent=1"}
"""For x264: else it picks algorithms by the processor, some of which read memory not yet set."""


def h264(image: Image, crf: int) -> Image:
    """A picture after H.264, as the first frame of a video; uint8 [h, w, 3] RGB, h and w even."""
    import av

    height, width = image.shape[:2]
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency", **REPEATABLE}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    frame.pts = 0
    packets = [*encoder.encode(frame.reformat(format="yuv420p")), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return np.asarray(frames[0].to_ndarray(format="rgb24"), dtype=np.uint8)
