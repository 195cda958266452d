"""Makes pictures of many kinds, with more pictures or a film in their files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from clips import card, cards, write_clip, write_image
from file_kinds import Maker, joined
from PIL import Image


# ---- Stills
def heif(folder: Path, pictures: int = 1, kind: str = "HEIF", **options: Any) -> Path:
    import pillow_heif

    pillow_heif.register_heif_opener()
    first, *rest = [Image.fromarray(card(number=n)) for n in range(pictures)]
    more = {"save_all": True, "append_images": rest} if rest else {}
    path = folder / f"picture.{kind.lower()}"
    first.save(path, kind, **more, **options)
    return path


def tiff_pages(folder: Path, pages: int = 2, thumbnail: bool = False, side: int = 320) -> Path:
    path = folder / "pages.tiff"
    first, *rest = [Image.fromarray(card(side, side * 3 // 4, number=n)) for n in range(pages)]
    if thumbnail:
        rest[-1].encoderinfo = {"tiffinfo": {254: 1}}
    first.save(path, save_all=True, append_images=rest)
    return path


def multi_picture(folder: Path) -> Path:
    """A JPEG with other pictures behind it that it names (angles of one scene)."""
    path = folder / "angles.mpo"
    first, *rest = [Image.fromarray(card(number=n)) for n in range(3)]
    first.save(path, "MPO", save_all=True, append_images=rest, quality=95)
    return path


def motion_photo(folder: Path, still: Maker | None = None) -> Path:
    picture = still(folder) if still else write_image(folder / "still.jpg", card())
    return joined(folder / "motion", picture, write_clip(folder / "v.mp4", 25))


def motion_heic(folder: Path) -> Path:
    """The film lies in a box of its own, as Google's cameras write it."""
    film = write_clip(folder / "v.mp4", 25).read_bytes()
    path = heif(folder)
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", 8 + len(film), b"mpvd") + film)
    return path


def moving_avif(folder: Path, brand: bytes = b"") -> Path:
    pictures = [Image.fromarray(pixels) for pixels in cards(10)]
    path = folder / "moving.avif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=200)
    data = path.read_bytes()
    path.write_bytes(data[:8] + brand + data[8 + len(brand) :])
    return path


def big_tiff(folder: Path) -> Path:
    Image.fromarray(card()).save(folder / "big.tif", big_tiff=True)
    return folder / "big.tif"
