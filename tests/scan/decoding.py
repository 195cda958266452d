"""Decodes clips of the tests in this process, and recognises the cards in them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from clips import CARD, MARKER, number_of

from edge.scan.media.clip_file import DescriptorFile, PixelLimits
from edge.scan.media.parts import Parts
from edge.scan.media.protocol import ClipError, Fault, Remark
from edge.scan.media.sampling import ClipReader, Part, Sampling

Pixels = npt.NDArray[np.uint8]
Seen = tuple[int, float, Pixels]  # window, seconds, uint8 RGB
FOUR_HERTZ = Sampling(window_frames=8, window_rate=4.0, max_windows=5)
LIMITS = PixelLimits(handed_out=4096 * 2304, video=10**8, picture=10**8)


def look(
    path: Path, sampling: Sampling = FOUR_HERTZ, limits: PixelLimits = LIMITS
) -> tuple[ClipReader[Any], list[Seen]]:
    """The reader of the first part, and (window, time, pixels) of each wanted frame."""
    parts, _ = look_at_all(path, sampling, limits, most=1)
    return parts[0][1:]


def look_at_all(
    path: Path, sampling: Sampling = FOUR_HERTZ, limits: PixelLimits = LIMITS, most: int = 1000
) -> tuple[list[tuple[Part, ClipReader[Any], list[Seen]]], dict[Remark, int]]:
    """Each part of a file with its reader and what is seen of it; and what is left out."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = Parts(DescriptorFile(descriptor), limits, lambda _: None)
        looked: list[tuple[Part, ClipReader[Any], list[Seen]]] = []
        while len(looked) < most and (reader := parts.open_next()):
            seen = []
            for chosen in reader.choose(sampling):
                pixels = np.empty((reader.height, reader.width, 3), np.uint8)
                reader.paint(chosen.frame, memoryview(pixels.data).cast("B"))
                seen.append((chosen.window, chosen.time, pixels))
            looked.append((parts.current, reader, seen))
            parts.finish(reader, len(seen))
        return looked, {remark: count for remark, count in parts.left_out.items() if count}
    finally:
        os.close(descriptor)


def refusal(path: Path, limits: PixelLimits = LIMITS) -> Fault:
    with pytest.raises(ClipError) as caught:
        look(path, limits=limits)
    return caught.value.fault


def numbers(seen: list[Seen]) -> list[int]:
    return [number_of(pixels) for *_, pixels in seen]


def is_card(pixels: Pixels, tolerance: int = 6) -> bool:
    """Red, with the marker at the top left and nowhere else."""
    height, width = pixels.shape[:2]
    middle, marker = pixels[height // 2, width // 2], pixels[height // 8, width // 8]
    corner = pixels[height // 8, -width // 8]
    near = [
        np.abs(spot.astype(int) - wanted).max() <= tolerance
        for spot, wanted in ((middle, CARD), (marker, MARKER), (corner, CARD))
    ]
    return all(near)
