"""The picture that shows whether a display is whole, straight and the right way up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def test_picture() -> Image.Image:
    """128 x 64, mode "1": a frame along the edge, words, and a fine pattern at the bottom."""
    from edge.box.panel.canvas import HEIGHT, WIDTH, Canvas

    canvas = Canvas()
    canvas.fill(0, 0, WIDTH, HEIGHT)
    canvas.fill(1, 1, WIDTH - 2, HEIGHT - 2, lit=False)
    canvas.large_centred("Truelight", 8, 2)
    canvas.centred("This side up", 32)
    canvas.points[46:-4, 4 : WIDTH - 4 : 2] = True
    return canvas.image()
