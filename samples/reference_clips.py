"""The pictures of the reference findings: real faces, and faces pasted into other pictures.

    python samples/reference_clips.py FOLDER

Every machine makes the same bytes, since a finding is looked up by its clip's hash: integers in
numpy, and BMP, which is not compressed.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from faces import fetch_faces
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Point = tuple[int, int]

PHOTOS = Path(__file__).resolve().parents[1] / "third_party" / "faces"
EYES: dict[str, tuple[Point, Point]] = {
    "biden": ((535, 329), (654, 350)),
    "coelho": ((71, 163), (143, 160)),
    "collins": ((205, 102), (247, 105)),
    "obama": ((439, 218), (550, 223)),
    "obama2": ((250, 376), (376, 385)),
    "obama3": ((741, 386), (858, 404)),
}
"""In the photographs, the left one in the picture first."""

SIDE = 400
EYES_Y = 170
APART = 90
"""Pixels of a portrait: its side, the height of the eyes, and the distance between them."""


def make_clips(folder: Path) -> list[Path]:
    """Write every picture into `folder`; the photographs as they are, too."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = fetch_faces(PHOTOS)
    paths = []
    for path in photos.values():
        paths.append(folder / path.name)
        paths[-1].write_bytes(path.read_bytes())
    for name, pixels in pictures({name: _read(path) for name, path in photos.items()}):
        paths.append(folder / f"{name}.bmp")
        paths[-1].write_bytes(_bmp(pixels))
    return paths


def pictures(photos: dict[str, Pixels]) -> Iterator[tuple[str, Pixels]]:
    """Names and pixels: from the most real to the most fake, then what cannot be judged."""
    faces = {name: portrait(photos[name], EYES[name]) for name in EYES}
    close = portrait(photos["obama"], EYES["obama"], apart=130, eyes_y=166)
    yield "close-mirrored-contrast", _contrast(close, 180, 140)[:, ::-1]
    yield "mirrored", faces["obama"][:, ::-1]
    yield "portrait", faces["obama"]
    yield "enlarged", _enlarged(_shrunk(faces["obama3"], 4))
    yield "pasted-weakly", _pasted(faces["biden"], faces["obama"], strength=128)
    yield "pasted", _pasted(faces["coelho"], faces["obama"])
    yield "pasted-softly", _pasted(faces["obama"], faces["biden"], edge=200)
    yield "pasted-small", _pasted(faces["obama"], _enlarged(_shrunk(faces["biden"], 3)))
    yield "pasted-other-light", _pasted(faces["obama2"], faces["obama3"])
    yield "pasted-other-age", _pasted(faces["coelho"], faces["biden"])
    yield "far", portrait(photos["biden"], EYES["biden"], apart=12)
    yield "dark", faces["obama"] // 8
    yield "nobody", np.full((SIDE, SIDE, 3), 110, np.uint8)


def portrait(
    photo: Pixels, eyes: tuple[Point, Point], apart: int = APART, eyes_y: int = EYES_Y
) -> Pixels:
    """A square picture with level eyes `apart` pixels from each other, uint8 `[400, 400, 3]`."""
    (left, top), (right, bottom) = eyes
    step_x, step_y = (right - left) / apart, (bottom - top) / apart
    x = np.arange(SIDE)[None, :] - (SIDE - apart) // 2
    y = np.arange(SIDE)[:, None] - eyes_y
    return _sample(photo, step_x * x - step_y * y + left, step_y * x + step_x * y + top)


def _sample(pixels: Pixels, x: NDArray[np.float64], y: NDArray[np.float64]) -> Pixels:
    """Between four pixels each, at places in steps of 1/256 pixel."""
    height, width = pixels.shape[:2]
    across = np.floor(np.clip(x, 0, width - 1.01) * 256).astype(np.int64)
    down = np.floor(np.clip(y, 0, height - 1.01) * 256).astype(np.int64)
    column, right = across >> 8, (across & 255)[..., None]
    row, lower = down >> 8, (down & 255)[..., None]
    p = pixels.astype(np.int64)
    above = p[row, column] * (256 - right) + p[row, column + 1] * right
    below = p[row + 1, column] * (256 - right) + p[row + 1, column + 1] * right
    return np.asarray((above * (256 - lower) + below * lower + 32768) >> 16, np.uint8)


def _pasted(base: Pixels, donor: Pixels, strength: int = 256, edge: int = 64) -> Pixels:
    """`donor`'s face in `base`: `strength` of 256 opaque, its ellipse `edge` of 256 soft."""
    x, y = np.arange(SIDE)[None, :] - SIDE // 2, np.arange(SIDE)[:, None] - EYES_Y - 35
    distance = x * x * 256 // 85**2 + y * y * 256 // 115**2
    mask = np.clip((256 - distance) * 256 // edge, 0, 256)
    inside = mask > 128
    lift = [
        int(base[inside, plane].sum(dtype=np.int64) - donor[inside, plane].sum(dtype=np.int64))
        // int(inside.sum())
        for plane in range(3)
    ]
    like_base = np.clip(donor.astype(np.int64) + lift, 0, 255)
    alpha = (mask * strength // 256)[..., None]
    return np.asarray((like_base * alpha + base * (256 - alpha) + 128) >> 8, np.uint8)


def _shrunk(pixels: Pixels, factor: int) -> Pixels:
    side = SIDE // factor
    whole = pixels[: side * factor, : side * factor].astype(np.int64)
    sums = whole.reshape(side, factor, side, factor, 3).sum((1, 3))
    return np.asarray((sums + factor**2 // 2) // factor**2, np.uint8)


def _enlarged(pixels: Pixels) -> Pixels:
    scale = len(pixels) / SIDE
    at = (np.arange(SIDE) + 0.5) * scale - 0.5
    x, y = np.broadcast_arrays(at[None, :], at[:, None])
    return _sample(pixels, x, y)


def _contrast(pixels: Pixels, percent: int, pivot: int) -> Pixels:
    return np.asarray(
        np.clip((pixels.astype(np.int64) - pivot) * percent // 100 + pivot, 0, 255), np.uint8
    )


def _read(path: Path) -> Pixels:
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"{path} is not an image")
    return np.asarray(image[..., ::-1], np.uint8)


def _bmp(pixels: Pixels) -> bytes:
    """24 bits a pixel, lowest row first; the width is a multiple of four."""
    height, width = pixels.shape[:2]
    data = pixels[::-1, :, ::-1].tobytes()
    header = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + len(data), 0, 54, 40, width, height,
                         1, 24, 0, len(data), 2835, 2835, 0, 0)  # fmt: skip
    return header + data


if __name__ == "__main__":
    for path in make_clips(Path(sys.argv[1])):
        print(path)
