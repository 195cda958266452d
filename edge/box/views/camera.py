"""What the box shows while it films."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from edge.box.views import DARK, WINK, LampPattern, View
from edge.box.views.canvas import HEIGHT, WIDTH, Canvas, Mask, width
from edge.language import N_, _

CAMERA = N_("Camera")
"""Where a clip comes from that has no other source."""
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
"""Order in which points of a 4 x 4 tile light up: steady from frame to frame, unlike diffusion."""


class Framing(StrEnum):
    """Whether a face stands well before the camera, or what is missing."""

    NO_FACE = "no face"
    CLOSER = "closer"
    LIGHT = "more light"
    GOOD = "good"


HINTS = {
    Framing.NO_FACE: N_("No face yet"),
    Framing.CLOSER: N_("Move closer"),
    Framing.LIGHT: N_("More light"),
    Framing.GOOD: N_("Hold still"),
}


@dataclass(frozen=True, eq=False)
class CameraImage:
    """What the camera sees, small: uint8 luma `[height, width]`. Equal only to itself.

    `colour` is the same for the page, larger: uint8 RGB `[height, width, 3]`.
    """

    pixels: npt.NDArray[np.uint8]
    colour: npt.NDArray[np.uint8] | None = None


class Viewfinder(View):
    """What the camera sees; `countdown` in whole seconds once all is well."""

    image: CameraImage | None
    framing: Framing
    countdown: int | None = None
    lamps = LampPattern("#", "#" + DARK * 7, "green on; red: a short flash every second")
    status = N_("The viewfinder is open")

    def draw(self, canvas: Canvas, seconds: float) -> None:
        if self.image is None:
            canvas.header(_(CAMERA))
            canvas.spinner(0, 27, seconds)
            canvas.line(_("Opening the camera"), 16, 29)
            return
        high, wide = self.image.pixels.shape
        shown = max(1, min(WIDTH, round(wide * HEIGHT / max(1, high))))
        canvas.stamp_centred(dithered(self.image.pixels, shown, HEIGHT), 0)
        if self.countdown is not None:
            canvas.fill(0, 0, 26, 34, lit=False)
            canvas.line(str(self.countdown), 5, 5, times=4)
        hint = _(HINTS[self.framing])
        half = width(hint) // 2 + 4
        canvas.fill(WIDTH // 2 - half, HEIGHT - 12, 2 * half, 12, lit=False)
        canvas.centred(hint, HEIGHT - 9)


class Recording(View):
    """The camera records."""

    fraction: float
    seconds_left: float
    lamps = LampPattern(DARK, WINK, "red on, a short gap every second")
    status = N_("Recording")

    def draw(self, canvas: Canvas, seconds: float) -> None:
        canvas.header(_(CAMERA))
        if seconds % 1 < 0.75:
            dot = ((4, 0, 5, 13), (2, 1, 9, 11), (1, 2, 11, 9), (0, 4, 13, 5))
            for x, y, wide, high in dot:
                canvas.fill(2 + x, 20 + y, wide, high)
        canvas.line(_("REC"), 22, 21, times=2)
        canvas.right(f"{max(0.0, self.seconds_left):.0f} s", WIDTH, 21, times=2)
        canvas.bar(41, 12, self.fraction, seconds)


def dithered(luma: npt.NDArray[np.uint8], wide: int, high: int) -> Mask:
    """A grey image `[h, w]` as points `[high, wide]`, its contrast stretched."""
    image = Image.fromarray(luma).resize((wide, high), Image.Resampling.BOX)
    grey = np.asarray(image.filter(ImageFilter.UnsharpMask(2, 150, 0)), np.float32)
    dark, bright = np.percentile(grey, (2, 98))
    grey = (grey - dark) / max(float(bright - dark), 32.0)
    tiles = np.tile(BAYER, (high // 4 + 1, wide // 4 + 1))[:high, :wide]
    lit: Mask = grey * 16 > tiles + 0.5
    return lit
